"""What rows are called whose values repeat: by their key, or by the rows that they refer to."""

import re

from tests.fixtures.bench import Backend, Workshop, on_both_backends

_SHOP = """
    CREATE TABLE products (id int PRIMARY KEY, name text NOT NULL);
    INSERT INTO products VALUES (7, 'House blend'), (8, 'Decaf');
    CREATE TABLE warehouses (code char(3) PRIMARY KEY, name text NOT NULL);
    INSERT INTO warehouses VALUES ('LEI', 'Leipzig'), ('HAM', 'Hamburg');
    CREATE TABLE prices (id int PRIMARY KEY, product_id int NOT NULL REFERENCES products, amount numeric,
        currency char(3) NOT NULL DEFAULT 'EUR', source text NOT NULL DEFAULT 'list');
    INSERT INTO prices VALUES (12, 7, 9.50), (13, 7, 8.90), (14, 8, 7);
    CREATE TABLE stock (warehouse_code char(3) REFERENCES warehouses, product_id int REFERENCES products, on_hand int,
        PRIMARY KEY (warehouse_code, product_id));
    INSERT INTO stock VALUES ('LEI', 7, 4), ('LEI', 8, 5), ('HAM', 7, 6);
    CREATE TABLE orders (id int PRIMARY KEY, number text NOT NULL UNIQUE);
    INSERT INTO orders VALUES (1, 'LR-1');
    CREATE TABLE order_items (order_id int REFERENCES orders, line_no int, product_id int NOT NULL REFERENCES products,
        quantity int, PRIMARY KEY (order_id, line_no));
    INSERT INTO order_items VALUES (1, 1, 7, 1), (1, 2, 8, 1);
    CREATE TABLE notes (id int PRIMARY KEY, order_id int REFERENCES orders, product_id int NOT NULL REFERENCES products,
        mark int);
    INSERT INTO notes VALUES (1, NULL, 7, 0);
    CREATE TABLE coupons (id uuid PRIMARY KEY, note text NOT NULL, ticket text NOT NULL UNIQUE);
    INSERT INTO coupons VALUES ('6f1c7c70-0000-4000-8000-000000000001', 'welcome', 'A-1');
    CREATE TABLE refunds (id uuid PRIMARY KEY, reason text NOT NULL, amount int);
    INSERT INTO refunds VALUES ('6f1c7c70-0000-4000-8000-000000000001', 'damaged', 1),
        ('7f1c7c70-0000-4000-8000-000000000002', 'damaged', 2)
"""


def find_pinned(page: str) -> list[str]:
    """The name of the column that stays in sight."""
    return re.findall(r'is-pinned"[^>]*>\s*<a class="sort" id="sort-(\w+)"', page)


async def test_a_row_whose_texts_repeat_is_called_by_its_key(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    data = f"/c/{bench.connection_id}/data"
    page = (await bench.person.get(f"{data}/public.prices/12")).text
    assert re.search(r"<h1[^>]*>Price of House blend</h1>", page)
    assert "prices · id 12" in page
    assert "Delete Price of House blend?" in page
    grid = (await bench.person.get(f"{data}/public.prices")).text
    assert find_pinned(grid) == ["id"]
    stock = (await bench.person.get(f"{data}/public.stock")).text
    assert find_pinned(stock) == ["product_id"]
    unique = (await bench.person.get(f"{data}/public.coupons")).text
    assert find_pinned(unique) == ["ticket"]


@on_both_backends
async def test_rows_of_a_session_and_its_undo_have_different_names(workshop: Workshop, backend: Backend) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent()
    headers = {"x-basewarden-session": "one"}
    await agent.write("PATCH", "/prices?id=lt.14", {"amount": 1}, headers=headers)
    await agent.write("PATCH", "/stock?warehouse_code=eq.LEI", {"on_hand": 0}, headers=headers)
    await agent.write("PATCH", "/order_items?order_id=eq.1", {"quantity": 2}, headers=headers)
    await agent.write("PATCH", "/notes?id=eq.1", {"mark": 1}, headers=headers)
    session = (await agent.write("PATCH", "/refunds?amount=gt.0", {"amount": 9}, headers=headers)).session_id
    path = f"/c/{bench.connection_id}/sessions/{session}"
    page = (await bench.person.get(path)).text
    names = re.findall(r'class="entry-row"[^>]*>(.*?)</span>(?=\s*<span class="entry-changes")', page, re.DOTALL)
    shown = [" ".join(re.sub(r"<[^>]+>", " ", name).split()) for name in names]
    assert sorted(shown) == sorted(
        [
            "House blend 12",
            "House blend 13",
            "Leipzig · House blend LEI · 7",
            "Leipzig · Decaf LEI · 8",
            "House blend 1 · 1",
            "House blend 1",
            "Decaf 1 · 2",
            "6f1c7c70…",
            "7f1c7c70…",
        ]
    )
    undo = (await bench.person.get(f"{path}/undo")).text
    for text in ("Leipzig · House blend", "Leipzig · Decaf", "6f1c7c70-00…", "7f1c7c70-00…"):
        assert text in undo, text
