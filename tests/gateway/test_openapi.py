"""The description of a project's schema, as each caller of the product gets it."""

from typing import Any

from schemathesis.specs.openapi.definitions import SWAGGER_20_VALIDATOR

from tests.fixtures.bench import GUEST, BenchAgent, Workshop

_SHOP = f"""
    CREATE TABLE secrets (id int PRIMARY KEY, pin text);
    CREATE SEQUENCE secret_numbers;
    CREATE FUNCTION make_secret() RETURNS text LANGUAGE sql AS 'SELECT ''x''';
    CREATE TABLE customers (
        id int PRIMARY KEY, secret int REFERENCES secrets, friend int REFERENCES customers, hidden secrets,
        hiddens secrets[], code text DEFAULT make_secret(), number text DEFAULT nextval('secret_numbers')::text,
        made timestamptz DEFAULT now(), kind text DEFAULT 'it is 1.5'
    );
    CREATE TABLE tagged (customer int REFERENCES customers, tag int, PRIMARY KEY (customer, tag));
    CREATE VIEW names AS SELECT id FROM customers;
    CREATE FUNCTION all_secrets() RETURNS SETOF secrets LANGUAGE sql STABLE AS 'SELECT * FROM secrets';
    CREATE FUNCTION weigh(one secrets) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
    CREATE FUNCTION weigh(one int) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
    CREATE FUNCTION find_one(a int, b int) RETURNS secrets LANGUAGE sql STABLE AS 'SELECT * FROM secrets LIMIT 1';
    CREATE FUNCTION find_one(a int) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
    CREATE FUNCTION wipe() RETURNS void LANGUAGE sql AS 'DELETE FROM secrets';
    COMMENT ON TABLE secrets IS 'pins of secrets'; COMMENT ON COLUMN secrets.pin IS 'the secret pin';
    GRANT SELECT ON tagged TO {GUEST}; REVOKE ALL ON FUNCTION wipe FROM public;
"""


async def read_document(agent: BenchAgent, **headers: str) -> Any:
    answer = await agent.http.get("/", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/openapi+json; charset=utf-8"
    document = answer.json()
    assert list(SWAGGER_20_VALIDATOR.iter_errors(document)) == []
    return document


def list_methods(document: Any) -> dict[str, list[str]]:
    return {path: list(methods) for path, methods in document["paths"].items()}


async def test_it_says_where_this_deployment_serves_the_project(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    document = await read_document(await bench.agent())
    assert document["host"] == f"127.0.0.1:{bench.product.port}"
    assert document["basePath"] == f"/api/v/{bench.connection_id}/rest/v1"
    assert document["schemes"] == ["http"]
    assert document["security"] == [{"JWT": []}]
    assert document["paths"].keys() >= {"/customers", "/secrets", "/names", "/rpc/wipe", "/rpc/all_secrets"}
    assert "`secrets.id`" in document["definitions"]["customers"]["properties"]["secret"]["description"]
    assert document["definitions"]["customers"]["properties"]["hidden"]["format"] == "public.secrets"


async def test_a_limited_agent_learns_nothing_of_other_tables(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    limited = ["customers", "tagged", "rpc/all_secrets", "rpc/weigh", "rpc/find_one"]
    agent = await bench.agent(tables=limited)
    answer = await agent.http.get("/")
    assert "secret" not in answer.text.replace('"secret"', "").replace("customers.secret", "")  # its own column
    document = answer.json()
    everything = ["get", "post", "patch", "delete"]
    assert list_methods(document) == {
        "/": ["get"],
        "/customers": everything,
        "/tagged": everything,
        "/rpc/find_one": ["get", "post"],
        "/rpc/weigh": ["get", "post"],
    }
    columns = document["definitions"]["customers"]["properties"]
    assert columns["secret"] == {"format": "int32", "type": "integer"}
    assert columns["friend"]["description"].startswith("Note:\nThis is a Foreign Key to `customers.id`.")
    assert (columns["hidden"]["format"], columns["hiddens"]["format"]) == ("record", "record[]")
    assert {name: column.get("default") for name, column in columns.items() if "default" in column} == {
        "made": "now()",
        "kind": "it is 1.5",
    }
    assert document["paths"]["/rpc/find_one"]["get"]["parameters"] == [
        {"name": "a", "required": True, "in": "query", "type": "integer", "format": "int32"}
    ]
    assert (await agent.http.head("/")).status_code == 200
    assert (await agent.http.get("/rpc/find_one?a=1")).json() == 1
    for path in ("/rpc/all_secrets", "/rpc/find_one?a=1&b=2", "/secrets", "/names"):
        assert (await agent.http.get(path)).json()["code"] == "table_denied", path


async def test_an_agent_of_one_function_sees_just_that(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    document = await read_document(await bench.agent(tables=["rpc/wipe"]))
    assert list_methods(document) == {"/": ["get"], "/rpc/wipe": ["post"]}
    assert "definitions" not in document


async def test_it_offers_no_write_that_would_be_refused(workshop: Workshop) -> None:
    """Not to a view, whose changes cannot be recorded, and nothing to who only reads."""
    bench = await workshop.bench(_SHOP)
    methods = list_methods(await read_document(await bench.agent()))
    assert (methods["/names"], methods["/customers"][1:]) == (["get"], ["post", "patch", "delete"])
    reader = await bench.agent(access="read")
    methods = list_methods(await read_document(reader))
    assert (methods["/customers"], methods["/rpc/all_secrets"]) == (["get"], ["get", "post"])
    assert "/rpc/wipe" not in methods
    assert (await reader.http.post("/rpc/all_secrets", json={})).status_code == 200


async def test_it_follows_the_role_of_the_agent(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(dbRole=GUEST)
    methods = list_methods(await read_document(agent))
    assert [path for path in methods if "/rpc/" not in path] == ["/", "/tagged"]
    assert "/rpc/wipe" not in methods
    await bench.run(f"GRANT SELECT (id) ON customers TO {GUEST}")
    assert "/customers" in list_methods(await read_document(agent))


async def test_refusals(workshop: Workshop) -> None:
    agent = await (await workshop.bench(_SHOP)).agent(tables=["customers"])
    for method, headers, status, code in (
        ("GET", {"accept": "text/csv"}, 406, "PGRST107"),
        ("GET", {"accept-profile": "pg_catalog"}, 406, "PGRST106"),
        ("POST", {}, 405, "PGRST117"),
    ):
        answer = await agent.http.request(method, "/", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code), code
    assert (await agent.http.options("/")).headers["allow"] == "OPTIONS,GET,HEAD"
