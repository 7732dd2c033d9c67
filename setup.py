"""Puts the documents that the pages show into the wheel; all else is in pyproject.toml."""

from pathlib import Path
from runpy import run_path

from setuptools import setup
from setuptools.command.build_py import build_py

CHECKOUT = Path(__file__).parent


class BuildWithDocuments(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            run_path(str(CHECKOUT / "scripts" / "documents.py"))["copy_documents"](CHECKOUT, Path(self.build_lib))


setup(cmdclass={"build_py": BuildWithDocuments})
