"""What a person does, from the first visit to the first undo, in a real browser."""

import re

import psycopg
import pytest
from playwright.async_api import Page, expect

from tests.fixtures.app import PASSWORD, Serve, ServedProduct
from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.browser


@pytest.fixture
async def product(serve: Serve) -> ServedProduct:
    """Of its own: its first account is signed in at once."""
    return await serve()


@pytest.fixture
async def shop_dsn(postgres: PostgresServer, store_template: str) -> str:
    return await postgres.create_database(template=store_template)


async def test_from_sign_up_to_the_first_undo(page: Page, shop_dsn: str) -> None:
    await sign_up(page)
    await connect(page, shop_dsn)
    await edit_a_price(page)
    await sort_and_filter(page)
    await choose_columns_and_values(page)
    await copy_rows(page)
    await add_and_delete(page)
    await read_history(page)
    await undo_it_all(page)
    async with await psycopg.AsyncConnection.connect(shop_dsn) as behind:
        cursor = await behind.execute("select id, name, price::text from lamps order by id")
        assert await cursor.fetchall() == [
            (1, "Reading lamp", "12345678901234567890.12345678901234567890"),
            (2, "Desk lamp", "40"),
            (3, "Lantern <b>", "7"),
        ]
    await sign_out(page)


async def sign_up(page: Page) -> None:
    await page.goto("/signup")
    """The first account of a deployment is signed in at once."""
    await fill_account(page, "Create account")
    await expect(page.get_by_role("heading", name="Connections")).to_be_visible()


async def fill_account(page: Page, button: str) -> None:
    await page.get_by_label("Email").fill("mara@example.com")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name=button, exact=True).click()


async def connect(page: Page, dsn: str) -> None:
    await page.get_by_role("link", name="New connection").last.click()
    await page.get_by_role("textbox", name="Name", exact=True).fill("Lamps")
    await page.get_by_label("Connection string", exact=True).fill(dsn)
    await page.get_by_role("button", name="Connect", exact=True).click()
    await expect(page.get_by_text("Connected. Create an agent next.")).to_be_visible()
    await page.get_by_role("link", name="Browse data").click()
    await page.get_by_role("link", name="lamps", exact=True).last.click()
    await expect(page.get_by_role("grid")).to_be_visible()


async def edit_a_price(page: Page) -> None:
    cell = page.locator("tbody tr").nth(1).locator("td").nth(4)
    await expect(cell).to_have_text("40")
    await cell.dblclick()
    field = page.get_by_role("textbox", name="price")
    await expect(field).to_be_focused()
    await expect(field).to_have_value("40")
    await field.fill("forty")
    await field.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("Not a number: forty")
    await expect(field).to_have_value("forty")
    await field.fill("41.50")
    await field.press("Enter")
    await expect(cell).to_have_text("41.50")
    await expect(cell).to_be_focused()


async def sort_and_filter(page: Page) -> None:
    """Only the rows are replaced: what was typed beside them stays."""
    tables = page.get_by_role("navigation", name="Tables")
    for name in ("makers", "lamps"):
        await tables.get_by_role("link", name=name).click()
        await expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
        await expect(page).to_have_title(re.compile(f"^{name} · "))
        await expect(page.get_by_role("main")).to_be_focused()
        await expect(tables.get_by_role("link", name=name)).to_have_attribute("aria-current", "page")
    header = page.get_by_role("columnheader", name="name")
    await page.get_by_label("Filter tables").fill("lamp")
    await header.get_by_role("link").click()
    await expect(header).to_have_attribute("aria-sort", "ascending")
    await page.get_by_text("Add filter").click()
    form = page.locator(".grid-filter")
    await form.get_by_label("Column").select_option("name")
    await form.get_by_label("Comparison").select_option("contains")
    await form.get_by_label("Value").fill("lamp")
    await form.get_by_role("button", name="Filter").click()
    await expect(page.locator("tbody tr")).to_have_count(2)
    await expect(header).to_have_attribute("aria-sort", "ascending")
    await page.get_by_role("link", name="Remove the filter on name").click()
    await expect(page.locator("tbody tr")).to_have_count(3)
    await expect(page.get_by_label("Filter tables")).to_have_value("lamp")
    await expect(page.get_by_role("navigation", name="Tables").get_by_role("link")).to_have_text(
        [re.compile("Tables"), re.compile("lamps")]
    )


