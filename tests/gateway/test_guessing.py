"""An agent with a list learns nothing by guessing: a name that exists and one that does not are answered alike."""

import pytest

from tests.fixtures.bench import Workshop, on_both_backends

_TABLES = """
    CREATE TABLE vault_keys (id int PRIMARY KEY, secret text);
    CREATE TABLE orders (id int PRIMARY KEY, note text UNIQUE, n int CHECK (n < 10));
    INSERT INTO orders VALUES (1, 'vault_keys'), (2, 'nothing_is');
"""


@on_both_backends
@pytest.mark.parametrize(
    "request_of",
    [
        ("GET", "/orders?id=eq.{}", None),
        ("GET", "/orders?select=id,{}", None),
        ("GET", "/orders?order={}", None),
        ("GET", "/orders?{}=eq.1", None),
        ("GET", "/orders?note=fts({}).x", None),
        ("GET", "/orders?note=eq.{}&select=note::int", None),
        ("GET", "/orders?select=id,{}(*)", None),
        ("GET", "/orders?select=id,orders!{}(*)", None),
        ("GET", "/orders?select=note::{}", None),
        ("GET", "/{}", None),
        ("GET", "/rpc/{}", None),
        ("PATCH", "/orders?id=eq.{}", {"note": "x"}),
        ("POST", "/orders", {"id": "{}"}),
        ("POST", "/orders", {"id": 5, "note": "{}"}),
        ("POST", "/orders", {"id": 6, "note": "a {} b", "n": 50}),
        ("POST", "/orders", {"{}": 5}),
        ("POST", "/orders?on_conflict={}", {"id": 7}),
    ],
    ids=str,
)
async def test_a_guess_is_answered_like_any_other_word(
    workshop: Workshop, backend: str, request_of: tuple[str, str, dict[str, object] | None]
) -> None:
    bench = await workshop.bench(_TABLES)
    agent = await bench.agent(tables=["public.orders"])
    method, path, body = request_of
    answers = []
    for guess in ("vault_keys", "nothing_is"):
        sent = None if body is None else {key.format(guess): _fill(value, guess) for key, value in body.items()}
        headers = {"prefer": "resolution=merge-duplicates"} if "on_conflict" in path else {}
        answer = await agent.http.request(method, path.format(guess), json=sent, headers=headers)
        answers.append((answer.status_code, answer.text.replace(guess, "it")))
    assert answers[0] == answers[1]


def _fill(value: object, guess: str) -> object:
    return value.format(guess) if isinstance(value, str) else value
