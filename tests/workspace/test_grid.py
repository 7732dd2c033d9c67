"""The tables and the grid over real HTTP: reading, sorting, filtering, paging, and honest words about all of it."""

import re
import resource

import httpx
import psycopg
import pytest

from basewarden.workspace.kept_counts import Counted
from tests.fixtures.bench import on_both_backends
from tests.fixtures.postgres import PostgresServer
from tests.workspace.conftest import Store


def cells(page: str) -> list[str]:
    """The rows' names, in order."""
    return re.findall(r'class="row-link"[^>]*title="Open row ([^"]*)"', page)


async def test_tables_are_listed_with_what_matters(store: Store) -> None:
    page = (await store.owner.get(store.data)).text
    assert ">lamps</a>" in page
    assert ">odd.name</a>" in page
    assert ">view<" in page
    rows = re.findall(r'data-label="Rows" class="is-number(?: is-none)?">([^<]*)<', page)
    assert rows == ["3", "", "1", "3", "2", "1", "1", "4"]  # as many as there are, not as the planner guesses
    beside = (await store.owner.get(store.table("lamps"))).text
    assert re.findall(r'id="count-\d+">([^<]*)<', beside) == rows
    assert "+counts" not in beside
    found = (await store.owner.get(store.data, params={"q": "lamp"})).text
    assert "public.lamps" in found
    assert "public.makers" not in found
    assert "No matching tables" in (await store.owner.get(store.data, params={"q": "zebra"})).text


@on_both_backends
async def test_a_grid_shows_exact_values_and_labels(store: Store) -> None:
    page = (await store.owner.get(store.table("lamps"))).text
    assert "12345678901234567890.12345678901234567890" in page
    assert "Hallam &amp; Daughters" in page
    assert f'href="{store.row("makers", "1")}"' in page
    assert "Lantern &lt;b&gt;" in page
    assert "empty string" in page
    assert '<span class="null">null</span>' in page
    assert "3 of 3" in page


async def test_sorting_by_any_column_both_ways(store: Store) -> None:
    by_name = (await store.owner.get(store.table("lamps"), params={"sort": "name"})).text
    assert cells(by_name) == ["2", "3", "1"]
    assert 'aria-sort="ascending"' in by_name
    back = (await store.owner.get(store.table("lamps"), params={"sort": "name", "dir": "desc"})).text
    assert cells(back) == ["1", "3", "2"]


@pytest.mark.parametrize(
    ("operator", "column", "value", "left"),
    [
        ("eq", "note", "", ["1"]),
        ("null", "note", "", ["2"]),
        ("notnull", "maker_id", "", ["1", "2"]),
        ("contains", "name", "LAMP", ["1", "2"]),
        ("contains", "name", "%", []),
        ("starts", "name", "desk", ["2"]),
        ("gte", "price", "40", ["1", "2"]),
        ("in", "id", "1, 3", ["1", "3"]),
        ("eq", "shade", "dark", ["2"]),
        ("eq", "lit", "true", ["1"]),
    ],
)
async def test_filters(store: Store, operator: str, column: str, value: str, left: list[str]) -> None:
    query = {"column": column, "operator": operator, "value": value}
    assert cells((await store.owner.get(store.table("lamps"), params=query)).text) == left


@on_both_backends
async def test_a_filter_that_cannot_be_used_is_named_and_shows_no_rows(store: Store) -> None:
    query = [("column", "name"), ("operator", "contains"), ("value", "lamp")]
    query += [("column", "price"), ("operator", "gt"), ("value", "a lot")]
    answer = await store.owner.get(store.table("lamps"), params=httpx.QueryParams(tuple(query)))
    assert answer.status_code == 200
    assert "This filter is not valid: price is over a lot" in answer.text
    assert "No rows shown" in answer.text
    assert cells(answer.text) == []
    assert "selection-bar" not in answer.text


async def test_the_form_of_the_ticks_has_no_default_button(store: Store) -> None:
    """Enter on a tick box presses a form's first button, also without script, where that is not disabled."""
    page = (await store.owner.get(store.table("lamps"))).text
    form = page.partition('id="selection"')[2].partition("</form>")[0]
    first, *others = re.findall(r"<button[^>]*>", form)
    assert " disabled" in first
    assert [" disabled" in one for one in others] == [False] * 6
    assert 'form="selection"' in page


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("csv", 'name,note,price,lit,extras\r\nLantern <b>,"two\nlines",7,false,"{""a"": 2, ""b"": 1}"\r\n'),
        ("csv", 'Reading lamp,"",12345678901234567890.12345678901234567890,true,"{""watt"": 9.0}"\r\n'),
        ("json", '"note":"","price":12345678901234567890.12345678901234567890,"lit":true'),
        ("markdown", "| Lantern &lt;b> | two lines | 7 | false |"),
    ],
)
async def test_chosen_rows_are_copied_in_their_order(store: Store, form: str, text: str) -> None:
    names = ["name", "note", "price", "lit", "extras"]
    query = {"key": ["3", "1"], "as": form, "columns": names}
    answer = await store.owner.get(f"{store.table('lamps')}/+copy", params=query)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert text in answer.text
    assert answer.text.index("Lantern") < answer.text.index("Reading")


