"""The toasts of the data pages without script: what was saved, and the form that takes it back."""

import html
import re
from urllib.parse import urlencode

import httpx
import pytest

from basewarden.workspace.toasts import _shorten_both
from tests.fixtures.bench import Backend, on_both_backends
from tests.workspace.conftest import Store

FORM = re.compile(r'<form method="post" action="([^"]+)" data-(undo|redo)(.*?)</form>', re.DOTALL)


def read_toast(page: str) -> tuple[str, str, dict[str, str]]:
    """The text, the button's word, and the address with the fields of its form as `action` and the rest."""
    (toast,) = re.findall(r'<div class="toast .*?\n</div>', page, re.DOTALL)
    ((action, kind, rest),) = FORM.findall(toast)
    (back,) = re.findall(r'name="back" value="([^"]*)"', rest)
    text = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", re.findall(r"<p>(.*?)</p>", toast, re.DOTALL)[0])))
    return text.strip(), kind, {"action": html.unescape(action), "back": html.unescape(back)}


async def press(store: Store, form: dict[str, str]) -> httpx.Response:
    return await store.owner.post(form["action"], data={"back": form["back"]}, follow_redirects=True)


async def edit(store: Store, column: str, before: str, after: str) -> httpx.Response:
    body = {f"o.{column}": before, f"v.{column}": after}
    return await store.owner.post(store.row("lamps", "2"), data=body, follow_redirects=True)


def test_equal_beginnings_of_values_are_left_out() -> None:
    old, new = "Ethiopia Sidamo Natural, 250 g", "Ethiopia Sidamo Natural, 500 g"
    assert _shorten_both(old, new) == ("…250 g", "…500 g")
    assert _shorten_both("Desk lamp", "Desk light") == ("Desk lamp", "Desk light")
    assert _shorten_both(old, old + " bag") == (old, old + " bag")
    assert _shorten_both(None, new) == (None, new)


@on_both_backends
async def test_a_saved_field_is_undone_redone_and_undone(store: Store, backend: Backend) -> None:
    page = await edit(store, "price", '"40"', "41.50")
    text, kind, form = read_toast(page.text)
    assert (text, kind) == ("Price of Desk lamp: 40→ became 41.50", "undo")
    undone = await press(store, form)
    assert undone.status_code == 200
    assert undone.url.path == page.url.path
    assert await store.ask("select price::text from lamps where id = 2") == "40"
    text, kind, form = read_toast(undone.text)
    assert (text, kind) == ("Undone: Price of Desk lamp: 41.50→ became 40", "redo")
    redone = await press(store, form)
    assert await store.ask("select price::text from lamps where id = 2") == "41.50"
    text, kind, form = read_toast(redone.text)
    assert (text, kind) == ("Redone: Price of Desk lamp: 40→ became 41.50", "undo")
    await press(store, form)
    assert await store.ask("select price::text from lamps where id = 2") == "40"
    history = (await store.owner.get(page.url.path)).text
    assert history.count("<b>You</b> in an undo") == 3
    assert history.count('history-when"><b>You</b>') == 4


async def test_a_deletion_with_what_it_cascaded_to(store: Store) -> None:
    before = await store.ask("select count(*) from bulbs")
    query = urlencode({"key": "1"})
    deleted = await store.owner.post(f"{store.table('lamps')}/+delete?{query}", follow_redirects=True)
    text, kind, form = read_toast(deleted.text)
    assert (text, kind) == ("Reading lamp deleted, and 3 rows that referred to it", "undo")
    undone = await press(store, form)
    assert await store.ask("select count(*) from bulbs") == before
    assert read_toast(undone.text)[0] == "4 rows are as before"


async def test_several_rows_deleted(store: Store) -> None:
    query = urlencode([("key", "2"), ("key", "3")])
    deleted = await store.owner.post(f"{store.table('lamps')}/+delete?{query}", follow_redirects=True)
    text, _, form = read_toast(deleted.text)
    assert text.startswith("2 rows deleted")
    await press(store, form)
    assert await store.ask("select count(*) from lamps") == 3


async def test_an_added_row_is_removed_again_and_its_page_left(store: Store) -> None:
    hostile = "<b>Torch</b>\u202e" + "z" * 300
    added = await store.owner.post(
        f"{store.table('lamps')}/+new", data={"v.name": hostile, "v.shade": "dark"}, follow_redirects=True
    )
    assert added.status_code == 200, added.text
    text, _, form = read_toast(added.text)
    assert text.startswith("<b>Torch</b> zzz")
    assert text.endswith("… added")
    assert len(text) < 80
    assert "<b>Torch" not in added.text
    undone = await press(store, form)
    assert undone.url.path == store.table("lamps")
    assert await store.ask("select count(*) from lamps") == 3
    assert read_toast(undone.text)[0].endswith("is removed again")
    missing = await store.owner.get(added.url.path)
    assert missing.status_code == 404
    assert "This row was deleted in an undo by" in missing.text


async def test_what_others_changed_since_leads_to_the_preview(store: Store) -> None:
    page = await edit(store, "price", '"40"', "41.50")
    _, _, form = read_toast(page.text)
    await store.behind.execute("update lamps set price = 50 where id = 2")
    refused = await press(store, form)
    assert refused.status_code == 422
    assert "Nothing was changed" in refused.text
    for value in (">40</td>", ">41.50</del>", ">50</b>"):
        assert value in refused.text
    assert await store.ask("select price::text from lamps where id = 2") == "50"


async def test_a_second_press_says_that_it_is_done(store: Store) -> None:
    page = await edit(store, "price", '"40"', "41.50")
    _, _, form = read_toast(page.text)
    await press(store, form)
    again = await press(store, form)
    assert again.status_code == 422
    assert "already undone" in again.text
    assert await store.ask("select price::text from lamps where id = 2") == "40"
    assert "data-toast>" not in (await store.owner.get(str(page.url))).text


@pytest.mark.parametrize("query", ["written=x", "undone=x", "written=01a21ebf-8f9f-7fd6-8a34-71f97f49ff47"])
async def test_an_unknown_write_has_no_toast(store: Store, query: str) -> None:
    page = await store.owner.get(f"{store.table('lamps')}?{query}")
    assert page.status_code == 200
    assert "data-toast>" not in page.text


@pytest.mark.parametrize("other", ["https://example.com/x", "http://[", "//["])
async def test_the_filters_of_the_grid_are_kept(store: Store, other: str) -> None:
    grid = f"{store.table('lamps')}?{urlencode({'sort': 'name', 'dir': 'desc'})}"
    origin = str(store.owner.base_url).rstrip("/")
    saved = await store.owner.post(
        f"{store.row('lamps', '2')}/cell?column=price",
        data={"o": '"40"', "v": "41"},
        headers={"hx-request": "true", "hx-current-url": f"{origin}{grid}"},
    )
    _, _, form = read_toast(saved.text)
    assert form["back"] == grid
    undone = await press(store, form)
    assert "sort=name" in str(undone.url)
    away = await store.owner.post(
        f"{store.row('lamps', '2')}/cell?column=price",
        data={"o": '"40"', "v": "42"},
        headers={"hx-request": "true", "hx-current-url": other},
    )
    assert read_toast(away.text)[2]["back"] == store.table("lamps")
