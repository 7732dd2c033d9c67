"""What a caller may do: pure decisions on a request and on its plan."""

from basewarden.policy.columns import apply_column_rules
from basewarden.policy.decisions import Allowed, Decision, Refused, decide, decide_cascade, decide_head, find_reach
from basewarden.policy.errors import (
    BudgetExceeded,
    ColumnDenied,
    EgressBlocked,
    FilterRequired,
    ReadOnly,
    RowLimit,
    TableDenied,
    row_limit,
    table_denied,
)
from basewarden.policy.guard import STRANGER_ROWS, GuardEffects, GuardFacts, GuardMarks, GuardRules
from basewarden.policy.model import Policy, VisibleNames
from basewarden.policy.names import find_unknown_columns, find_unknown_names, format_table, read_name
from basewarden.policy.read_counter import ReadCounter
from basewarden.policy.sensitive_names import is_sensitive_name
from basewarden.policy.statements import CountedRows, add_use, lock_use, make_hours, read_use, settle_use
from basewarden.policy.usage import HourOfUse
from basewarden.policy.value_patterns import classify_column

__all__ = [
    "STRANGER_ROWS",
    "Allowed",
    "BudgetExceeded",
    "ColumnDenied",
    "CountedRows",
    "Decision",
    "EgressBlocked",
    "FilterRequired",
    "GuardEffects",
    "GuardFacts",
    "GuardMarks",
    "GuardRules",
    "HourOfUse",
    "Policy",
    "ReadCounter",
    "ReadOnly",
    "Refused",
    "RowLimit",
    "TableDenied",
    "VisibleNames",
    "add_use",
    "apply_column_rules",
    "classify_column",
    "decide",
    "decide_cascade",
    "decide_head",
    "find_reach",
    "find_unknown_columns",
    "find_unknown_names",
    "format_table",
    "is_sensitive_name",
    "lock_use",
    "make_hours",
    "read_name",
    "read_use",
    "row_limit",
    "settle_use",
    "table_denied",
]
