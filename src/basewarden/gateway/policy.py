"""Holds a request, and then its plan, against the caller's policy and what can be recorded, before a row is touched."""

from basewarden.gateway.recording.capturable import CAPTURED_KINDS, check_functions, check_table
from basewarden.policy import Decision, Policy, Refused, decide, decide_head, find_reach
from pgrest import DatabasePlan, Reach, Request, Schema, WritePlan


def check_head(policy: Policy, request: Request, schema: Schema | None) -> None:
    """Raises what can be refused before the body is read."""
    _require(decide_head(policy, request, schema))


def check_plan(policy: Policy, plan: DatabasePlan, *, again: bool = False) -> None:
    """`again`: what does not depend on the caller was checked before."""
    _require(decide(policy, plan))
    if isinstance(plan, WritePlan):
        check_table(plan.table)
        if not again:
            check_functions(plan.functions())


def find_visible_schema(policy: Policy, schema: Schema) -> Reach:
    return find_reach(policy, schema, CAPTURED_KINDS)


def _require(decision: Decision) -> None:
    if isinstance(decision, Refused):
        raise decision.error
