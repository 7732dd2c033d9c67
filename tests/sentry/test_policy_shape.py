"""What a policy's expression says of who is let in, assessed on its parse tree."""

import pytest

from basewarden.sentry.policies.shape import PolicyAccess, PolicyShape, assess_expression, assess_view
from basewarden.sentry.policies.truth import PolicyCaller

_NOT_NULL = frozenset({"id"})
_ALWAYS_TRUE = [
    "true",
    "'t'::boolean",
    "(1 = 1)",
    "('a'::text = 'a'::text)",
    "(2 > 1)",
    "(id = id)",
    "(owner_id = owner_id)",
    "(id IS NOT NULL)",
    "((user_id = auth.uid()) OR true)",
    "((user_id = auth.uid()) OR ((1 = 1) AND (NOT false)))",
    "((x IS NOT NULL) OR (x IS NULL))",
    "(is_public OR (NOT is_public) OR (is_public IS NULL))",
    "((status = 'a'::text) OR (status <> 'a'::text))",
    "((price < 3) OR (price >= 3))",
    "COALESCE(true, false)",
    "COALESCE(NULL::boolean, true)",
    "(true IS NOT FALSE)",
    "CASE WHEN (user_id = auth.uid()) THEN true ELSE true END",
    "CASE WHEN false THEN false ELSE true END",
    "(public.is_admin() OR true)",
    "(SELECT true)",
    "(EXISTS ( SELECT 1))",
    "(EXISTS ( SELECT count(*) AS count FROM members m WHERE (m.user_id = auth.uid())))",
    "(auth.role() = ANY (ARRAY['anon'::text, 'authenticated'::text]))",
    "(auth.role() = ANY ('{anon,authenticated}'::text[]))",
    "(auth.role() IS NOT NULL)",
    "(auth.jwt() IS NOT NULL)",
    "(to_jsonb(auth.jwt()) IS NOT NULL)",
    "(auth.role() <> 'service_role'::text)",
]
_ALL_SIGNED_IN = [
    "(auth.uid() IS NOT NULL)",
    "(( SELECT auth.uid() AS uid) IS NOT NULL)",
    "(auth.role() = 'authenticated'::text)",
    "(( SELECT auth.role() AS role) = 'authenticated'::text)",
    "((auth.jwt() ->> 'role'::text) = 'authenticated'::text)",
    "(((current_setting('request.jwt.claims'::text, true))::jsonb ->> 'role'::text) = 'authenticated'::text)",
    "(CURRENT_USER = 'authenticated'::name)",
    "(auth.uid() = auth.uid())",
    "((auth.jwt() ->> 'sub'::text) IS NOT NULL)",
    "((auth.jwt() ->> 'aud'::text) = 'authenticated'::text)",
    "((auth.uid() = user_id) OR (auth.uid() IS NOT NULL))",
    "((auth.uid() = user_id) OR (auth.uid() <> user_id))",
    "(auth.uid() IN ( SELECT users.id FROM auth.users))",
    "(EXISTS ( SELECT 1 FROM auth.users u WHERE (u.id = auth.uid())))",
    "CASE WHEN (auth.uid() IS NULL) THEN false ELSE true END",
    "CASE auth.role() WHEN 'authenticated'::text THEN true ELSE false END",
    "(NOT (auth.uid() = user_id))",
    "((((auth.jwt() ->> 'is_anonymous'::text))::boolean IS FALSE) AND (auth.uid() IS NOT NULL))",
]
_OWNERS = [
    ("(auth.uid() = user_id)", {"user_id"}),
    ("(( SELECT auth.uid() AS uid) = user_id)", {"user_id"}),
    ("((user_id)::text = (auth.jwt() ->> 'sub'::text))", {"user_id"}),
    ("((auth.uid())::text = (user_id)::text)", {"user_id"}),
    ("(user_id = (NULLIF(current_setting('request.jwt.claim.sub'::text, true), ''::text))::uuid)", {"user_id"}),
    ("((auth.uid() = user_id) AND true)", {"user_id"}),
    ("(auth.uid() = ANY (members))", {"members"}),
    ("(auth.uid() = ANY (ARRAY[buyer_id, seller_id]))", {"buyer_id", "seller_id"}),
    ("((user_id IS NOT NULL) AND (user_id = auth.uid()))", {"user_id"}),
    ("(lower(email) = lower(auth.email()))", {"email"}),
    ("(email = (( SELECT u.email FROM auth.users u WHERE (u.id = auth.uid())))::text)", {"email"}),
    ("(tenant_id = ( SELECT p.tenant_id FROM profiles p WHERE (p.id = auth.uid())))", {"tenant_id"}),
    ("(team_id IN ( SELECT m.team_id FROM members m WHERE (m.user_id = auth.uid())))", {"team_id"}),
    ("(team_id = ANY (ARRAY( SELECT m.team_id FROM members m WHERE (m.user_id = auth.uid()))))", {"team_id"}),
    ("(auth.uid() IN ( SELECT m.user_id FROM members m WHERE (m.team_id = docs.team_id)))", set()),
    (
        "(EXISTS ( SELECT 1 FROM members m WHERE ((m.user_id = auth.uid()) AND (m.team_id = docs.team_id))))",
        {"team_id"},
    ),
    (
        (
            "(EXISTS ( SELECT 1 FROM (members m JOIN teams t ON ((t.id = m.team_id)))"
            " WHERE ((m.user_id = auth.uid()) AND (t.id = docs.team_id))))"
        ),
        {"team_id"},
    ),
    ("(EXISTS ( SELECT 1 FROM profiles p WHERE ((p.id = auth.uid()) AND (p.role = 'admin'::text))))", set()),
    ("(((auth.jwt() -> 'app_metadata'::text) ->> 'role'::text) = 'admin'::text)", set()),
    ("((auth.jwt() #>> '{app_metadata,tenant}'::text[]) = (tenant_id)::text)", {"tenant_id"}),
    ("(tenant_id = (current_setting('app.tenant_id'::text, true))::integer)", {"tenant_id"}),
    ("CASE WHEN (auth.uid() = user_id) THEN true ELSE false END", {"user_id"}),
    ("((auth.uid() = user_id) IS TRUE)", {"user_id"}),
    ("(NOT (auth.uid() <> user_id))", {"user_id"}),
]
_METADATA = [
    "(((auth.jwt() -> 'user_metadata'::text) ->> 'role'::text) = 'admin'::text)",
    "((auth.jwt() #>> '{user_metadata,role}'::text[]) = 'admin'::text)",
    "((((auth.jwt())['user_metadata'::text]) ->> 'role'::text) = 'admin'::text)",
    "(jsonb_extract_path_text(auth.jwt(), VARIADIC ARRAY['user_metadata'::text, 'role'::text]) = 'admin'::text)",
    "((((current_setting('request.jwt.claims'::text, true))::jsonb -> 'user_metadata'::text) ->> 'org'::text) = org)",
    (
        "(EXISTS ( SELECT 1 FROM auth.users u WHERE ((u.id = auth.uid()) AND"
        " ((u.raw_user_meta_data ->> 'role'::text) = 'admin'::text))))"
    ),
    (
        "(( SELECT (users.raw_user_meta_data ->> 'role'::text) FROM auth.users WHERE (users.id = auth.uid()))"
        " = 'admin'::text)"
    ),
]
_UNKNOWN = [
    "public.is_admin()",
    "public.has_role(auth.uid(), 'admin'::text)",
    "(user_id = public.me())",
    "(NOT public.is_banned())",
    "((auth.uid() IS NOT NULL) AND public.may_read(id))",
    "(is_public OR public.is_admin())",
    "(id IN ( SELECT 1 UNION SELECT 2))",
    "((",
    "true), (false",
    "",
]


