"""The server as a process: what comes in raw, what goes to the logs, what the admin port tells."""

import asyncio
import json
import os
import re
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from basewarden.cli import main
from pgrest.server.protocol import LONGEST_HEAD
from pgrest.wire.large import LARGE_BYTES
from tests.fixtures.ports import reserve_port
from tests.fixtures.waiting import wait_until
from tests.pgrest.server.conftest import LOGIN, PASSWORD, as_login
from tests.pgrest.server.rest_process import SECRET, Rest, run_command, running_rest
from tests.pgrest.test_writes import sign

WHOAMI = "/rpc/whoami"


def split(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    return int(line.split()[1]), {k.lower(): v.strip() for k, _, v in (one.partition(":") for one in lines)}, body


# What comes in ------------------------------------------------------------------------------------------


async def test_it_serves(quiet_rest: Rest) -> None:
    answer = await quiet_rest.http.get("/items?select=sku&order=sku&limit=1")
    assert (answer.status_code, answer.json()) == (200, [{"sku": "a"}])
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert re.fullmatch(r"basewarden/[\d.]+", answer.headers["server"])
    assert answer.headers["server-timing"].startswith("jwt;dur=")
    token = {"authorization": sign({"role": "web_reader"})}
    assert (await quiet_rest.http.get(WHOAMI, headers=token)).json()["user"] == "web_reader"


async def test_a_large_answer_is_whole(quiet_rest: Rest) -> None:
    """It is sent from where libpq keeps it."""
    rows = [{"number": number, "text": "é" * 20} for number in range(20_000)]
    answer = await quiet_rest.http.post("/rpc/echo", json=rows)
    assert answer.status_code == 200
    assert len(answer.content) > 4 * LARGE_BYTES
    assert answer.json() == rows


async def test_head_answers_no_length_and_no_body(quiet_rest: Rest) -> None:
    status, headers, body = split(
        await quiet_rest.send_raw(b"HEAD /items HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    )
    assert (status, body) == (200, b"")
    assert not headers.keys() & {"content-length", "transfer-encoding"}


@pytest.mark.parametrize(
    ("request_line", "status", "code"),
    [
        (b"BREW /items HTTP/1.1", 405, "PGRST117"),
        (b"BREW /rpc/add HTTP/1.1", 405, "PGRST101"),
        (b"get /items HTTP/1.1", 405, "PGRST117"),
        (b"CONNECT /items HTTP/1.1", 405, "PGRST117"),
        (b"GET /items HTTP/9.9", 400, "PGRST100"),
        (b"GET /it\xffms HTTP/1.1", 400, "PGRST100"),
        (b"GET /it\x00ms HTTP/1.1", 400, "PGRST100"),
        (b"GET items HTTP/1.1", 400, "PGRST100"),
        (b"\x16\x03\x01\x02", 400, "PGRST100"),
        (b"nonsense", 400, "PGRST100"),
        (b"GET /%FF%00 HTTP/1.1", 404, "PGRST205"),
        (b"GET /items?sku=eq.%00 HTTP/1.1", 400, "22021"),
        (b"GET /items?sku=eq.\xff HTTP/1.1", 400, None),
    ],
)
async def test_a_request_that_is_none_is_an_error_in_the_usual_form(
    quiet_rest: Rest, request_line: bytes, status: int, code: str | None
) -> None:
    got, headers, body = split(await quiet_rest.send_raw(request_line + b"\r\nHost: x\r\n\r\n"))
    command = json.loads(body)
    assert (got, set(command)) == (status, {"code", "message", "details", "hint"})
    assert code in (command["code"], None)
    assert headers["content-length"] == str(len(body))


async def test_headers_without_end_are_refused(quiet_rest: Rest) -> None:
    for size in (LONGEST_HEAD * 2, 3_000_000):
        request = b"GET /items HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"a" * size
        status, _, body = split(await quiet_rest.send_raw(request))
        assert (status, json.loads(body)["details"]) == (431, f"At most {LONGEST_HEAD} bytes are accepted")
    assert (await quiet_rest.http.get("/items?limit=0")).status_code == 200


async def test_the_first_of_two_headers_counts(quiet_rest: Rest) -> None:
    lines = [f"Authorization: {sign({'role': role})}" for role in ("web_reader", "web_anon")]
    lines += ["Accept: application/json", "Accept: image/png"]
    request = f"GET {WHOAMI} HTTP/1.1\r\nHost: x\r\n" + "\r\n".join(lines) + "\r\n\r\n"
    status, _, body = split(await quiet_rest.send_raw(request.encode()))
    assert (status, json.loads(body)["user"]) == (200, "web_reader")


async def test_two_requests_at_once_on_one_connection_are_answered_in_turn(quiet_rest: Rest) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", quiet_rest.port)
    request = b"GET /items?select=sku&limit=%d HTTP/1.1\r\nHost: x\r\n\r\n"
    writer.write(request % 0 + request % 1)
    for length in (2, 13):
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: %d\r\n" % length in head
        await reader.readexactly(length)
    writer.close()


async def test_a_body_that_is_too_large_is_refused_at_once(quiet_rest: Rest) -> None:
    request = b"POST /rpc/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\nExpect: 100-continue\r\n\r\n"
    status, headers, body = split(await quiet_rest.send_raw(request))
    assert (status, json.loads(body)["code"], headers["connection"]) == (413, "PGRST102", "close")


async def test_an_upgrade_is_answered_as_if_it_were_none(quiet_rest: Rest) -> None:
    request = b"GET /items?limit=0 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://x\r\n\r\n"
    status, headers, body = split(await quiet_rest.send_raw(request))
    assert (status, body) == (200, b"[]")
    assert "access-control-allow-origin" not in headers


async def test_a_client_that_hangs_up_ends_its_statement(shop: str, login: None) -> None:
    async with await psycopg.AsyncConnection.connect(shop, autocommit=True) as admin:
        await admin.execute("CREATE FUNCTION nap() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(60)'")
        napping = f"SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND usename = '{LOGIN}'"

        async def naps() -> int:
            [count] = await (await admin.execute(napping.encode())).fetchone() or [0]
            return int(count)

        async with running_rest(as_login(shop)) as rest, asyncio.timeout(20):
            _, writer = await asyncio.open_connection("127.0.0.1", rest.port)
            writer.write(b"POST /rpc/nap HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            await wait_until(naps, "the statement to run", matches=lambda found: found != 0)
            writer.close()
            await wait_until(naps, "the statement to be cancelled", matches=lambda found: found != 1)
            assert (await rest.http.get("/items?limit=0")).status_code == 200


# What goes out ------------------------------------------------------------------------------------------


async def test_the_logs_have_the_role_and_the_request_and_no_secret(quiet_rest: Rest) -> None:
    token = sign({"role": "web_reader", "mark": "logged"})
    await quiet_rest.http.get("/customers?select=id&limit=1", headers={"authorization": token, "user-agent": "tester"})
    await quiet_rest.http.get(f"/customers?apikey={token.partition(' ')[2]}")
    await quiet_rest.http.get("/customers", headers={"authorization": "Bearer a.b.c"})
    log, said = quiet_rest.access_log(), quiet_rest.said()
    line = r'127\.0\.0\.1 - web_reader \[[^]]+\] "GET /customers\?select=id&limit=1 HTTP/1\.1" 200 10 "" "tester"'
    assert re.search(line, log)
    assert re.search(r'- - \[[^]]+\] "GET /customers HTTP/1\.1" 401 \d+ ', log)
    assert '"GET /customers?apikey=*** HTTP/1.1"' in log
    assert re.search(r': WITH pgrst_source AS \(SELECT "customers"\."id" FROM "public"\."customers"', said)
    for text in (
        "Schema cache loaded 10 Relations",
        'on the "pgrst" channel',
        f"listening on 127.0.0.1:{quiet_rest.port}",
    ):
        assert text in said
    for secret in (SECRET, PASSWORD, token.partition(" ")[2], token.rpartition(".")[2]):
        assert secret not in log + said


async def test_the_admin_port_answers_the_health_checks(quiet_rest: Rest) -> None:
    for path in ("/live", "/ready"):
        answer = await quiet_rest.admin.get(path)
        assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
        assert (await quiet_rest.admin.head(path)).status_code == 200
    assert (await quiet_rest.admin.get("/")).status_code == 404
    assert (await quiet_rest.admin.get("/items")).status_code == 404


async def test_the_metrics_move(quiet_rest: Rest) -> None:
    async def read() -> dict[str, float]:
        answer = await quiet_rest.admin.get("/metrics")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    before = await read()
    token = {"authorization": sign({"role": "web_reader", "mark": "metrics"})}
    for _ in range(3):
        await quiet_rest.http.get("/customers?limit=0", headers=token)
    after = await read()
    assert after["pgrst_jwt_cache_requests_total"] - before["pgrst_jwt_cache_requests_total"] == 3
    assert after["pgrst_jwt_cache_hits_total"] - before["pgrst_jwt_cache_hits_total"] == 2
    assert after["pgrst_db_pool_max"] == 10
    assert after["pgrst_db_pool_available"] >= 1
    assert after['pgrst_schema_cache_loads_total{status="SUCCESS"}'] >= 1
    assert after["pgrst_schema_cache_query_time_seconds"] > 0
    assert len(after) == 10


async def test_what_it_knows_is_shown_without_secrets(quiet_rest: Rest) -> None:
    shown = (await quiet_rest.admin.get("/config")).text
    assert 'db-anon-role = "web_anon"' in shown
    assert SECRET not in shown
    assert PASSWORD not in shown
    schema = (await quiet_rest.admin.get("/schema_cache")).json()
    assert {"customers", "items"} <= {table["name"] for table in schema["dbTables"]}
    assert "dbTimezones" in schema


# Where it listens ---------------------------------------------------------------------------------------


async def test_a_unix_socket_instead_of_a_port(quiet_shop: str, login: None, tmp_path: Path) -> None:
    path = tmp_path / "rest.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    options = {"server_unix_socket": str(path), "server_unix_socket_mode": "606", "log_level": "info"}
    async with running_rest(as_login(quiet_shop), **options) as rest:
        assert stat.S_IMODE(path.stat().st_mode) == 0o606
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            assert (await client.get("/items?limit=0")).status_code == 200
        assert (await rest.admin.get("/live")).status_code == 200
        assert rest.access_log().startswith("unix - web_anon ")


async def test_a_free_port_is_named(quiet_shop: str, login: None) -> None:
    async with running_rest(as_login(quiet_shop), server_port=0) as rest:
        [port] = re.findall(r"API server listening on 127\.0\.0\.1:(\d+)", rest.said())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            assert (await client.get("/items?limit=0")).status_code == 200


# Without serving ----------------------------------------------------------------------------------------


@dataclass
class RestCommand:
    """The command in this process: its exit code, standard output and standard error."""

    patch: pytest.MonkeyPatch
    output: pytest.CaptureFixture[str]

    async def run(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        for name in list(os.environ):
            if name.startswith(("PGRST_", "PG")):
                self.patch.delenv(name)
        for name, value in variables.items():
            self.patch.setenv(name, value)
        self.output.readouterr()
        with pytest.raises(SystemExit) as ended:
            await asyncio.to_thread(main, ["rest", *arguments])
        return int(str(ended.value.code)), *self.output.readouterr()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RestCommand:
    return RestCommand(monkeypatch, capsys)


async def test_the_settings_can_be_printed(command: RestCommand, quiet_shop: str, login: None) -> None:
    code, out, err = await command.run(
        "--dump-config", PGRST_DB_URI=as_login(quiet_shop), PGRST_JWT_SECRET=SECRET, PGRST_DB_POOL="7"
    )
    assert (code, err) == (0, "")
    assert "db-pool = 7\n" in out
    assert 'jwt-secret = "********"' in out
    assert SECRET not in out + err
    assert PASSWORD not in out + err


async def test_settings_are_printed_without_a_database_too(command: RestCommand) -> None:
    code, out, err = await command.run("--dump-config", PGRST_DB_URI="postgresql://u:hush@127.0.0.1:1/none")
    assert code == 0
    assert "db-pool = 10\n" in out
    assert err.startswith("basewarden: the settings in the database could not be read: Database connection error.")
    assert "hush" not in out + err


async def test_the_schema_can_be_printed(command: RestCommand, quiet_shop: str, login: None) -> None:
    code, out, _ = await command.run("--dump-schema", PGRST_DB_URI=as_login(quiet_shop))
    assert code == 0
    assert any(table["name"] == "customers" for table in json.loads(out)["dbTables"])
    code, out, err = await command.run("--dump-schema", PGRST_DB_URI="postgresql://127.0.0.1:1/none")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("basewarden: Database connection error. connection failed: ")


async def test_libpqs_own_variables_name_the_database(command: RestCommand, quiet_shop: str, login: None) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(as_login(quiet_shop))
    names = {"PGHOST": "host", "PGPORT": "port", "PGDATABASE": "dbname", "PGUSER": "user", "PGPASSWORD": "password"}
    code, out, err = await command.run("--dump-schema", **{name: str(parts[part]) for name, part in names.items()})
    assert (code, err) == (0, "")
    assert '"name":"customers"' in out


async def test_a_running_server_can_be_asked_whether_it_is_ready(command: RestCommand, quiet_rest: Rest) -> None:
    code, out, _ = await command.run("--ready", str(quiet_rest.conf))
    assert (code, out) == (0, f"OK: http://127.0.0.1:{quiet_rest.settings['admin-server-port']}/ready\n")
    port = str(reserve_port())
    code, _, err = await command.run("--ready", PGRST_ADMIN_SERVER_PORT=port, PGRST_ADMIN_SERVER_HOST="127.0.0.1")
    assert (code, err) == (1, f"ERROR: connection refused to http://127.0.0.1:{port}/ready\n")
    code, _, err = await command.run("--ready")
    assert (code, "admin-server-port is not set" in err) == (1, True)
    code, _, err = await command.run("--ready", PGRST_ADMIN_SERVER_PORT=port)
    assert (code, "make it localhost" in err) == (1, True)


async def test_an_example_can_be_printed_by_the_command_itself() -> None:
    code, out, _ = await run_command("--example")
    assert code == 0
    assert '# db-schemas = "public"\n' in out


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"server_host": "no.such.host.invalid"}, "server-host no.such.host.invalid is no address of this machine."),
        ({"server_port": "1", "server_host": "192.0.2.1"}, "server-port 1 of server-host 192.0.2.1 cannot be used: "),
        ({"db_pool": "many"}, "db-pool takes a whole number"),
        ({"jwt_secret": "hush"}, "jwt-secret must be at least 32 characters long"),
        ({"server_unix_socket": "/dev/null"}, "server-unix-socket /dev/null is a file, and no socket."),
    ],
)
async def test_what_keeps_it_from_starting_is_one_sentence(
    command: RestCommand, settings: dict[str, str], sentence: str
) -> None:
    code, _, err = await command.run(**{f"PGRST_{name.upper()}": value for name, value in settings.items()})
    assert code == 1
    assert err.splitlines()[-1].startswith(f"basewarden: {sentence}")
    assert "hush" not in err


async def test_a_port_in_use_is_one_sentence(command: RestCommand, quiet_rest: Rest) -> None:
    code, _, err = await command.run(PGRST_SERVER_PORT=str(quiet_rest.port), PGRST_SERVER_HOST="127.0.0.1")
    assert code == 1
    assert f"server-port {quiet_rest.port} of server-host 127.0.0.1 cannot be used: Address already in use." in err


async def test_fewer_workers_than_one_are_none(command: RestCommand) -> None:
    code, _, err = await command.run("--workers", "0")
    assert (code, err) == (1, "basewarden: --workers must be 1 or more.\n")
