"""The root's document: each mapping by itself, then whole, as the server gives it to two roles."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

import msgspec
import psycopg
import pytest
from msgspec import structs
from schemathesis.specs.openapi.definitions import SWAGGER_20_VALIDATOR

from pgrest import RestConfig
from pgrest.address import ApiAddress, parse_address
from pgrest.openapi.access import SchemaAccess
from pgrest.openapi.document import write_document
from pgrest.openapi.reach import EVERYTHING, Reach
from pgrest.openapi.shared import refer, split_comment
from pgrest.openapi.types import describe_type, read_default
from pgrest.query.plan import OpenApiPlan
from pgrest.schema.model import Column, Schema, Table
from pgrest.server import RestServer
from pgrest.settings import BadSettings, ServerSettings, load_settings
from tests.fixtures.postgres import PostgresServer
from tests.pgrest.conftest import Client, PgrestAnswer, settings_for

# Mappings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("smallint", {"format": "int32", "type": "integer"}),
        ("integer", {"format": "int32", "type": "integer"}),
        ("bigint", {"format": "int64", "type": "integer"}),
        ("numeric", {"format": "numeric", "type": "number"}),
        ("double precision", {"format": "double precision", "type": "number"}),
        ("boolean", {"format": "boolean", "type": "boolean"}),
        ("character varying", {"format": "character varying", "type": "string"}),
        ("api.size", {"format": "api.size", "type": "string"}),
        ("uuid", {"format": "uuid", "type": "string"}),
        ("jsonb", {"format": "jsonb"}),
        ("bigint[]", {"format": "bigint[]", "type": "array", "items": {"type": "integer"}}),
        ("json[]", {"format": "json[]", "type": "array", "items": {}}),
    ],
)  # fmt: skip
def test_types(name: str, expected: object) -> None:
    assert describe_type(name) == expected


@pytest.mark.parametrize(
    ("name", "expression", "expected"),
    [
        ("text", "'it''s 5'::text", "it's 5"),
        ("text", "'a\\b\"c'::text", 'a\\b"c'),
        ("character", "'abc'::bpchar", "abc"),
        ("api.size", "'l'::api.size", "l"),
        ("time without time zone", "'13:00:00'::time(3) without time zone", "13:00:00"),
        ("timestamp with time zone", "now()", "now()"),
        ("text", "('a'::text || 'b'::text)", "('a'::text || 'b'::text)"),
        ("text", "NULL::character varying", None),
        ("integer", "42", 42),
        ("integer", "'-1'::integer", -1),
        ("numeric", "12345678901234567890.1234567890", "12345678901234567890.1234567890"),
        ("numeric", "'NaN'::numeric", None),
        ("integer", "nextval('a_seq'::regclass)", None),
        ("integer", "true", None),
        ("boolean", "true", True),
        ("boolean", "1", None),
        ("jsonb", "'{\"a\": [1, \"it''s\"]}'::jsonb", {"a": [1, "it's"]}),
        ("jsonb", "'null'::jsonb", "null"),
        ("json", "to_json(1)", None),
        ("text[]", "'{}'::text[]", []),
        ("text[]", "ARRAY[]::text[]", []),
        ("text[]", "ARRAY['a'::text]", None),
        ("text", None, None),
    ],
)  # fmt: skip
def test_defaults(name: str, expression: str | None, expected: object) -> None:
    found = read_default(name, expression)
    if isinstance(found, msgspec.Raw):
        raw = bytes(found)
        assert expected == (raw.decode() if isinstance(expected, str) else json.loads(raw))
    else:
        assert (found, type(found)) == (expected, type(expected))


def test_an_expression_that_names_others_is_kept_back_on_request() -> None:
    for expression in ("api.secret()", "nextval('secrets_id_seq'::regclass)", '"Secret"()'):
        assert read_default("text", expression, names_others=False) is None
    assert read_default("text", "gen_random_uuid()", names_others=False) == "gen_random_uuid()"
    assert read_default("text", "'a.b'::text", names_others=False) == "a.b"


def test_comments_and_references() -> None:
    assert split_comment(None) == {}
    assert split_comment("One") == {"summary": "One"}
    assert split_comment("One\n\n\nTwo\nthree\n") == {"summary": "One", "description": "Two\nthree\n"}
    assert refer("definitions", "ملخص b") == {"$ref": "#/definitions/ملخص b"}
    assert refer("definitions", "50%/~") == {"$ref": "#/definitions/50%25~1~0"}


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://example.com", ApiAddress("https", "example.com", 443)),
        ("HTTP://example.com/", ApiAddress("http", "example.com", 80)),
        ("https://example.com:8443/a/b", ApiAddress("https", "example.com", 8443, "/a/b")),
        ("http://[::1]:80", ApiAddress("http", "[::1]", 80)),
        *((bad, None) for bad in (
            "", "example.com", "ftp://example.com", "https:/x", "https://", "https://u:p@example.com", "https://a?b",
            "https://a#b", "https://a:0", "https://a:65536", "https://a:", "https://a:b", "https://a b", "https://a/ b",
        )),
    ],
)  # fmt: skip
def test_addresses(uri: str, expected: ApiAddress | None) -> None:
    if expected is None:
        with pytest.raises(ValueError):
            parse_address(uri)
    else:
        assert parse_address(uri) == expected


def test_the_servers_own_address_and_its_proxys() -> None:
    def served_at(**given: str) -> ApiAddress:
        return load_settings(None, {f"PGRST_{name.upper()}": value for name, value in given.items()}).rest.served_at

    assert served_at() == ApiAddress("http", "0.0.0.0", 3000)  # noqa: S104 - shown, not bound
    assert served_at(server_host="*6", server_port="80") == ApiAddress("http", "0.0.0.0", 80)  # noqa: S104 - shown, not bound
    assert served_at(server_host="127.0.0.1") == ApiAddress("http", "127.0.0.1", 3000)
    assert served_at(server_host="::1") == ApiAddress("http", "[::1]", 3000)
    assert served_at(openapi_server_proxy_uri="https://a.example/x") == ApiAddress("https", "a.example", 443, "/x")
    with pytest.raises(BadSettings, match="openapi-server-proxy-uri takes an address"):
        served_at(openapi_server_proxy_uri="https://a.example?x")


def test_the_row_type_of_a_table_out_of_reach_is_some_record() -> None:
    tables: Any = dict.fromkeys([("a", "seen"), ("a", "Un seen")])
    schema = Schema(("a",), tables)
    reach = Reach(tables=frozenset({("a", "seen")}))
    assert reach.display_type(schema, 'a."Un seen"[]', "shown") == "record[]"
    for name in ("a.seen", "a.size", "text", "b.geometry(Point,4326)"):
        assert reach.display_type(schema, name, "shown") == "shown"
    assert EVERYTHING.display_type(schema, 'a."Un seen"', "shown") == "shown"


# Served -------------------------------------------------------------------------------------------------

_SCRIPT = """
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'web_anon') THEN CREATE ROLE web_anon; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'web_reader') THEN CREATE ROLE web_reader; END IF;
END $$;
CREATE SCHEMA api; CREATE SCHEMA hidden; CREATE SCHEMA "ملخص";
COMMENT ON SCHEMA api IS E'Mammals\\n\\nWarm-blooded,\\nwith milk.';
CREATE TYPE api.size AS ENUM ('s', 'l');
CREATE DOMAIN api.label AS varchar(20) NOT NULL DEFAULT 'none';
CREATE DOMAIN api.flags AS bit(3);
CREATE DOMAIN api.bulk AS api.size;
CREATE TABLE hidden.homes (id int PRIMARY KEY);
CREATE TABLE hidden.owners (id int PRIMARY KEY, name text);
CREATE VIEW api.owners AS SELECT id, name FROM hidden.owners;
CREATE TABLE api.animals (
  id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, label api.label, size api.size DEFAULT 'l',
  owner int REFERENCES hidden.owners, mother bigint REFERENCES api.animals, weight numeric(5, 2) DEFAULT -1.5,
  tags varchar(4)[] DEFAULT '{}', facts jsonb DEFAULT '{"legs": 4}', code char(8), flags api.flags,
  bulk api.bulk, home int REFERENCES hidden.homes,
  seen timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE api.animals IS E'All animals\\n\\nDead ones too.';
COMMENT ON COLUMN api.animals.mother IS 'Where known';
CREATE TABLE api.chips (animal bigint PRIMARY KEY REFERENCES api.animals, owner int UNIQUE REFERENCES hidden.owners);
CREATE VIEW api.adults AS SELECT id, mother FROM api.animals;
CREATE MATERIALIZED VIEW api.sizes AS SELECT DISTINCT size FROM api.animals;
CREATE VIEW api.inbox AS SELECT DISTINCT name FROM hidden.owners;
CREATE FUNCTION hidden.take() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER take INSTEAD OF INSERT ON api.inbox FOR EACH ROW EXECUTE FUNCTION hidden.take();
CREATE TABLE api.years (at date, n int) PARTITION BY RANGE (at);
CREATE TABLE api.year_one PARTITION OF api.years FOR VALUES FROM ('0001-01-01') TO ('0002-01-01');
CREATE TABLE api."50%/~ a" (id int);
CREATE TABLE api.bare ();
CREATE TABLE "ملخص"."سطر" ("عمود" int);

CREATE FUNCTION api.add(a int, b int DEFAULT 10) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT a + b';
COMMENT ON FUNCTION api.add(int, int) IS E'Adds\\n\\nTwo numbers.';
CREATE FUNCTION api.add(a int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT a';
COMMENT ON FUNCTION api.add(int) IS 'Returns it';
CREATE FUNCTION api.sort(how api.size, facts jsonb, tags text[], VARIADIC more bigint[] DEFAULT '{}', OUT n int)
  STABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION api.feed() RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION api.keep(jsonb) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION api.store(bytea) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION api.vet(of text) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION api.refuse() RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''closed''; END';

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA api FROM public;
GRANT USAGE ON SCHEMA api, "ملخص" TO web_anon, web_reader;
GRANT ALL ON ALL TABLES IN SCHEMA api, "ملخص" TO web_anon;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA api TO web_anon;
GRANT SELECT ON api.owners TO web_reader;
GRANT REFERENCES (animal) ON api.chips TO web_reader;
GRANT EXECUTE ON FUNCTION api.add(int), api.vet TO web_reader;
"""


@dataclass(frozen=True)
class Zoo:
    """One database, and a server in front of it for each configuration that is asked for."""

    dsn: str = field(repr=False)
    stack: AsyncExitStack
    clients: dict[ServerSettings, Client] = field(default_factory=dict)

    async def ask(
        self,
        target: str = "/",
        method: str = "GET",
        *,
        role: str = "web_anon",
        headers: Mapping[str, str] | None = None,
        **config: Any,
    ) -> PgrestAnswer:
        rest = RestConfig(schemas=("api", "ملخص"), extra_search_path=(), **config)
        client = await self._serve(replace(settings_for(self.dsn, rest), anon_role=role))
        return await client.send(method, target, None, headers)

    async def _serve(self, settings: ServerSettings) -> Client:
        if settings not in self.clients:
            server = RestServer(settings)
            await server.start()
            self.stack.push_async_callback(server.stop)
            self.clients[settings] = Client(server)
        return self.clients[settings]

    async def read(self, **options: Any) -> Any:
        answer = await self.ask(**options)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/openapi+json; charset=utf-8")
        return answer.json()

    async def run(self, script: str) -> None:
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as conn:
            await conn.execute(script.encode())


@pytest.fixture(scope="module")
async def zoo(postgres: PostgresServer) -> AsyncIterator[Zoo]:
    async with AsyncExitStack() as stack:
        zoo = Zoo(await postgres.create_database(), stack)
        stack.push_async_callback(postgres.drop_database, zoo.dsn)
        await zoo.run(_SCRIPT)
        yield zoo


@pytest.fixture(scope="module")
async def document(zoo: Zoo) -> Any:
    return await zoo.read()


async def test_the_document_is_valid_and_every_reference_leads_somewhere(zoo: Zoo) -> None:
    document = await zoo.read(openapi_security=True, served_at=ApiAddress("https", "a.example", 443, "/x"))
    assert list(SWAGGER_20_VALIDATOR.iter_errors(document)) == []
    references = set(list_references(document))
    assert len(references) > 40
    for reference in references:
        found = document
        for step in unquote(reference.removeprefix("#/")).split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]


def list_references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from [value["$ref"]] if "$ref" in value else []
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from list_references(inner)


async def test_what_is_said_of_the_whole(zoo: Zoo, document: Any) -> None:
    assert document["info"] == {
        "version": "14.17",
        "title": "Mammals",
        "description": "Warm-blooded,\nwith milk.",
    }
    assert (document["host"], document["basePath"], document["schemes"]) == ("127.0.0.1:3000", "/", ["http"])
    types = [
        "application/json",
        "application/vnd.pgrst.object+json;nulls=stripped",
        "application/vnd.pgrst.object+json",
        "text/csv",
    ]
    assert document["consumes"] == document["produces"] == types
    assert document["externalDocs"]["url"] == "https://postgrest.org/en/v14/references/api.html"
    assert not {"security", "securityDefinitions"} & document.keys()
    other = await zoo.read(
        headers={"accept-profile": "ملخص"},
        openapi_security=True,
        served_at=ApiAddress("https", "a.example", 443, "/x"),
    )
    assert (other["host"], other["basePath"], other["schemes"]) == ("a.example:443", "/x", ["https"])
    assert other["info"]["title"] == "PostgREST API"
    assert other["security"] == [{"JWT": []}]
    assert list(other["paths"]) == ["/", "/سطر"]
    assert list(other["definitions"]["سطر"]["properties"]) == ["عمود"]


_KEY = "Note:\nThis is a Primary Key.<pk/>"


def lead(table: str, column: str) -> str:
    return f"This is a Foreign Key to `{table}.{column}`.<fk table='{table}' column='{column}'/>"


def test_a_definition(document: Any) -> None:
    assert document["definitions"]["animals"] == {
        "type": "object",
        "description": "All animals\n\nDead ones too.",
        "required": ["id", "label", "seen"],
        "properties": {
            "id": {"format": "int64", "type": "integer", "description": _KEY},
            "label": {"format": "character varying", "type": "string", "maxLength": 20, "default": "none"},
            "size": {"format": "api.size", "type": "string", "enum": ["s", "l"], "default": "l"},
            "owner": {"format": "int32", "type": "integer", "description": f"Note:\n{lead('owners', 'id')}"},
            "mother": {
                "format": "int64",
                "type": "integer",
                "description": f"Where known\n\nNote:\n{lead('animals', 'id')}",
            },
            "weight": {"format": "numeric", "type": "number", "default": -1.5},
            "tags": {
                "format": "character varying[]",
                "type": "array",
                "items": {"type": "string"},
                "default": [],
            },
            "facts": {"format": "jsonb", "default": {"legs": 4}},
            "code": {"format": "character", "type": "string", "maxLength": 8},
            "flags": {"format": "bit", "type": "string", "maxLength": 3},
            "bulk": {"format": "api.bulk", "type": "string", "enum": ["s", "l"]},
            "home": {"format": "int32", "type": "integer"},
            "seen": {"format": "timestamp with time zone", "type": "string", "default": "now()"},
        },
    }
    assert document["definitions"]["bare"] == {"type": "object"}


def test_keys_of_views_and_of_one_to_one(document: Any) -> None:
    """A foreign key is described where it is held, not where it leads; to a table rather than to a view of it."""

    def describe(table: str, column: str) -> str | None:
        text: str | None = document["definitions"][table]["properties"][column].get("description")
        return text

    assert describe("chips", "animal") == f"{_KEY}\n{lead('animals', 'id')}"
    assert describe("chips", "owner") == f"Note:\n{lead('owners', 'id')}"
    assert describe("owners", "id") == _KEY
    assert describe("adults", "id") == _KEY
    assert describe("adults", "mother") == f"Note:\n{lead('animals', 'id')}"


def test_methods_and_their_parameters(document: Any) -> None:
    """As OPTIONS says it: a view takes what can be done to it."""
    paths, parameters = document["paths"], document["parameters"]
    taken = {path: list(methods) for path, methods in paths.items() if "/rpc/" not in path}
    everything = ["get", "post", "patch", "delete"]
    assert taken == {
        "/": ["get"],
        "/50%/~ a": everything,
        "/adults": everything,
        "/animals": everything,
        "/bare": everything,
        "/chips": everything,
        "/inbox": ["get", "post"],
        "/owners": everything,
        "/sizes": ["get"],
        "/years": everything,
    }

    def list_names(method: str) -> list[str]:
        return [one["$ref"].removeprefix("#/parameters/") for one in paths["/chips"][method]["parameters"]]

    filters = ["rowFilter.chips.animal", "rowFilter.chips.owner"]
    assert list_names("get") == [
        *filters, "select", "order", "range", "rangeUnit", "offset", "limit", "preferCount",
    ]  # fmt: skip
    assert list_names("post") == ["body.chips", "select", "preferPost"]
    assert list_names("patch") == [*filters, "body.chips", "preferReturn"]
    assert list_names("delete") == [*filters, "preferReturn"]
    assert paths["/chips"]["get"]["responses"]["200"]["schema"] == {
        "type": "array",
        "items": {"$ref": "#/definitions/chips"},
    }
    codes = {method: list(described["responses"]) for method, described in paths["/chips"].items()}
    assert codes == {"get": ["200", "206"], "post": ["201"], "patch": ["204"], "delete": ["204"]}
    assert (paths["/animals"]["post"]["summary"], paths["/animals"]["post"]["description"]) == (
        "All animals",
        "Dead ones too.",
    )
    assert parameters["rowFilter.animals.mother"] == {
        "name": "mother",
        "description": "Where known",
        "required": False,
        "in": "query",
        "type": "string",
    }
    assert parameters["body.chips"]["schema"] == {"$ref": "#/definitions/chips"}
    assert parameters["preferPost"]["enum"][-1] == "resolution=merge-duplicates"
    assert "enum" not in parameters["preferParams"]
    assert parameters["rangeUnit"]["default"] == "items"


def test_functions(document: Any) -> None:
    paths = document["paths"]
    taken = {path.removeprefix("/rpc/"): list(described) for path, described in paths.items() if "/rpc/" in path}
    both = ["get", "post"]
    assert taken == {
        "add": both, "feed": ["post"], "keep": ["post"], "refuse": ["post"], "sort": both, "store": ["post"],
        "vet": both,
    }  # fmt: skip
    add = paths["/rpc/add"]["get"]
    assert (add["summary"], add["description"], add["tags"]) == ("Adds", "Two numbers.", ["(rpc) add"])
    assert add["parameters"] == [
        {"name": "a", "required": True, "in": "query", "type": "integer", "format": "int32"},
        {"name": "b", "required": False, "in": "query", "type": "integer", "format": "int32"},
    ]
    assert [(one["name"], one["type"], one["format"]) for one in paths["/rpc/sort"]["get"]["parameters"][:3]] == [
        ("how", "string", "size"),
        ("facts", "string", "jsonb"),
        ("tags", "string", "text[]"),
    ]
    assert paths["/rpc/sort"]["get"]["parameters"][3] == {
        "name": "more",
        "required": False,
        "in": "query",
        "type": "array",
        "items": {"type": "integer", "format": "int64"},
        "collectionFormat": "multi",
    }
    assert read_body(document, "sort") == {
        "type": "object",
        "required": ["how", "facts", "tags"],
        "properties": {
            "how": {"format": "size", "type": "string"},
            "facts": {"format": "jsonb"},
            "tags": {"format": "text[]", "type": "array", "items": {"type": "string"}},
            "more": {"format": "bigint[]", "type": "array", "items": {"type": "integer"}},
        },
    }
    assert read_body(document, "add")["description"] == "Adds\n\nTwo numbers."
    assert read_body(document, "feed") == {"type": "object"}
    assert read_body(document, "keep") == {"format": "jsonb"}
    assert "consumes" not in paths["/rpc/keep"]["post"]
    assert paths["/rpc/store"]["post"]["consumes"] == ["application/octet-stream"]


def read_body(document: Any, name: str) -> Any:
    args, prefer = document["paths"][f"/rpc/{name}"]["post"]["parameters"]
    assert (args["name"], args["in"], args["required"]) == ("args", "body", True)
    assert prefer == {"$ref": "#/parameters/preferParams"}
    return args["schema"]


async def test_the_document_follows_what_the_role_may_right_now(zoo: Zoo, document: Any) -> None:
    """One right on one column is enough, and of overloads those count that may be called."""
    seen = await zoo.read(role="web_reader")
    assert list(seen["paths"]) == ["/", "/chips", "/owners", "/rpc/add", "/rpc/vet"]
    assert [one["name"] for one in seen["paths"]["/rpc/add"]["get"]["parameters"]] == ["a"]
    assert list(seen["definitions"]) == ["chips", "owners"]
    assert seen["paths"]["/rpc/add"]["get"]["summary"] == "Returns it"
    await zoo.run("GRANT TRIGGER ON api.sizes TO web_reader; REVOKE EXECUTE ON FUNCTION api.vet FROM web_reader")
    try:
        seen = await zoo.read(role="web_reader")
    finally:
        await zoo.run("REVOKE ALL ON api.sizes FROM web_reader; GRANT EXECUTE ON FUNCTION api.vet TO web_reader")
    assert list(seen["paths"]) == ["/", "/chips", "/owners", "/sizes", "/rpc/add"]
    seen = await zoo.read(role="web_reader", openapi_mode="ignore-privileges")
    assert seen["paths"].keys() == document["paths"].keys()
    assert seen["info"] == document["info"]
    assert read_body(seen, "sort")["properties"]["how"]["format"] == "api.size"


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/openapi+json", 200),
        ("application/json", 200),
        ("*/*", 200),
        ("text/csv, application/json;q=0.1", 200),
        ("text/csv", 406),
        ("application/vnd.pgrst.object+json", 406),
    ],
)
async def test_media_types(zoo: Zoo, accept: str, status: int) -> None:
    answer = await zoo.ask(headers={"accept": accept})
    assert answer.status == status
    if status == 406:
        assert answer.json()["code"] == "PGRST107"
    else:
        assert answer.headers["content-profile"] == "api"


async def test_head_options_and_refusals(zoo: Zoo) -> None:
    answer = await zoo.ask(method="HEAD")
    assert (answer.status, answer.body, answer.headers.get("content-length")) == (200, b"", None)
    assert answer.headers["content-type"] == "application/openapi+json; charset=utf-8"
    assert (await zoo.ask(method="OPTIONS")).headers["allow"] == "OPTIONS,GET,HEAD"
    for options, status, code in (
        ({"method": "POST"}, 405, "PGRST117"),
        ({"openapi_mode": "disabled"}, 404, "PGRST126"),
        ({"headers": {"accept-profile": "hidden"}}, 406, "PGRST106"),
        ({"pre_request": ("api", "refuse")}, 400, "P0001"),
        ({"pre_request": ("api", "refuse"), "role": "web_reader"}, 401, "42501"),
        ({"role": "nobody_of_that_name"}, 401, "22023"),
    ):
        refused = await zoo.ask(**options)
        assert (refused.status, refused.json()["code"]) == (status, code), options


async def test_a_function_may_answer_instead(zoo: Zoo) -> None:
    answer = await zoo.ask("/?of=x", root_spec=("api", "vet"))
    assert (answer.status, answer.json()) == (200, 1)


async def test_a_long_document_lets_others_run_in_between(zoo: Zoo) -> None:
    columns = {f"c{n}": Column(f"c{n}", n, "text", "text", "S", nullable=True) for n in range(20)}
    names = [("api", f"t{n:03}") for n in range(100)]
    table = Table(
        oid=1, schema="api", name="", kind="table", columns=columns, primary_key=(), unique_keys=(), key=(),
        foreign_keys_out=(), foreign_keys_in=(), triggers=(), rls_enabled=False, rls_forced=False, owner="",
        comment=None, insertable=True, updatable=True, deletable=True, is_partition=False,
    )  # fmt: skip
    schema = Schema(("api",), {name: structs.replace(table, name=name[1]) for name in names})
    plan, access = OpenApiPlan("api", is_head=False), SchemaAccess(None)
    writing = asyncio.create_task(write_document(schema, plan, access, RestConfig(), EVERYTHING))
    turns = 0
    while not writing.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 5
    assert len(json.loads(await writing)["definitions"]) == 100
