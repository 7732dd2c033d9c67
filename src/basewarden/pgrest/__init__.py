"""PostgREST's contract on one Postgres: request -> plan -> statement -> result -> response.

Nothing here knows the rest of the program.
"""

from basewarden.pgrest.cache import SchemaCache
from basewarden.pgrest.config import Name, RestConfig
from basewarden.pgrest.errors import (
    DatabaseError,
    PgrestError,
    bad_preferences,
    column_not_found,
    from_database,
    max_affected_exceeded,
    media_not_available,
    not_singular,
)
from basewarden.pgrest.execute import Script, execute, is_rolled_back, make_script, run_read
from basewarden.pgrest.grammar import media
from basewarden.pgrest.grammar.media import MediaType
from basewarden.pgrest.grammar.nodes import SelectField, SelectItem, SelectRelation
from basewarden.pgrest.introspection import FINGERPRINT, load_schema
from basewarden.pgrest.openapi import describe_schema
from basewarden.pgrest.plan import (
    CallPlan,
    DatabasePlan,
    DeletePlan,
    InfoPlan,
    InsertPlan,
    OpenApiPlan,
    Plan,
    ReadPlan,
    UpdatePlan,
    WritePlan,
    plan_request,
)
from basewarden.pgrest.pool import Pool
from basewarden.pgrest.querytext import chooses_rows, join_query, match_rows, split_query, split_select, write_name
from basewarden.pgrest.request import Request, parse_request
from basewarden.pgrest.response import (
    Response,
    make_error_response,
    make_info_response,
    make_openapi_response,
    make_response,
)
from basewarden.pgrest.schema import Column, ForeignKey, Function, Role, Schema, Table, Trigger, UniqueKey
from basewarden.pgrest.session import Session, session_settings
from basewarden.pgrest.sql import (
    Builder,
    Statement,
    array_literal,
    quote_column,
    quote_ident,
    quote_list,
    quote_name,
)
from basewarden.pgrest.statements import (
    Result,
    build_count_estimate,
    build_statement,
    needs_verdict,
    read_result,
    verify_result,
)
from basewarden.pgrest.wire import Connection, Notification, Rows
from basewarden.pgrest.writesql import Keys, key_columns, key_type, payload_sql, where_sql

__all__ = [
    "FINGERPRINT",
    "Builder",
    "CallPlan",
    "Column",
    "Connection",
    "DatabaseError",
    "DatabasePlan",
    "DeletePlan",
    "ForeignKey",
    "Function",
    "InfoPlan",
    "InsertPlan",
    "Keys",
    "MediaType",
    "Name",
    "Notification",
    "OpenApiPlan",
    "PgrestError",
    "Plan",
    "Pool",
    "ReadPlan",
    "Request",
    "Response",
    "RestConfig",
    "Result",
    "Role",
    "Rows",
    "Schema",
    "SchemaCache",
    "Script",
    "SelectField",
    "SelectItem",
    "SelectRelation",
    "Session",
    "Statement",
    "Table",
    "Trigger",
    "UniqueKey",
    "UpdatePlan",
    "WritePlan",
    "array_literal",
    "bad_preferences",
    "build_count_estimate",
    "build_statement",
    "chooses_rows",
    "column_not_found",
    "describe_schema",
    "execute",
    "from_database",
    "is_rolled_back",
    "join_query",
    "key_columns",
    "key_type",
    "load_schema",
    "make_error_response",
    "make_info_response",
    "make_openapi_response",
    "make_response",
    "make_script",
    "match_rows",
    "max_affected_exceeded",
    "media",
    "media_not_available",
    "needs_verdict",
    "not_singular",
    "parse_request",
    "payload_sql",
    "plan_request",
    "quote_column",
    "quote_ident",
    "quote_list",
    "quote_name",
    "read_result",
    "run_read",
    "session_settings",
    "split_query",
    "split_select",
    "verify_result",
    "where_sql",
    "write_name",
]
