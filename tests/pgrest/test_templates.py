"""A read planned once and asked again with other values answers as if it had been planned again."""

import pytest

from pgrest import (
    CallPlan,
    DbConnection,
    PgrestError,
    PlanTemplates,
    ReadPlan,
    Request,
    RestConfig,
    Schema,
    Session,
    execute,
    make_response,
    make_template,
    parse_request,
    plan_request,
    run_read,
    shape_request,
)
from pgrest.query.templates import MOST_KEPT

CONFIG = RestConfig(schemas=("public",))
HEADERS = [(b"accept", b"application/json"), (b"prefer", b"count=estimated")]


def plan(schema: Schema, path: str, query: str) -> tuple[Request, ReadPlan | CallPlan]:
    request = parse_request("GET", path, query.encode(), HEADERS, b"", config=CONFIG)
    planned = plan_request(schema, request, CONFIG)
    assert isinstance(planned, ReadPlan | CallPlan)
    return request, planned


@pytest.mark.parametrize(
    ("path", "first", "second"),
    [
        ("/customers", "id=eq.1", "id=eq.2"),
        ("/customers", "id=not.eq.1&order=id", "id=not.eq.3&order=id"),
        ("/customers", "name=like.A*", "name=like.*d*"),
        ("/customers", "name=ilike.*D*&select=id&order=id", "name=ilike.b*&select=id&order=id"),
        ("/customers", "name=eq.A*", "name=eq.Ada"),
        ("/customers", "tags=cs.{vip}", "tags=cs.{eu}"),
        ("/customers", "profile->>n=eq.7", "profile->>n=eq.5"),
        ("/customers", "id=gt.0&id=lt.3&limit=1", "id=gt.1&id=lt.9&limit=1"),
        ("/customers", "name=eq.x&or=(id.eq.1,id.eq.2)", "name=eq.Bob&or=(id.eq.1,id.eq.2)"),
        ("/customers", "id=in.(1,2)&name=neq.Bob", "id=in.(1,2)&name=neq.Ada"),
        ("/customers", "name=like(any).{A*,B*}&id=eq.1", "name=like(any).{A*,B*}&id=eq.2"),
        ("/customers", "select=id,orders!customer_id(id,state)&orders.state=eq.paid&id=eq.1",
         "select=id,orders!customer_id(id,state)&orders.state=eq.new&id=eq.1"),
        ("/orders", "select=id,customers!customer_id!inner(name)&customers.name=eq.Bob",
         "select=id,customers!customer_id!inner(name)&customers.name=eq.Ada"),
        ("/products", "words=fts.apple&sku=eq.a", "words=fts.apple&sku=eq.b"),
        ("/customers", "name=eq.it's \"quoted\"%3B drop", "name=eq."),
    ],
)  # fmt: skip
async def test_other_values_in_the_same_shape(
    conn: DbConnection, schema: Schema, path: str, first: str, second: str
) -> None:
    one, other = (shape_request("GET", path, query.encode(), HEADERS, b"") for query in (first, second))
    assert one is not None
    assert other is not None
    assert one.shape == other.shape
    request, planned = plan(schema, path, first)
    template = make_template(schema, request, planned)
    script = template.make_script(other, Session(), CONFIG, HEADERS)
    quick = make_response(template.request, template.plan, await run_read(conn, template.plan, script), other.canonical)
    request, planned = plan(schema, path, second)
    result = await execute(conn, planned, request, Session(), schema=schema, config=CONFIG)
    assert quick == make_response(request, planned, result)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("id=eq.1", "id=neq.1"),
        ("id=eq.1", "id=not.eq.1"),
        ("id=eq.1", "name=eq.1"),
        ("id=eq.1&name=eq.1", "name=eq.1&id=eq.1"),
        ("id=eq.1&limit=1", "id=eq.1&limit=2"),
        ("id=in.(1)", "id=in.(1,2)"),
        ("id=is.null", "id=is.true"),
        ("id=fts(a).x", "id=fts(b).x"),
        ("id=eq(any).{1}", "id=eq(all).{1}"),
        ("select=id", "select=name"),
        ("select=eq.a", "select=eq.b"),
        ("order=eq.a", "order=eq.b"),
        ("or=(id.eq.1)", "or=(id.eq.2)"),
        ("id", "id="),
        ("id=eq.1", "id=eq.1&id=eq.1"),
    ],
)
def test_what_differs_in_more_than_a_value_is_another_shape(one: str, other: str) -> None:
    shapes = [shape_request("GET", "/customers", query.encode(), [], b"") for query in (one, other)]
    assert shapes[0] is not None
    assert shapes[1] is not None
    assert shapes[0].shape != shapes[1].shape


def test_headers_that_decide_are_part_of_the_shape() -> None:
    def shape(method: str, *headers: tuple[bytes, bytes]) -> object:
        found = shape_request(method, "/customers", b"id=eq.1", headers, b"")
        assert found is not None
        return found.shape

    plain = shape("GET")
    assert shape("GET", (b"x-request-id", b"7"), (b"user-agent", b"x")) == plain
    for header in (b"accept", b"accept-profile", b"prefer", b"range"):
        assert shape("GET", (header, b"x")) != plain
    assert shape("HEAD") != plain


async def test_a_zero_byte_is_refused_in_a_filled_in_value_too(schema: Schema) -> None:
    request, planned = plan(schema, "/customers", "name=eq.a")
    template = make_template(schema, request, planned)
    hostile = shape_request("GET", "/customers", b"name=eq.%00", HEADERS, b"")
    assert hostile is not None
    with pytest.raises(PgrestError) as refused:
        template.make_script(hostile, Session(), CONFIG, HEADERS)
    assert refused.value.code == "22021"


async def test_they_are_bounded_and_belong_to_one_snapshot(conn: DbConnection, schema: Schema) -> None:
    kept = PlanTemplates()
    request, planned = plan(schema, "/customers", "id=eq.1")
    template = make_template(schema, request, planned)
    shapes = [shape_request("GET", "/customers", f"id=eq.1&limit={n}".encode(), [], b"") for n in range(MOST_KEPT + 1)]
    for shaped in shapes:
        assert shaped is not None
        kept.keep(shaped, template)
    assert shapes[0] is not None
    assert shapes[-1] is not None
    assert kept.find(shapes[0], schema) is None
    assert kept.find(shapes[-1], schema) is template
    assert kept.find(shapes[-1], Schema((), {})) is None
    assert shape_request("GET", "/customers", b"a" * 5000, [], b"") is None