def _assess(text: str) -> PolicyShape:
    return assess_expression(text, _NOT_NULL)


@pytest.mark.parametrize("text", _ALWAYS_TRUE)
def test_always_true(text: str) -> None:
    assert _assess(text).is_always_true, _assess(text)


@pytest.mark.parametrize("text", _ALL_SIGNED_IN)
def test_signed_in_is_not_owner(text: str) -> None:
    shape = _assess(text)
    assert shape.lets_all_signed_in, shape
    assert not shape.is_always_true


@pytest.mark.parametrize(("text", "columns"), _OWNERS)
def test_only_those_it_belongs_to(text: str, columns: set[str]) -> None:
    shape = _assess(text)
    assert shape.access[PolicyCaller.SIGNED_OUT] is PolicyAccess.NO_ROWS, shape
    assert shape.access[PolicyCaller.STRANGER] is PolicyAccess.NO_ROWS, shape
    assert shape.access[PolicyCaller.OWNER] in (PolicyAccess.SOME_ROWS, PolicyAccess.ALL_ROWS), shape
    assert shape.compared == columns
    assert not shape.reads_user_metadata


@pytest.mark.parametrize("text", _METADATA)
def test_what_users_write_about_themselves(text: str) -> None:
    shape = _assess(text)
    assert shape.reads_user_metadata, shape
    assert shape.access[PolicyCaller.STRANGER] is PolicyAccess.NO_ROWS, shape
    assert shape.access[PolicyCaller.FORGER] is not PolicyAccess.NO_ROWS, shape


