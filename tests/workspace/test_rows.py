"""A row's page, and writing rows: exactly, recorded, and never over another person's change unseen."""

import json
import re
from html import unescape
from urllib.parse import urlencode

import httpx
import pytest
from sqlalchemy import text

from basewarden.core.addresses import decode_row, encode_row
from basewarden.db import Database
from basewarden.web.civil_times import write_civil_time
from tests.fixtures.app import ServedProduct
from tests.workspace.conftest import Store

HTMX = {"HX-Request": "true"}
LONG = "12345678901234567890.12345678901234567890"


async def edit_cell(
    store: Store, column: str, before: str | None, after: str, row: str = "1", **more: str
) -> httpx.Response:
    form = {"o": json.dumps(before), "v": after, **more}
    address = f"{store.row('lamps', row)}/cell"
    return await store.owner.post(address, params={"column": column}, data=form, headers=HTMX)


async def test_a_cell_is_edited_in_place_and_recorded(store: Store) -> None:
    address = f"{store.row('lamps', '1')}/cell?column=price"
    editor = (await store.owner.get(f"{address}&edit=1", headers=HTMX)).text
    assert f'value="{LONG}"' in editor
    reference = (await store.owner.get(f"{store.row('lamps', '1')}/cell?column=maker_id&edit=1", headers=HTMX)).text
    assert '<option value="1" selected>Hallam &amp; Daughters · 1</option>' in reference
    assert '<option value="2">Nordvik · 2</option>' in reference
    saved = await edit_cell(store, "price", LONG, "0.10")
    assert saved.status_code == 200
    assert "0.10" in saved.text
    assert await store.ask("select price::text from lamps where id = 1") == "0.10"
    page = (await store.owner.get(store.row("lamps", "1"))).text
    assert f'<del class="change-old">{LONG}</del>' in page
    assert '<ins class="change-new">0.10</ins>' in page
    assert f"/c/{store.connection_id}/sessions/" in page


async def test_a_reference_and_a_date_are_chosen_in_the_cell(store: Store) -> None:
    await store.behind.execute("alter table lamps add bought date")
    await store.behind.execute("update lamps set bought = '2026-02-03' where id = 1")
    cell = f"{store.row('lamps', '1')}/cell"
    editor = unescape((await store.owner.get(cell, params={"column": "maker_id", "edit": "1"}, headers=HTMX)).text)
    assert '<option value="1" selected>Hallam & Daughters · 1</option>' in editor
    assert '<option value="2">Nordvik · 2</option>' in editor
    editor = (await store.owner.get(cell, params={"column": "bought", "edit": "1"}, headers=HTMX)).text
    assert 'type="date" value="2026-02-03"' in editor
    await store.behind.execute("update lamps set bought = 'infinity' where id = 1")
    editor = (await store.owner.get(cell, params={"column": "bought", "edit": "1"}, headers=HTMX)).text
    assert 'name="v" value="infinity"' in editor


def find_field_errors(page: str) -> list[str]:
    """The messages beside the fields, each with the field's name."""
    found = re.findall(r'id="(v\.[^"]+)-error">.*?<span>(.*?)</span>', page, re.DOTALL)
    return [f"{name}: {text}" for name, text in found]


async def test_a_change_by_another_person_is_not_overwritten_unseen(store: Store) -> None:
    await store.behind.execute("update lamps set price = 5 where id = 2")
    refused = await edit_cell(store, "price", "40", "41", row="2")
    assert refused.status_code == 422
    assert "Another write changed this value to 5" in refused.text
    assert 'value="41"' in refused.text
    assert await store.ask("select price::text from lamps where id = 2") == "5"
    again = re.search(r'name="o" value="([^"]*)"', refused.text)
    assert again is not None
    assert (await edit_cell(store, "price", "5", "41", row="2")).status_code == 200
    assert again[1] == "&#34;5&#34;"


