"""Copies the documents of `docs/` that the pages show; `setup.py` puts them into a wheel."""

import shutil
from pathlib import Path


def copy_documents(checkout: Path, build_folder: Path) -> None:
    source = checkout / "docs"
    target = build_folder / "basewarden" / "operations" / "manual" / "documents"
    for file in (*source.glob("*.md"), *(source / "reference").glob("*.md")):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