async def test_what_cannot_be_copied_is_refused(store: Store, stranger: httpx.AsyncClient) -> None:
    path = f"{store.table('lamps')}/+copy"
    for query in ({}, {"key": "1", "as": "xml"}, {"key": "1,2"}):
        assert (await store.owner.get(path, params=query)).status_code == 404
    assert (await stranger.get(path, params={"key": "1"})).status_code == 404
    await store.behind.execute("update lamps set note = repeat('x', 30000) where id = 2")
    refused = await store.owner.get(path, params={"key": "2"}, headers={"HX-Request": "true"})
    assert refused.status_code == 403
    assert "too long to copy" in refused.json()["message"]
    assert (await store.owner.get(path, params={"key": "2", "columns": "name"})).text == "name\r\nDesk lamp\r\n"


@on_both_backends
async def test_pages_have_a_size_and_an_end(store: Store) -> None:
    await store.behind.execute("insert into lamps (name) select 'Lamp ' || n from generate_series(4, 60) n")
    first = (await store.owner.get(store.table("lamps"), params={"size": "25"})).text
    assert len(cells(first)) == 25
    assert "25 of 60" in first
    swapped = (await store.owner.get(store.table("lamps"), params={"size": "25"}, headers={"HX-Target": "rows"})).text
    assert cells(swapped) == cells(first)
    assert 'id="rows"' in swapped
    link = {"HX-Target": "content", "HX-Request": "true", "HX-Boosted": "true"}
    other = (await store.owner.get(store.table("lamps"), headers=link)).text
    assert cells(other)
    assert '<main class="content" id="content"' in other
    assert 'aria-label="Main"' not in other
    assert 'aria-label="Main"' in first
    assert 'aria-label="Main"' not in swapped
    last = (await store.owner.get(store.table("lamps"), params={"size": "25", "page": "3"})).text
    assert len(cells(last)) == 10
    assert "This page does not exist" in (await store.owner.get(store.table("lamps"), params={"page": "9"})).text


async def test_chosen_columns_and_odd_names(store: Store) -> None:
    page = (await store.owner.get(store.table("lamps"), params={"columns": ["name", "price"]})).text
    assert "Net, in euro" not in page
    assert page.count('<th scope="col"') == 3
    odd = await store.owner.get(store.table("odd.name"), params={"column": "select", "operator": "eq", "value": "1"})
    assert cells(odd.text) == ["1"]


@pytest.mark.parametrize(("table", "reason"), [("heap", "no primary key"), ("cheap", "This is a view")])
async def test_what_cannot_be_changed_says_why(store: Store, table: str, reason: str) -> None:
    page = (await store.owner.get(store.table(table))).text
    assert reason in page
    assert "data-editable" not in page
    assert (await store.owner.post(f"{store.table(table)}/+new", data={"v.name": "x"})).status_code == 403


async def test_counts_beside_the_grid_are_loaded_where_they_are_not_known(store: Store) -> None:
    beside = (await store.owner.get(store.table("lamps"))).text
    assert re.findall(r'id="count-\d+">(\d+)<', beside) == ["3"]  # that of the table which is shown
    assert f'hx-get="{store.data}/+counts"' in beside
    await store.behind.execute("insert into heap values ('another')")
    counts = (await store.owner.get(f"{store.data}/+counts")).text
    assert '<span class="table-link-count" id="count-3" hx-swap-oob="true">2</span>' in counts
    assert "+counts" not in (await store.owner.get(store.table("heap"))).text


@pytest.mark.parametrize(
    ("rows", "text"),
    [(999, "about 999"), (50_000, "about 50k"), (1200, "about 1.2k"), (999_800, "about 1m"), (12_345_678, "about 12m")],
)
def test_an_estimate_is_rounded(rows: int, text: str) -> None:
    assert Counted(rows, is_estimate=True).text == text