@pytest.mark.parametrize(
    ("column", "row", "before", "after", "stored"),
    [
        ("name", "1", "Reading lamp", "a\r\nb", "a\nb"),
        ("note", "3", "two\nlines", "three\r\nlines", "three\nlines"),
        ("note", "1", "", "now", "now"),
        ("extras", "1", '{"watt": 9.0}', '{"watt": 9.10}', '{"watt": 9.10}'),
        ("parts", "1", "{base,bulb}", '{"a, b",NULL}', '{"a, b",NULL}'),
        ("shade", "1", "light", "dark", "dark"),
        ("lit", "1", "true", "false", "false"),
        ("maker_id", "1", "1", "2", "2"),
    ],
)
async def test_every_kind_of_value(store: Store, column: str, row: str, before: str, after: str, stored: str) -> None:
    answer = await edit_cell(store, column, before, after, row)
    assert answer.status_code == 200, answer.text
    assert await store.ask(f"select {column}::text from lamps where id = {row}") == stored


async def test_null_and_the_empty_text_are_different(store: Store) -> None:
    assert (await edit_cell(store, "note", "", "", n="1")).status_code == 200
    assert await store.ask("select note is null from lamps where id = 1") is True
    assert (await edit_cell(store, "note", None, "", row="2")).status_code == 200
    assert await store.ask("select note from lamps where id = 2") == ""
    typed = await edit_cell(store, "note", None, "typed", n="1")
    assert typed.status_code == 200
    assert await store.ask("select note from lamps where id = 1") == "typed"


@pytest.mark.parametrize(
    ("column", "before", "typed", "message"),
    [
        ("price", LONG, "cheap", "Not a number: cheap"),
        ("extras", '{"watt": 9.0}', "{watt", "This is not valid JSON."),
        ("maker_id", "1", "77", "No row of makers has this key."),
        ("shade", "light", "grey", "Not one of light, dark: grey"),
        ("parts", "{base,bulb}", "{base", "Not a valid array."),
    ],
)
async def test_a_refused_value_stays_typed(store: Store, column: str, before: str, typed: str, message: str) -> None:
    refused = await edit_cell(store, column, before, typed)
    assert refused.status_code == 422
    assert message in refused.text
    assert typed in refused.text


async def test_what_cannot_be_edited_is_refused(store: Store) -> None:
    assert (await edit_cell(store, "doubled", "1", "2")).status_code == 403
    assert (await edit_cell(store, "id", "1", "2")).status_code == 403
    assert (await edit_cell(store, "nothing", "1", "2")).status_code == 404


async def test_the_row_form_sends_only_what_was_touched(store: Store) -> None:
    await store.behind.execute("update lamps set note = 'theirs' where id = 3")
    form = {"o.name": '"Lantern <b>"', "v.name": "Lantern", "o.note": r'"two\nlines"', "v.note": "two\r\nlines"}
    saved = await store.owner.post(store.row("lamps", "3"), data=form)
    assert saved.status_code == 303
    assert await store.ask("select name || note from lamps where id = 3") == "Lanterntheirs"
    late = await store.owner.post(store.row("lamps", "3"), data={**form, "o.name": '"Lantern"', "v.note": "mine"})
    assert late.status_code == 409
    assert "Another write changed this value" in late.text
    assert "mine" in late.text
    assert "<code>theirs</code>" in late.text
    assert "Not saved yet" in late.text