async def choose_columns_and_values(page: Page) -> None:
    """A value of an enum is chosen, a filter is changed by pressing it, and columns are applied at once."""
    await page.get_by_label("Filter tables").fill("")
    await page.get_by_text("Add filter").click()
    form = page.locator(".grid-filter:visible")
    await form.get_by_label("Column").select_option("shade")
    await form.get_by_role("combobox", name="Value").select_option("dark")
    await form.get_by_role("button", name="Filter").click()
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.get_by_text("shade is dark").click()
    await form.get_by_label("Comparison").select_option("neq")
    await form.get_by_role("button", name="Filter").click()
    await expect(page.get_by_text("shade is not dark")).to_be_visible()
    await page.get_by_role("link", name="Remove the filter on shade").click()
    await expect(page.get_by_text("shade is not dark")).to_be_hidden()  # what is opened before would be replaced
    await page.get_by_text("Columns", exact=True).click()
    await page.get_by_label("Find a column").fill("not")
    box = page.get_by_role("checkbox", name="note")
    await expect(page.get_by_role("checkbox", name="shade")).to_be_hidden()
    await box.uncheck()
    await expect(page.get_by_role("columnheader", name="note")).to_have_count(0)
    await expect(box).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(box).to_be_hidden()


async def copy_rows(page: Page) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_label("Select row 2", exact=True).check()
    await expect(page.get_by_text("1 selected", exact=True)).to_be_visible()
    await page.get_by_text("Copy as").click()
    await page.get_by_role("button", name="CSV").click()
    await expect(page.get_by_text("1 row copied as CSV.")).to_be_visible()
    assert (await page.evaluate("navigator.clipboard.readText()")).startswith("name,id,maker_id,price,")
    await page.get_by_role("button", name="Clear").click()
    await expect(page.get_by_text("Copy as")).to_be_hidden()


async def add_and_delete(page: Page) -> None:
    await page.get_by_role("link", name="Add row").click()
    await page.get_by_label("name", exact=True).fill("Torch")
    await page.get_by_text("Optional").click()
    await page.get_by_label("shade", exact=True).select_option("dark")
    await page.get_by_role("button", name="Add row").click()
    await expect(page.get_by_text("Torch added")).to_be_visible()
    await page.get_by_role("link", name="lamps", exact=True).first.click()
    await expect(page.locator("tbody tr")).to_have_count(4)
    await page.get_by_label("Select row 1", exact=True).check()
    await page.get_by_role("button", name="Delete…").click()
    await expect(page.get_by_text("2 rows of bulbs are deleted too")).to_be_visible()
    await page.get_by_role("button", name="Delete row").click()
    await expect(page.get_by_text("Reading lamp deleted, and 3 rows that referred to it")).to_be_visible()
    await expect(page.locator("tbody tr")).to_have_count(3)


async def read_history(page: Page) -> None:
    await page.get_by_role("link", name="Open row 2").click()
    history = page.locator("ol.history")
    await expect(history.locator("del").first).to_have_text("40")
    await expect(history.locator("ins").first).to_have_text("41.50")


async def undo_it_all(page: Page) -> None:
    await page.locator("ol.history .history-when").get_by_role("link").click()
    await expect(page).to_have_url(re.compile(r"/sessions/[0-9a-f-]{36}$"))
    await page.get_by_role("link", name="Review and undo…").first.click()
    await page.get_by_role("button", name=re.compile(r"Undo \d+ row")).click()
    await expect(page.get_by_role("heading", name=re.compile(r"are as they were$"))).to_be_visible()


async def sign_out(page: Page) -> None:
    await page.get_by_role("button", name=re.compile("Account of")).click()
    await page.get_by_role("button", name="Sign out").click()
    await page.goto("/connections")
    await expect(page).to_have_url(re.compile("/signin"))
