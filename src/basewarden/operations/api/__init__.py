"""The API's contract, written once: the page `/docs/api` and `docs/api.md` show it, a test holds it to the routes."""

from basewarden.operations.api.contract import GROUPS
from basewarden.operations.api.entries import COMMON, Answer, Endpoint, Group
from basewarden.operations.api.markdown import write_markdown

__all__ = ["COMMON", "GROUPS", "Answer", "Endpoint", "Group", "write_markdown"]
