"""PostgREST's contract on one Postgres: request -> plan -> statement -> result -> response.

Nothing here knows the rest of the program.
"""

from basewarden.pgrest.address import Address, parse_address
from basewarden.pgrest.bodies import read_body
from basewarden.pgrest.budget import MemoryBudget, Meter
from basewarden.pgrest.cache import SchemaCache
from basewarden.pgrest.comparing import is_reach_same
from basewarden.pgrest.config import Name, RestConfig
from basewarden.pgrest.cutting import TextLimit, cut_texts
from basewarden.pgrest.errors import (
    DatabaseError,
    DatabaseErrorFields,
    PgrestError,
    bad_preferences,
    column_not_found,
    from_database,
    max_affected_exceeded,
    media_not_available,
    not_singular,
)
from basewarden.pgrest.execute import Script, execute, is_rolled_back, make_script, run_again, run_read
from basewarden.pgrest.freshness import Loaded
from basewarden.pgrest.grammar import media
from basewarden.pgrest.grammar.media import MediaType
from basewarden.pgrest.grammar.nodes import SelectField, SelectItem, SelectRelation
from basewarden.pgrest.grammar.prefer import Preferences
from basewarden.pgrest.introspection import load_schema
from basewarden.pgrest.narrowing import NarrowedSchema, narrow_schema
from basewarden.pgrest.openapi import Reach, describe_schema
from basewarden.pgrest.payload import LARGE_BODY_BYTES, Payload, split_optional_pairs
from basewarden.pgrest.places import Terms
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
from basewarden.pgrest.pool import Lease, Pool
from basewarden.pgrest.querytext import chooses_rows, join_query, match_rows, split_query, split_select, write_name
from basewarden.pgrest.reach import is_reach_current, is_table_current, reach_check, table_check
from basewarden.pgrest.relations import Relationships
from basewarden.pgrest.request import METHODS_WITH_BODY, Request, parse_head, parse_request
from basewarden.pgrest.resetting import reset_and_commit, roll_back
from basewarden.pgrest.response import (
    Response,
    make_error_response,
    make_info_response,
    make_openapi_response,
    make_response,
)
from basewarden.pgrest.schema import (
    Column,
    ForeignKey,
    Function,
    Parameter,
    Role,
    Schema,
    Table,
    TableKind,
    Trigger,
    UniqueKey,
)
from basewarden.pgrest.session import Session, session_settings, set_settings
from basewarden.pgrest.sql import (
    Builder,
    Statement,
    array_literal,
    operator_sql,
    quote_column,
    quote_ident,
    quote_list,
    quote_literal,
    quote_name,
    unnest_sql,
)
from basewarden.pgrest.stamps import FIRST_OWN_OID
from basewarden.pgrest.statements import (
    Result,
    build_count_estimate,
    build_statement,
    needs_verdict,
    read_result,
    verify_result,
)
from basewarden.pgrest.templates import PlanTemplate, PlanTemplates, Shaped, make_template, shape_request
from basewarden.pgrest.user_code import may_reach_code, may_run_code
from basewarden.pgrest.wire import Connection, Notification, Rows
from basewarden.pgrest.witnessed import CANONICAL, FACTS, Witness, Witnessed, read_witnessed, witnessed_write_sql
from basewarden.pgrest.writesql import Keys, key_columns, key_type, payload_sql, same_sql, where_sql

__all__ = [
    "CANONICAL",
    "FACTS",
    "FIRST_OWN_OID",
    "LARGE_BODY_BYTES",
    "METHODS_WITH_BODY",
    "Address",
    "Builder",
    "CallPlan",
    "Column",
    "Connection",
    "DatabaseError",
    "DatabaseErrorFields",
    "DatabasePlan",
    "DeletePlan",
    "ForeignKey",
    "Function",
    "InfoPlan",
    "InsertPlan",
    "Keys",
    "Lease",
    "Loaded",
    "MediaType",
    "MemoryBudget",
    "Meter",
    "Name",
    "NarrowedSchema",
    "Notification",
    "OpenApiPlan",
    "Parameter",
    "Payload",
    "PgrestError",
    "Plan",
    "PlanTemplate",
    "PlanTemplates",
    "Pool",
    "Preferences",
    "Reach",
    "ReadPlan",
    "Relationships",
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
    "Shaped",
    "Statement",
    "Table",
    "TableKind",
    "Terms",
    "TextLimit",
    "Trigger",
    "UniqueKey",
    "UpdatePlan",
    "Witness",
    "Witnessed",
    "WritePlan",
    "array_literal",
    "bad_preferences",
    "build_count_estimate",
    "build_statement",
    "chooses_rows",
    "column_not_found",
    "cut_texts",
    "describe_schema",
    "execute",
    "from_database",
    "is_reach_current",
    "is_reach_same",
    "is_rolled_back",
    "is_table_current",
    "join_query",
    "key_columns",
    "key_type",
    "load_schema",
    "make_error_response",
    "make_info_response",
    "make_openapi_response",
    "make_response",
    "make_script",
    "make_template",
    "match_rows",
    "max_affected_exceeded",
    "may_reach_code",
    "may_run_code",
    "media",
    "media_not_available",
    "narrow_schema",
    "needs_verdict",
    "not_singular",
    "operator_sql",
    "parse_address",
    "parse_head",
    "parse_request",
    "payload_sql",
    "plan_request",
    "quote_column",
    "quote_ident",
    "quote_list",
    "quote_literal",
    "quote_name",
    "reach_check",
    "read_body",
    "read_result",
    "read_witnessed",
    "reset_and_commit",
    "roll_back",
    "run_again",
    "run_read",
    "same_sql",
    "session_settings",
    "set_settings",
    "shape_request",
    "split_optional_pairs",
    "split_query",
    "split_select",
    "table_check",
    "unnest_sql",
    "verify_result",
    "where_sql",
    "witnessed_write_sql",
    "write_name",
]
