"""PostgREST's contract on one Postgres: request -> plan -> statement -> result -> response.

Nothing here knows the rest of the program.
"""

from pgrest.address import ApiAddress, parse_address
from pgrest.config import Name, RestConfig
from pgrest.errors import (
    DatabaseError,
    DatabaseErrorFields,
    PgrestError,
    bad_preferences,
    column_not_found,
    from_database,
    max_affected_exceeded,
    media_not_available,
    not_singular,
    too_deep,
)
from pgrest.execute import Script, execute, is_rolled_back, make_script, run_again, run_read
from pgrest.openapi import Reach, describe_schema
from pgrest.prepare import HttpCall, Prepared, prepare, read_head
from pgrest.query.bodies import read_body
from pgrest.query.grammar import media
from pgrest.query.grammar.media import MediaType
from pgrest.query.grammar.nodes import SelectField, SelectItem, SelectRelation
from pgrest.query.grammar.prefer import Preferences
from pgrest.query.hiding import MASK_TEXT
from pgrest.query.json_slices import decode_rows
from pgrest.query.named_columns import ALL_COLUMNS, ColumnName, NamedColumns, list_named_columns, list_reported_columns
from pgrest.query.payload import LARGE_BODY_BYTES, Payload, split_optional_pairs
from pgrest.query.plan import (
    CallPlan,
    DatabasePlan,
    DeletePlan,
    InfoPlan,
    InsertPlan,
    OpenApiPlan,
    Plan,
    ReadPlan,
    UpdatePlan,
    UsedFunction,
    WritePlan,
    plan_request,
)
from pgrest.query.query_string import chooses_rows, join_query, match_rows, split_query, split_select, write_name
from pgrest.query.request import METHODS_WITH_BODY, Request, parse_head, parse_request
from pgrest.query.templates import PlanTemplate, PlanTemplates, RequestShape, make_template, shape_request
from pgrest.query.tree import ReadNode
from pgrest.query.user_code import may_reach_code, may_run_code
from pgrest.response import (
    Response,
    make_error_response,
    make_info_response,
    make_openapi_response,
    make_response,
)
from pgrest.schema.audience_facts import AudienceFacts, Readers, load_audience_facts
from pgrest.schema.cache import SchemaCache
from pgrest.schema.catalog_version import FIRST_OWN_OID, ask_catalog_version, read_catalog_version
from pgrest.schema.column_facts import ColumnFacts, ColumnGroup, GeneratedFacts, ViewFacts, load_column_facts
from pgrest.schema.introspection import load_schema
from pgrest.schema.model import (
    Column,
    ColumnRules,
    DbRole,
    ForeignKey,
    Function,
    Parameter,
    Schema,
    Table,
    TableKind,
    Trigger,
    UniqueKey,
)
from pgrest.schema.narrowing import NarrowedSchema, hide_columns, narrow_schema
from pgrest.schema.reach import CHANGES_CHILDREN, is_reach_current, is_table_current, reach_check, table_check
from pgrest.schema.refresher import Loaded
from pgrest.schema.relations import Relationships
from pgrest.schema.schema_diff import is_reach_same
from pgrest.sql.cutting import TextLimit, cut_texts
from pgrest.sql.returning import (
    CANONICAL,
    TRANSACTION_FACTS,
    ReturningSpec,
    WriteImages,
    read_write_images,
    returning_write_sql,
)
from pgrest.sql.session import Session, session_settings, set_settings
from pgrest.sql.statements import (
    Result,
    build_count_estimate,
    build_statement,
    needs_verdict,
    read_result,
    verify_result,
)
from pgrest.sql.text import (
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
from pgrest.sql.write import Keys, key_columns, key_type, payload_sql, same_sql, where_sql
from pgrest.wire.budget import MemoryBudget, Meter
from pgrest.wire.connection import DbConnection, Notification, Rows
from pgrest.wire.pipeline import Pipeline
from pgrest.wire.places import Terms
from pgrest.wire.pool import Lease, Pool
from pgrest.wire.resetting import reset_and_commit, roll_back

__all__ = [
    "ALL_COLUMNS",
    "CANONICAL",
    "CHANGES_CHILDREN",
    "FIRST_OWN_OID",
    "LARGE_BODY_BYTES",
    "MASK_TEXT",
    "METHODS_WITH_BODY",
    "TRANSACTION_FACTS",
    "ApiAddress",
    "AudienceFacts",
    "Builder",
    "CallPlan",
    "Column",
    "ColumnFacts",
    "ColumnGroup",
    "ColumnName",
    "ColumnRules",
    "DatabaseError",
    "DatabaseErrorFields",
    "DatabasePlan",
    "DbConnection",
    "DbRole",
    "DeletePlan",
    "ForeignKey",
    "Function",
    "GeneratedFacts",
    "HttpCall",
    "InfoPlan",
    "InsertPlan",
    "Keys",
    "Lease",
    "Loaded",
    "MediaType",
    "MemoryBudget",
    "Meter",
    "Name",
    "NamedColumns",
    "NarrowedSchema",
    "Notification",
    "OpenApiPlan",
    "Parameter",
    "Payload",
    "PgrestError",
    "Pipeline",
    "Plan",
    "PlanTemplate",
    "PlanTemplates",
    "Pool",
    "Preferences",
    "Prepared",
    "Reach",
    "ReadNode",
    "ReadPlan",
    "Readers",
    "Relationships",
    "Request",
    "RequestShape",
    "Response",
    "RestConfig",
    "Result",
    "ReturningSpec",
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
    "TableKind",
    "Terms",
    "TextLimit",
    "Trigger",
    "UniqueKey",
    "UpdatePlan",
    "UsedFunction",
    "ViewFacts",
    "WriteImages",
    "WritePlan",
    "array_literal",
    "ask_catalog_version",
    "bad_preferences",
    "build_count_estimate",
    "build_statement",
    "chooses_rows",
    "column_not_found",
    "cut_texts",
    "decode_rows",
    "describe_schema",
    "execute",
    "from_database",
    "hide_columns",
    "is_reach_current",
    "is_reach_same",
    "is_rolled_back",
    "is_table_current",
    "join_query",
    "key_columns",
    "key_type",
    "list_named_columns",
    "list_reported_columns",
    "load_audience_facts",
    "load_column_facts",
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
    "prepare",
    "quote_column",
    "quote_ident",
    "quote_list",
    "quote_literal",
    "quote_name",
    "reach_check",
    "read_body",
    "read_catalog_version",
    "read_head",
    "read_result",
    "read_write_images",
    "reset_and_commit",
    "returning_write_sql",
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
    "too_deep",
    "unnest_sql",
    "verify_result",
    "where_sql",
    "write_name",
]