async def test_a_stranger_finds_nothing(store: Store, stranger: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    for path in (
        store.data,
        f"{store.data}/+counts",
        store.table("lamps"),
        store.row("lamps", "1"),
        f"{store.table('lamps')}/+new",
    ):
        assert (await stranger.get(path)).status_code == 404
        assert (await client.get(path)).status_code == 303
    assert (await stranger.post(store.row("lamps", "1"), data={"v.name": "x", "o.name": "null"})).status_code == 404


async def test_unknown_tables_and_rows(store: Store) -> None:
    for path in (
        store.table("nothing"),
        f"{store.data}/nonsense",
        f"{store.table('lamps')}/1,2",
        store.row("lamps", "99"),
    ):
        assert (await store.owner.get(path)).status_code == 404
    assert (await store.owner.get(store.row("lamps", "abc"))).status_code == 422


async def test_several_filters_hold_together(store: Store) -> None:
    query = [("column", "name"), ("operator", "contains"), ("value", "lamp")]
    query += [("column", "price"), ("operator", "lt"), ("value", "50")]
    answer = await store.owner.get(store.table("lamps"), params=httpx.QueryParams(tuple(query)))
    assert cells(answer.text) == ["2"]


async def test_a_table_without_its_schema_leads_to_its_page(store: Store) -> None:
    answer = await store.owner.get(f"{store.data}/lamps")
    assert answer.status_code == 303
    assert answer.headers["location"] == store.table("lamps")
    missing = await store.owner.get(f"{store.data}/lamb")
    assert missing.status_code == 404
    assert "such as public.orders" in missing.text


async def test_a_table_with_the_name_of_a_path_is_that_table(store: Store) -> None:
    await store.behind.execute(
        'create table "rpc/add_row" (id int primary key, note text);'
        "create table called (note text);"
        "create function add_row(id int, note text) returns setof called language sql"
        " as $$ insert into called values (note) returning * $$"
    )
    made = await store.owner.post(f"{store.table('rpc/add_row')}/+new", data={"v.id": "1", "v.note": "here"})
    assert made.status_code == 303, made.text
    assert await store.ask('select note from "rpc/add_row"') == "here"
    assert await store.ask("select count(*) from called") == 0
    assert cells((await store.owner.get(store.table("rpc/add_row"))).text) == ["1"]


@on_both_backends
async def test_long_values_are_cut_and_can_be_had_whole(store: Store) -> None:
    whole = "ab c" * 30_000
    await store.behind.execute("update lamps set note = %s where id = 2", (whole,))
    page = (await store.owner.get(store.table("lamps"))).text
    assert len(page) < 60_000
    assert whole[:400] in page
    address = f"{store.row('lamps', '2')}/value?column=note"
    assert address in page
    assert (await store.owner.get(address)).text == whole
    row = (await store.owner.get(f"{store.row('lamps', '2')}?edit=1")).text
    assert address in row
    assert "Too long to edit here." in row
    assert 'name="v.note"' not in row
    assert 'name="v.name"' in row
    editor = await store.owner.get(f"{store.row('lamps', '2')}/cell?column=note&edit=1", headers={"HX-Request": "true"})
    assert whole in editor.text


async def test_a_value_too_long_to_edit_says_so(store: Store) -> None:
    await store.behind.execute("update lamps set note = repeat('x', 200001) where id = 2")
    answer = await store.owner.get(f"{store.row('lamps', '2')}/cell?column=note&edit=1", headers={"HX-Request": "true"})
    assert answer.status_code == 403
    assert "too long to edit here" in answer.json()["message"]


async def test_long_values_do_not_leave_the_database(store: Store) -> None:
    """A page of 50 rows of 2 MB each: what is sent to us is what is shown."""
    await store.behind.execute(
        "create table wide (id int primary key, line text);"
        "insert into wide select n, repeat('x', 2000000) from generate_series(1, 50) n"
    )
    before = read_highest_memory()
    page = (await store.owner.get(store.table("wide"))).text
    assert len(page) < 300_000
    assert read_highest_memory() - before < 50_000_000


async def test_many_columns_make_few_rows(store: Store) -> None:
    columns = ", ".join(f"c{number} int" for number in range(900))
    await store.behind.execute(f"create table broad (id int primary key, {columns})".encode())
    await store.behind.execute("insert into broad select n from generate_series(1, 250) n")
    page = (await store.owner.get(store.table("broad"), params={"size": "250"})).text
    assert len(cells(page)) == 22
    assert "At most 22 rows per page" in page
    chosen = (await store.owner.get(store.table("broad"), params={"size": "250", "columns": ["id", "c1"]})).text
    assert len(cells(chosen)) == 250
    second = (await store.owner.get(store.table("broad"), params={"size": "250", "page": "2"})).text
    assert cells(second)[0] == "23"


def read_highest_memory() -> int:
    """Of this process, in bytes, at any time so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def test_a_database_that_is_gone_is_reported(store: Store, postgres: PostgresServer) -> None:
    assert (await store.owner.get(store.data)).status_code == 200
    name = await store.ask("select current_database()")
    async with await psycopg.AsyncConnection.connect(postgres.embedded.dsn("postgres"), autocommit=True) as admin:
        await admin.execute(f'alter database "{name}" with allow_connections false'.encode())
        await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,))
        answer = await store.owner.get(store.table("lamps"))
        await admin.execute(f'alter database "{name}" with allow_connections true'.encode())
    assert answer.status_code == 503
    assert "The database cannot be reached" in answer.text
    assert "Try again" in answer.text
    assert (await store.owner.get(store.table("lamps"))).status_code == 200
