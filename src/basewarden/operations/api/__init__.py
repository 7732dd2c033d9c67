"""The API reference: `/docs/api` and `docs/api.md` are generated from the OpenAPI document."""

from basewarden.operations.api.introduction import INTRODUCTION
from basewarden.operations.api.markdown import write_markdown
from basewarden.operations.api.reference import list_data_errors, read_reference

__all__ = ["INTRODUCTION", "list_data_errors", "read_reference", "write_markdown"]