async def test_a_row_is_edited_where_it_is_shown(store: Store) -> None:
    page = (await store.owner.get(f"{store.row('lamps', '3')}?edit=1")).text
    assert page.count('class="row-values"') == 2  # the second has what the database sets by itself
    assert page.index("Set by the database") < page.index(">doubled<")
    assert 'name="v.id"' not in page
    assert "Lantern &lt;b&gt;" in page
    assert '<option value="2">Nordvik · 2</option>' in page
    shown = (await store.owner.get(store.row("lamps", "2"))).text
    assert 'name="v.name"' not in shown
    assert "lamps · id 2" in shown
    assert f'href="{store.row("lamps", "1")}" rel="prev"' in shown
    assert f'href="{store.row("lamps", "3")}" rel="next"' in shown
    assert f'href="{store.row("lamps", "2")}" rel="prev"' not in (await store.owner.get(store.row("lamps", "1"))).text
    assert "→ makers" in shown
    again = {"v.name": "Torch", "v.shade": "", "again": "1"}
    added = await store.owner.post(f"{store.table('lamps')}/+new", data=again)
    assert "/+new?" in added.headers["location"]
    assert "Torch" in (await store.owner.get(added.headers["location"])).text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2025-08-27 15:55:01.5+00", "27 Aug 2025, 15:55 UTC"),
        ("2025-08-07 15:55:00+05:30", "7 Aug 2025, 15:55 +05:30"),
        ("2025-08-27 15:55:00", "27 Aug 2025, 15:55"),
        ("2025-12-01", "1 Dec 2025"),
        ("infinity", "infinity"),
        ("0044-03-15 BC", "0044-03-15 BC"),
    ],
)
def test_dates_are_written_for_people(text: str, written: str) -> None:
    assert write_civil_time(text) == written


async def test_a_new_row_takes_defaults_null_and_empty_text(store: Store) -> None:
    asked = (await store.owner.get(f"{store.table('lamps')}/+new")).text
    assert 'name="v.id"' not in asked
    assert re.search(r'<option value="1">Hallam &amp; Daughters · 1</option>', asked)
    assert "none yet (default)" in asked
    assert 'name="v.doubled"' not in asked
    form = {"v.name": "Torch", "v.note": "", "v.price": "1.50", "v.extras": "", "n.extras": "1", "v.lit": ""}
    added = await store.owner.post(f"{store.table('lamps')}/+new", data=form)
    assert added.status_code == 303
    assert await store.ask("select note || lit from lamps where name = 'Torch'") == "none yetfalse"
    empty = await store.owner.post(
        f"{store.table('lamps')}/+new", data={"v.name": "", "e.name": "1", "v.note": "", "n.note": "1"}
    )
    assert empty.status_code == 303
    assert await store.ask("select count(*) from lamps where name = '' and note is null") == 1
    refused = await store.owner.post(f"{store.table('lamps')}/+new", data={"v.price": "much", "v.name": "Kept"})
    assert refused.status_code == 422
    assert "Kept" in refused.text
    assert find_field_errors(refused.text) == ["v.price: Not a number: much"]
    assert refused.text.count(" autofocus") == 1


async def test_a_new_row_says_all_that_it_needs_and_nothing_of_other_columns(store: Store) -> None:
    await store.behind.execute(
        "create table keys (id int generated always as identity primary key, a text not null, "
        "b varchar(3) not null unique, c numeric(3,1) check (c > 1), secret text default 's3cret')"
    )
    await store.behind.execute("alter table keys add constraint apart check (a <> b)")
    path = f"{store.table('keys')}/+new"
    filled = {"v.a": "x", "v.b": "y"}
    assert (await store.owner.post(path, data=filled)).status_code == 303
    for form, errors in (
        ({"v.a": ""}, ["v.a: Required.", "v.b: Required."]),
        ({**filled, "v.b": "long"}, ["v.b: Too long: at most 3 characters."]),
        ({**filled, "v.c": "700"}, ["v.c: Too large: at most 2 digits before the decimal point."]),
        ({**filled, "v.c": "0.5"}, ["v.c: This breaks the rule “keys_c_check” of the table."]),
        (filled, ["v.b: Another row has this value already."]),
        ({"v.a": "z", "v.b": "z"}, []),
    ):
        refused = await store.owner.post(path, data=form)
        assert refused.status_code == 422
        assert find_field_errors(refused.text) == errors
        assert "Failing row" not in refused.text
    assert "This breaks the rule “apart” of the table." in refused.text


