"""The page `docs/api.md` from the OpenAPI document, for `scripts/references.py`."""

import secrets
from base64 import b64encode
from pathlib import Path

from basewarden.app import build_api, build_registry
from basewarden.gateway import DATA_ERRORS
from basewarden.operations.api import list_data_errors, read_reference, write_markdown
from basewarden.settings import load_settings
from basewarden.web import Registry

PAGE = Path(__file__).resolve().parent.parent / "docs" / "api.md"
ORIGIN = "https://basewarden.example.com"
_NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


def make_page() -> str:
    """Returns the page for the code of this checkout; it connects to nothing."""
    document = build_api(make_registry()).openapi()
    return write_markdown(read_reference(document, ORIGIN), list_data_errors(DATA_ERRORS))


def make_registry() -> Registry:
    """Returns the objects of a product that is not started."""
    settings = load_settings(
        DATABASE_URL=_NOWHERE,
        BASEWARDEN_SECRET=secrets.token_urlsafe(32),
        BASEWARDEN_ENCRYPTION_KEY=b64encode(secrets.token_bytes(32)).decode(),
    )
    return build_registry(settings)
