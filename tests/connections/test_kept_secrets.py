"""What was typed into a secret field is kept after an error, and never sent back."""

import re
from html import unescape
from uuid import uuid4

import httpx
import pytest

from basewarden.connections.errors import ConnectionFailed, Reason
from basewarden.connections.form_errors import HIDDEN, as_field_error, mask_secret
from basewarden.connections.kept_secrets import KEEP_SECONDS, KeptSecrets
from tests.fixtures.app import ProjectDatabase, ServedProduct

NEW = "/connections/new"


class Hands:
    """A clock that a test turns."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def kept(product: ServedProduct, hands: Hands) -> KeptSecrets:
    return KeptSecrets(product.registry.get(KeptSecrets)._vault, hands)


async def test_only_the_same_person_field_and_time_open_it(kept: KeptSecrets, hands: Hands) -> None:
    person = uuid4()
    sealed = kept.seal(person, "key", "s3cr3t")
    assert "s3cr3t" not in sealed
    assert kept.seal(person, "key", "s3cr3t") != sealed
    assert kept.open(person, "key", sealed) == "s3cr3t"
    assert kept.open(uuid4(), "key", sealed) is None
    assert kept.open(person, "postgresUrl", sealed) is None
    for broken in ("", "!", "AAAA", sealed[:-4], sealed.swapcase(), "x" * 10_000, "\x00", "é"):
        assert kept.open(person, "key", broken) is None
    hands.now += KEEP_SECONDS
    assert kept.open(person, "key", sealed) is None


async def test_the_next_try_uses_the_string_that_was_typed(owner: httpx.AsyncClient, project: ProjectDatabase) -> None:
    form = {"name": "", "postgresUrl": project.dsn, "environment": "other"}
    refused = await owner.post(NEW, data=form)
    assert refused.status_code == 422
    assert refused.headers["cache-control"] == "no-store"
    assert "project-pa55" not in refused.text
    assert project.dsn not in unescape(refused.text)
    sealed = find_kept(refused, "postgresUrl")
    made = await owner.post(NEW, data={**form, "name": "Shop", "postgresUrl": "", "postgresUrlKept": sealed})
    assert made.status_code == 303, made.text


async def test_a_string_that_is_typed_replaces_the_kept_one(owner: httpx.AsyncClient, project: ProjectDatabase) -> None:
    wrong = project.dsn.replace("project-pa55", "wrong-pa55")
    form = {"name": "Shop", "postgresUrl": wrong, "environment": "other"}
    sealed = find_kept(await owner.post(NEW, data=form), "postgresUrl")
    still_wrong = await owner.post(NEW, data={**form, "postgresUrl": "", "postgresUrlKept": sealed})
    assert still_wrong.status_code == 422
    assert "refused this user name and password" in still_wrong.text
    assert find_kept(still_wrong, "postgresUrl") != sealed
    assert "wrong-pa55" not in unescape(still_wrong.text)
    shown = re.search(r'placeholder="(postgresql://[^:"]+:••••@[^"]+)"', still_wrong.text)
    assert shown is not None
    assert shown[1] == re.sub(r":[^:@/]+@", ":••••@", wrong.partition("?")[0])
    made = await owner.post(NEW, data={**form, "postgresUrl": project.dsn, "postgresUrlKept": sealed})
    assert made.status_code == 303


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("postgres://reader:s3cr3t@localhost:1/none", "postgresql://reader:••••@localhost:1/none"),
        ("postgres://u:p%40%3A@[::1]/db?sslmode=require", "postgresql://u:••••@[::1]:5432/db"),
        ("postgres://u:a@b/c@host/db", HIDDEN),
        ("postgres://u:a/b@host/db", HIDDEN),
        ("s3cr3t", HIDDEN),
        ("", HIDDEN),
    ],
)
def test_a_kept_string_is_shown_without_its_password(typed: str, shown: str) -> None:
    assert mask_secret("postgresUrl", typed) == shown
    assert mask_secret("key", typed) == HIDDEN


def test_an_error_names_the_host_and_port_that_were_typed() -> None:
    refused = ConnectionFailed(Reason.REFUSED)
    named = as_field_error(refused, {"postgresUrl": "postgres://reader:s3cr3t@localhost:1/none"})
    assert named.details == [{"field": "postgresUrl", "message": "No server is listening at localhost, port 1."}]
    for typed in ({}, {"postgresUrl": "s3cr3t"}):
        assert as_field_error(refused, typed).details == [{"field": "postgresUrl", "message": refused.text}]
    of_url = as_field_error(refused.for_field("url"), {"url": "https://shop.example"})
    assert of_url.details == [{"field": "url", "message": "No server is listening at shop.example, port 443."}]


async def test_a_kept_string_is_of_no_use_to_another_person(
    owner: httpx.AsyncClient, stranger: httpx.AsyncClient, project: ProjectDatabase
) -> None:
    sealed = find_kept(await owner.post(NEW, data={"name": "", "postgresUrl": project.dsn}), "postgresUrl")
    answer = await stranger.post(NEW, data={"name": "Shop", "postgresUrl": "", "postgresUrlKept": sealed})
    assert answer.status_code == 422
    assert "Enter it again." in answer.text
    assert "postgresUrlKept" not in answer.text


async def test_a_key_is_kept_too_and_a_broken_one_says_so(owner: httpx.AsyncClient) -> None:
    form = {"name": "Shop", "environment": "other", "url": "not an address", "key": "sb_secret_typed"}
    refused = await owner.post(NEW, data=form)
    assert "sb_secret_typed" not in refused.text
    assert find_kept(refused, "key")
    broken = await owner.post(NEW, data={**form, "key": "", "keyKept": "AAAA"})
    assert broken.status_code == 422
    assert "Enter it again." in broken.text


def find_kept(answer: httpx.Response, field: str) -> str:
    found = re.search(rf'<input type="hidden" name="{field}Kept" value="([^"]+)">', answer.text)
    assert found is not None, answer.text
    return found[1]