@pytest.mark.parametrize("text", _UNKNOWN)
def test_what_cannot_be_followed_is_unknown(text: str) -> None:
    shape = _assess(text)
    assert shape.access[PolicyCaller.STRANGER] in (PolicyAccess.UNKNOWN, PolicyAccess.NO_ROWS), shape
    assert PolicyAccess.UNKNOWN in shape.access.values(), shape


@pytest.mark.parametrize(
    "text", ["false", "(1 = 2)", "NULL::boolean", "((auth.uid() = user_id) AND false)", "(NOT true)"]
)
def test_no_caller_is_admitted(text: str) -> None:
    assert _assess(text).lets_none_in, _assess(text)


@pytest.mark.parametrize("text", ["is_public", "(status = 'open'::text)", "(deleted_at IS NULL)", "(user_id IS NULL)"])
def test_some_rows_are_open_to_everyone(text: str) -> None:
    shape = _assess(text)
    assert set(shape.access.values()) == {PolicyAccess.SOME_ROWS}
    assert not shape.asks_who


def test_guests_are_let_in_and_users_are_not() -> None:
    shape = _assess("(auth.uid() IS NULL)")
    assert shape.access[PolicyCaller.SIGNED_OUT] is PolicyAccess.ALL_ROWS
    assert shape.access[PolicyCaller.STRANGER] is PolicyAccess.NO_ROWS


def test_a_subquery_that_compares_its_own_column_with_itself() -> None:
    shape = _assess("(EXISTS ( SELECT 1 FROM members m WHERE ((m.user_id = auth.uid()) AND (m.team_id = m.team_id))))")
    assert shape.repeated == {"team_id"}


@pytest.mark.parametrize(
    ("definition", "access"),
    [
        (" SELECT notes.id FROM public.notes WHERE (notes.user_id = auth.uid());", PolicyAccess.NO_ROWS),
        (" SELECT users.id FROM auth.users WHERE (users.id = auth.uid());", PolicyAccess.NO_ROWS),
        (" SELECT n.id FROM (public.notes n JOIN public.m ON ((m.id = auth.uid())));", PolicyAccess.NO_ROWS),
        (" SELECT n.id FROM (public.notes n LEFT JOIN public.m ON ((m.id = auth.uid())));", PolicyAccess.ALL_ROWS),
        (" SELECT notes.id FROM public.notes;", PolicyAccess.ALL_ROWS),
        (" SELECT notes.id FROM public.notes WHERE notes.is_public;", PolicyAccess.SOME_ROWS),
        (" SELECT 1 FROM public.a UNION SELECT 2 FROM public.b;", PolicyAccess.UNKNOWN),
        (" SELECT 1 FROM public.a WHERE public.is_admin();", PolicyAccess.UNKNOWN),
    ],
)
def test_whom_a_view_shows_rows_to(definition: str, access: PolicyAccess) -> None:
    assert assess_view(definition).access[PolicyCaller.STRANGER] is access


def test_who_is_asked_for_each_row() -> None:
    assert _assess("(auth.uid() = user_id)").is_slow
    assert not _assess("(( SELECT auth.uid() AS uid) = user_id)").is_slow


def test_an_expression_that_has_no_end_is_unknown() -> None:
    assert (
        _assess(" OR ".join(f"(a{n} = b{n})" for n in range(25))).access[PolicyCaller.SIGNED_OUT]
        is PolicyAccess.SOME_ROWS
    )
    deep = "(" * 300 + "true" + ")" * 300
    assert _assess(deep).is_always_true
    assert _assess("NOT " * 2_000 + "true").access[PolicyCaller.SIGNED_OUT] is PolicyAccess.UNKNOWN
    wide = " AND ".join(f"((a{n} = b{n}) OR (c{n} = d{n}))" for n in range(30))
    assert not _assess(wide).is_always_true