async def test_deleting_says_what_goes_along_and_the_row_keeps_its_history(store: Store) -> None:
    asked = (await store.owner.get(f"{store.table('lamps')}/+delete", params={"key": "1"})).text
    assert "<h1>Delete Reading lamp?</h1>" in asked
    assert re.search(r'<a href="[^"]*/data/public.bulbs\?[^"]*">2 rows of bulbs</a> are deleted too\.', asked)
    assert re.search(r'<a href="[^"]*">1 row of stickers</a> loses its reference\.', asked)
    gone = await store.owner.post(f"{store.table('lamps')}/+delete?key=1&key=2")
    assert gone.status_code == 303
    assert await store.ask("select count(*) from lamps") == 1
    missing = await store.owner.get(store.row("lamps", "1"))
    assert missing.status_code == 404
    assert "This row was deleted by" in missing.text
    assert LONG in missing.text
    assert "Open the session that deleted it" in missing.text


async def test_what_others_hold_on_to_is_not_deleted(store: Store) -> None:
    asked = (await store.owner.get(f"{store.table('makers')}/+delete", params={"key": "1"})).text
    assert re.search(
        r'Cannot be deleted.*<a href="[^"]*/data/public.lamps\?[^"]*">1 row of lamps</a> refers to it', asked, re.DOTALL
    )
    assert 'class="confirm"' not in asked
    assert 'id="delete-row"' not in (await store.owner.get(store.row("makers", "1"))).text
    refused = await store.owner.post(f"{store.table('makers')}/+delete?key=1")
    assert refused.status_code == 422
    assert "Nothing was deleted" in refused.text


async def test_deleting_many_rows_of_a_production_connection_asks_for_the_name(store: Store) -> None:
    changed = await store.owner.patch(f"/api/connections/{store.connection_id}", json={"environment": "production"})
    assert changed.status_code == 200
    assert (await store.owner.post(f"{store.table('words')}/+delete?key=new")).status_code == 303
    assert await store.ask("select count(*) from words") == 3
    await store.behind.execute("insert into bulbs select 1, 'slot ' || n from generate_series(1, 98) n")
    address = f"{store.table('lamps')}/+delete?key=1"
    asked = (await store.owner.get(address)).text
    assert "Type <code>lamps</code> to continue" in asked
    assert (await store.owner.post(address, data={"confirm": "lamp"})).status_code == 422
    assert (await store.owner.post(address, data={"confirm": "lamps"})).status_code == 303
    assert await store.ask("select count(*) from lamps") == 2


async def test_related_rows_lead_to_filtered_grids(store: Store) -> None:
    page = (await store.owner.get(store.row("makers", "1"))).text
    link = re.search(
        r'href="([^"]*)">lamps</a><span class="card-row-note"[^>]*>[^<]*</span></div><div class="card-end">1<', page
    )
    assert link is not None
    assert "Reading lamp" in (await store.owner.get(link[1].replace("&amp;", "&"))).text


@pytest.mark.parametrize("word", ["new", "", "..", "a b/c,d"])
async def test_a_row_of_any_key_has_a_page(store: Store, word: str) -> None:
    meaning = await store.ask(f"select meaning from words where word = '{word}'")
    answer = await store.owner.get(store.row("words", word))
    assert answer.status_code == 200
    assert str(meaning) in answer.text
    changed = await store.owner.post(
        store.row("words", word), data={"o.meaning": json.dumps(meaning), "v.meaning": "x"}
    )
    assert changed.status_code == 303
    assert (await store.owner.get(changed.headers["location"])).status_code == 200
    assert await store.ask(f"select meaning from words where word = '{word}'") == "x"


