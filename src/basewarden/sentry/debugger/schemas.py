"""What the routes of the row security debugger take and answer."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from basewarden.core.text import check_encodable, check_storable
from basewarden.sentry.debugger.claims import MAX_CLAIMS
from basewarden.sentry.debugger.facts import DebuggedRole, DebuggedTable, ListedTable
from basewarden.sentry.debugger.policy_words import DescribedPolicy
from basewarden.sentry.debugger.requests import MAX_ROW, TrialCommand, TrialWish
from basewarden.sentry.debugger.results import TrialResult
from basewarden.sentry.debugger.verdicts import describe_result
from basewarden.web import RequestBody, ResponseBody

_Text = Annotated[str, AfterValidator(check_storable), AfterValidator(check_encodable)]


class ListedTableOut(ResponseBody):
    schema_: str = Field(alias="schema")
    name: str = Field(examples=["notes"])
    has_rls: bool
    policies: int = Field(description="How many it has.")


class ListedTablesOut(ResponseBody):
    tables: list[ListedTableOut] = Field(description="At most 1,000.")


class PolicySentenceOut(ResponseBody):
    who: str = Field(examples=["Signed in"])
    rows: str = Field(examples=["only rows whose user_id is theirs"])


class PolicyPartOut(ResponseBody):
    keyword: str = Field(examples=["USING"])
    sql: str = Field(examples=["(user_id = auth.uid())"])
    sentences: list[PolicySentenceOut]
    note: str


class TablePolicyOut(ResponseBody):
    name: str
    command: Literal["select", "insert", "update", "delete", "all"]
    is_permissive: bool
    roles: list[str]
    summary: str
    parts: list[PolicyPartOut]


class TableRoleOut(ResponseBody):
    """A role, and what it may do before any policy is asked."""

    name: str = Field(examples=["anon"])
    may_try: bool = Field(description="Whether the connection's login may become it.")
    rights: list[str] = Field(examples=[["select"]], description="On the whole table.")
    columns: dict[str, list[str]] = Field(description="By command, where the right is on these columns alone.")
    asks_policies: bool


class TablePoliciesOut(ResponseBody):
    schema_: str = Field(alias="schema")
    name: str
    owner: str
    has_rls: bool
    forces_rls: bool
    policies: list[TablePolicyOut]
    roles: list[TableRoleOut]


class TrialBody(RequestBody):
    command: TrialCommand
    role: Annotated[_Text, Field(min_length=1, max_length=63)] = Field(examples=["authenticated"])
    user_id: Annotated[_Text, Field(max_length=200)] = Field(default="", description="The claim `sub`.")
    claims: Annotated[_Text, Field(max_length=MAX_CLAIMS)] = Field(
        default="", description="Further claims, as the text of a JSON object.", examples=['{"email": "a@example.com"}']
    )
    row: Annotated[_Text, Field(max_length=MAX_ROW)] = Field(
        default="", description="To insert or to set, as the text of a JSON object.", examples=['{"title": "Lamp"}']
    )
    runs_code: bool = Field(default=False, description="Confirms that triggers, rules and cascades of the table run.")

    def as_wish(self) -> TrialWish:
        return TrialWish(self.command, self.role, self.user_id, self.claims, self.row, self.runs_code)


class PolicyVerdictOut(ResponseBody):
    policy: str
    kind: Literal["permissive", "restrictive"]
    part: str = Field(examples=["WITH CHECK"])
    passed: int | None = Field(description="Rows that it is true for; null where it could not be asked for itself.")
    of: int


class TrialOut(ResponseBody):
    """Everything was rolled back. No value of a row is in it."""

    outcome: Literal["allowed", "denied_privilege", "denied_policy", "empty", "error", "not_run"]
    sentence: str
    reasons: list[str]
    rows: int | None = Field(description="Rows that were read, added, changed or deleted.")
    of: int | None = Field(description="Rows that were tried; of a select, those of the table up to 10,000.")
    missing: list[str] = Field(description="Privileges that the role lacks.", examples=[["UPDATE on notes"]])
    policies: list[PolicyVerdictOut]
    error: str


def list_body(tables: Sequence[ListedTable]) -> ListedTablesOut:
    return ListedTablesOut(
        tables=[
            ListedTableOut(schema=one.schema, name=one.name, has_rls=one.has_rls, policies=one.policies)
            for one in tables
        ]
    )


def table_body(table: DebuggedTable, described: Sequence[DescribedPolicy]) -> TablePoliciesOut:
    return TablePoliciesOut(
        schema=table.schema,
        name=table.name,
        owner=table.owner,
        has_rls=table.has_rls,
        forces_rls=table.forces_rls,
        policies=[
            TablePolicyOut(
                name=policy.name,
                command=policy.command,
                is_permissive=policy.is_permissive,
                roles=list(policy.roles),
                summary=words.summary,
                parts=_list_parts(words),
            )
            for policy, words in zip(table.policies, described, strict=True)
        ],
        roles=[_role_body(one) for one in table.roles],
    )


def _list_parts(policy: DescribedPolicy) -> list[PolicyPartOut]:
    return [
        PolicyPartOut(
            keyword=part.keyword,
            sql=part.sql,
            sentences=[PolicySentenceOut(who=one.who, rows=one.what) for one in part.sentences],
            note=part.note,
        )
        for part in policy.parts
    ]


def _role_body(role: DebuggedRole) -> TableRoleOut:
    return TableRoleOut(
        name=role.name,
        may_try=role.may_try,
        rights=list(role.rights) if role.may_enter else [],
        columns={command: list(names) for command, names in list_column_rights(role)},
        asks_policies=not role.passes,
    )


def list_column_rights(role: DebuggedRole) -> Sequence[tuple[str, Sequence[str]]]:
    """Commands that the role may use on some columns alone."""
    commands = ("select", "insert", "update") if role.may_enter else ()
    return [
        (command, role.list_columns(command))
        for command in commands
        if command not in role.rights and role.list_columns(command)
    ]


def trial_body(result: TrialResult) -> TrialOut:
    verdict = describe_result(result)
    is_select = result.request.command is TrialCommand.SELECT
    return TrialOut(
        outcome=result.outcome.value,
        sentence=verdict.sentence,
        reasons=list(verdict.reasons),
        rows=result.rows,
        of=result.total if is_select else result.of,
        missing=list(result.missing),
        policies=[
            PolicyVerdictOut(
                policy=one.policy.name,
                kind="permissive" if one.policy.is_permissive else "restrictive",
                part=one.part,
                passed=one.passed,
                of=one.of,
            )
            for one in result.answers
        ],
        error=verdict.error,
    )
