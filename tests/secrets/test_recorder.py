"""The search finds what is planted, and the run's recorder hears what the product says."""

from collections.abc import Iterator

import httpx
import psycopg
import pytest

from basewarden.core.secret import Secret
from basewarden.core.tokens import make_checked_token, make_opaque_token
from tests.fixtures.app import ProjectDatabase, ServedProduct
from tests.secrets.recorder import RunRecorder

AGENTS = "POST /api/connections/1/agents"


@pytest.fixture
def recorder() -> Iterator[RunRecorder]:
    recorder = RunRecorder()
    yield recorder
    recorder.close()


@pytest.mark.parametrize(
    "form", ["{}", '{{"x":"{}"}}', "postgresql://u:{}@h/d", "prefix{}suffix"], ids=["bare", "json", "url", "inside"]
)
@pytest.mark.parametrize("secret", [make_opaque_token(), "project-pa55", "a long walk"], ids=["long", "short", "words"])
def test_a_planted_secret_is_found_where_it_is(recorder: RunRecorder, secret: str, form: str) -> None:
    recorder.record("GET /a", b"nothing")
    recorder.record("GET /b", form.format(secret).encode())
    recorder.record("GET /c", b"nothing")
    recorder.add_secret("the canary", secret)
    (leak,) = recorder.find_leaks()
    assert (leak.where, leak.what) == ("GET /b", "the canary")
    assert secret not in leak.around


def test_a_secret_is_found_wherever_it_is_in_a_long_word(recorder: RunRecorder) -> None:
    secret = make_opaque_token()
    recorder.add_secret("the canary", secret)
    for before in (0, 1, 900, *range(1024 - len(secret), 1030), 3000):
        recorder.record(f"GET /{before}", ("x" * before + secret + "x" * 5000).encode())
    assert len(recorder.find_leaks()) == recorder.count


def test_a_secret_with_a_long_word_in_it_is_found_as_a_whole(recorder: RunRecorder) -> None:
    word = make_opaque_token()
    recorder.add_secret("a letter's content", f'{{"link": "reset {word}"}}')
    recorder.record("GET /its/page", f"reset {word}".encode())
    recorder.record("GET /b", f'<{{"link": "reset {word}"}}>'.encode())
    assert [leak.where for leak in recorder.find_leaks()] == ["GET /b"]


def test_of_an_address_only_the_password_is_secret(recorder: RunRecorder) -> None:
    recorder.add_secret("the database", "postgresql://ada:p%40ss-w0rd@db.example/shop")
    for said in (b"db.example", b"ada", b"p%40ss-w0rd", b"p@ss-w0rd"):
        recorder.record(said.decode(), said)
    assert [leak.where for leak in recorder.find_leaks()] == ["p%40ss-w0rd", "p@ss-w0rd"]


@pytest.mark.parametrize("shows", [AGENTS, f"{AGENTS}/2/rotate"])
def test_an_agents_token_may_be_shown_by_one_answer_only(recorder: RunRecorder, shows: str) -> None:
    token = make_checked_token("bwa").encode()
    recorder.record(shows, token)
    assert recorder.find_leaks() == []
    recorder.record(shows, token)
    recorder.record("GET /api/connections/1/agents", token)
    assert [leak.where for leak in recorder.find_leaks()] == [shows, "GET /api/connections/1/agents"]


@pytest.mark.parametrize("secret", ["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "0Q4M-XK2W-HN9P-T8RC"])
def test_a_second_factor_may_be_shown_to_who_sets_it_up_only(recorder: RunRecorder, secret: str) -> None:
    recorder.add_secret("a second factor", secret)
    recorder.add_secret("another secret", "a long walk")
    for where in ("POST /api/account/2fa/setup", "POST /settings/account/2fa/enable"):
        recorder.record(where, secret.encode())
    assert recorder.find_leaks() == []
    recorder.record("POST /api/account/2fa/setup", b"a long walk")
    recorder.record("POST /api/account/2fa/verify", secret.encode())
    recorder.record("GET /settings/account/2fa", secret.encode())
    assert [leak.what for leak in recorder.find_leaks()] == ["another secret", "a second factor", "a second factor"]


def test_a_password_hash_is_found_by_its_shape(recorder: RunRecorder) -> None:
    recorder.record("log", b'{"hash":"$argon2id$v=19$m=64,t=1,p=1$c2FsdA$aGFzaA"}')
    assert [leak.what for leak in recorder.find_leaks()] == ["a password hash"]


async def test_the_run_is_heard(run_so_far: RunRecorder, client: httpx.AsyncClient) -> None:
    before = run_so_far.count
    await client.get(f"/{make_opaque_token()}")  # what was said before is not kept again
    assert run_so_far.count > before
    kept = Secret(make_opaque_token())
    assert kept.reveal().encode() in run_so_far._secrets


async def test_database_errors_contain_no_password(
    owner: httpx.AsyncClient,
    product: ServedProduct,
    project: ProjectDatabase,
    connection_id: str,
    run_so_far: RunRecorder,
) -> None:
    """What drivers write into their errors is where addresses leak; the answers and the log are in the recorder."""
    wrong = project.dsn.replace("project-pa55", "wrong-passw0rd")
    Secret(wrong)
    for dsn in (wrong, f"{wrong}_missing", wrong.replace("postgresql://", "postgres://"), f"{wrong}?sslmode=require"):
        refused = await owner.post("/api/connections", json={"name": "Shop", "postgresUrl": dsn})
        assert refused.status_code == 422, refused.text
    odd = await owner.post("/api/connections", json={"name": "Shop", "postgresUrl": f"{wrong}?nonsense=1&port=x"})
    assert odd.status_code == 422, odd.text
    rest = f"/api/v/{connection_id}/rest/v1"
    for query in ("notes?id=eq.x", "notes?id=eq.99999999999999999999", "missing", "notes?select=nothing"):
        assert (await owner.get(f"{rest}/{query}")).status_code >= 400
    await _end_backends(project)
    await owner.get(f"{rest}/notes")
    health = await owner.get(f"/api/connections/{connection_id}/health")
    assert health.status_code == 200
    assert "project-pa55" not in health.text
    assert product.settings.secret.reveal().encode() in run_so_far._secrets


async def _end_backends(project: ProjectDatabase) -> None:
    async with await psycopg.AsyncConnection.connect(project.admin_dsn, autocommit=True) as admin:
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            (project.database,),
        )