@pytest.mark.parametrize("name", ["a/b", "a%41", "\u00fc ?#"])
async def test_forms_and_toasts_lead_back_to_odd_names(store: Store, name: str) -> None:
    """A link to the same page keeps the encoding of its address: decoded, an encoded slash would part a name."""
    await store.behind.execute(f'create table "{name}" (id text primary key, name text)'.encode())
    form = await store.owner.get(f"{store.table(name)}/+new")
    assert f'action="{store.table(name)}/+new"' in form.text
    added = await store.owner.post(f"{store.table(name)}/+new", data={"v.id": "1/2", "v.name": "one"})
    here = store.row(name, "1/2")
    assert added.headers["location"].startswith(f"{here}?written=")
    changed = await store.owner.post(here, data={"o.name": '"one"', "v.name": "two"}, follow_redirects=True)
    (action, back), *_ = re.findall(r'action="([^"]+/undo[^"]*)" data-undo.*?name="back" value="([^"]*)"', changed.text)
    assert back == here
    undone = await store.owner.post(unescape(action), data={"back": back}, follow_redirects=True)
    assert (undone.status_code, undone.url.raw_path.partition(b"?")[0].decode()) == (200, here)
    assert f'action="{store.table(name)}/+delete?key=' in (await store.owner.get(_find_delete(undone.text))).text
    missing = await store.owner.get(store.row(name, "3/4"))
    assert f'href="{store.table(name)}"' in missing.text


def _find_delete(page: str) -> str:
    (href,) = set(re.findall(r'<a class="button[^"]*" href="([^"]+/[+]delete[^"]*)"', page))
    return unescape(href)


async def test_a_visitor_comes_back_to_the_same_row(store: Store, client: httpx.AsyncClient) -> None:
    path = store.row("words", "a b/c,d")
    asked = await client.get(f"{path}?a=%2F")
    assert asked.headers["location"] == f"/signin?{urlencode({'next': f'{path}?a=%2F'}, safe='/')}"


async def test_a_composite_key_of_odd_characters(store: Store) -> None:
    answer = await store.owner.get(store.row("bulbs", "2", "a/b, c.d ü%"))
    assert answer.status_code == 200
    assert f'href="{store.row("lamps", "2")}"' in answer.text


@pytest.mark.parametrize("key", [("",), ("", ""), ("%", "%25", "+new"), (",", "/", "."), ("a,b", "c"), ("ü ☃", "\n\t")])
def test_keys_survive_their_address(key: tuple[str, ...]) -> None:
    segment = encode_row(key)
    assert decode_row(segment) == key
    assert "/" not in segment
    assert not segment.startswith("+")
    assert segment.count(",") == len(key) - 1


async def test_a_viewer_reads_and_changes_nothing(store: Store, product: ServedProduct) -> None:
    viewer = await product.sign_up("viewer@example.com")
    await make_viewer(product, store.connection_id, "viewer@example.com")
    page = (await viewer.get(store.table("lamps"))).text
    assert "Reading lamp" in page
    assert "data-editable" not in page
    assert "Add row" not in page
    for path in (f"{store.table('lamps')}/+new", f"{store.table('lamps')}/+delete?key=1", store.row("lamps", "1")):
        assert (await viewer.post(path, data={"v.name": "x", "o.name": "null"})).status_code == 403
    cell = f"{store.row('lamps', '1')}/cell?column=name"
    assert (await viewer.post(cell, data={"v": "x", "o": "null"})).status_code == 403
    assert await store.ask("select name from lamps where id = 1") == "Reading lamp"


async def make_viewer(product: ServedProduct, connection_id: str, email: str) -> None:
    """There is no invitation yet, so the membership is written where it is kept."""
    database = product.registry.get(Database)
    async with database.unit_of_work() as unit:
        await unit.execute(
            text(
                "INSERT INTO connection_members (connection_id, user_id, role)"
                " SELECT CAST(:connection AS uuid), id, 'viewer' FROM users WHERE email = :email"
            ),
            {"connection": connection_id, "email": email},
        )


async def test_a_history_of_long_values_is_cut(store: Store) -> None:
    """Each image holds two megabytes; the pages that show it do not."""
    long = "line\n" * 400_000
    await store.behind.execute("update lamps set note = %s where id = 2", (long,))
    for price in range(3):
        made = await store.owner.patch(
            f"/api/v/{store.connection_id}/rest/v1/lamps?id=eq.2",
            json={"price": price},
            headers={"prefer": "return=minimal"},
        )
        assert made.status_code == 204
    row = (await store.owner.get(store.row("lamps", "2"))).text
    assert row.count('<del class="change-old">') >= 3
    assert '<ins class="change-new">2</ins>' in row
    assert len(row) < 200_000
    other = "line\n" * 399_999 + "lime\n"
    await store.owner.patch(f"/api/v/{store.connection_id}/rest/v1/lamps?id=eq.2", json={"note": other})
    digests = re.findall(r"2,400,002 characters, #([0-9a-f]{8})", (await store.owner.get(store.row("lamps", "2"))).text)
    assert len(set(digests)) == 2
    session = made.headers["x-basewarden-session"]
    page = (await store.owner.get(f"/c/{store.connection_id}/sessions/{session}")).text
    assert '<ins class="change-new">2</ins>' in page
    assert len(page) < 200_000
    journal = (await store.owner.get(f"/api/connections/{store.connection_id}/sessions/{session}")).json()
    assert journal["mutations"][0]["afterExact"]["note"] == long


async def test_a_change_that_was_undone_is_marked_and_offers_no_undo(store: Store) -> None:
    api = f"/api/v/{store.connection_id}/rest/v1/lamps?id=eq.2"
    headers = {"prefer": "return=minimal", "x-basewarden-session": "one"}
    made = await store.owner.patch(api, json={"price": 7}, headers=headers)
    session = made.headers["x-basewarden-session"]
    undo = f"/api/connections/{store.connection_id}/sessions/{session}/undo"
    undone = await store.owner.post(undo, json={"mode": "apply"})
    assert undone.is_success, undone.text

    async def list_entries() -> list[str]:
        page = (await store.owner.get(store.row("lamps", "2"))).text
        return page.partition('<ol class="history">')[2].partition("</ol>")[0].split("<li ")[1:]

    second, first = await list_entries()
    assert "in an undo" in second
    assert "Session of" not in second + first
    assert "is-undone" in first
    assert ">Undo<" not in first
    assert (await store.owner.patch(api, json={"price": 8}, headers={"prefer": "return=minimal"})).is_success
    newest, *_, first = await list_entries()
    assert ">Undo<" in newest
    assert "is-undone" not in newest


async def test_a_list_is_edited_one_value_per_line(store: Store) -> None:
    page = (await store.owner.get(store.row("lamps", "1") + "?edit=1")).text
    shown = re.search(r'name="v.parts"[^>]*>\n([^<]*)</textarea>', page)
    assert shown is not None
    assert shown[1] == "base\nbulb"
    assert 'name="a.parts"' in page
    form = {"v.parts": "base\r\nbulb", "a.parts": "1", "o.parts": '"{base,bulb}"'}
    unchanged = await store.owner.post(store.row("lamps", "1"), data=form)
    assert "write=" not in unchanged.headers["location"]
    form["v.parts"] = "base\r\n\r\na, b\r\nnull"
    assert (await store.owner.post(store.row("lamps", "1"), data=form)).status_code == 303
    assert await store.ask("select parts::text from lamps where id = 1") == '{base,"a, b","null"}'
    await store.behind.execute("update lamps set parts = '{a,NULL}' where id = 1")
    page = (await store.owner.get(store.row("lamps", "1") + "?edit=1")).text
    assert 'name="a.parts"' not in page
    assert "{a,NULL}" in page


async def test_what_holds_on_to_which_of_several_rows_is_said_with_a_link(store: Store) -> None:
    await store.behind.execute("insert into makers (id, name) values (90, 'Free'), (91, 'Freer')")
    asked = (await store.owner.get(f"{store.table('makers')}/+delete", params={"key": ["1", "90"]})).text
    held = re.search(r'refers? to them: <a href="([^"]*)">lamps of ([^<]*)</a>\.', asked)
    assert held is not None
    assert "Free" not in held[2]
    rows = await store.owner.get(unescape(held[1]))
    assert rows.status_code == 200
