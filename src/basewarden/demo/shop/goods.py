"""Shelves, products, prices, warehouses, stock and coupons."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal, localcontext
from random import Random
from typing import NamedTuple

from psycopg.types.json import Jsonb
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from basewarden.demo.shop.chance import OPENED, TODAY, is_lucky, make_chance, moment_between
from basewarden.demo.shop.rows import Category, Coupon, Price, Product, Stock, Warehouse

# Shelf -> its boards. The names are the page's, the slugs are made from them.
SHELVES = {
    "Coffee": ("Filter Coffee", "Espresso", "Decaf"),
    "Tea": ("Black Tea", "Green Tea", "Herbal Tea"),
    "Brewing": ("Pour Over", "Espresso Machines", "Kettles", "Grinders"),
    "Tableware": ("Cups", "Glasses"),
    "Pantry": ("Chocolate", "Biscuits", "Syrups"),
    "Care": ("Filters", "Cleaning"),
    "Gifts": ("Gift Boxes",),
}

SIZES = (("250 g", Decimal(1), 250), ("500 g", Decimal("1.88"), 500), ("1 kg", Decimal("3.55"), 1000))


class Line(NamedTuple):
    """A product line, before its sizes or colours."""

    board: str
    name: str
    description: str
    price: str
    tags: tuple[str, ...]
    weight_g: int = 0


COFFEES = (
    Line(
        "Filter Coffee",
        "Ethiopia Guji",
        "Washed. Bergamot, apricot, black tea.",
        "11.90",
        ("washed", "light"),
    ),
    Line("Filter Coffee", "Ethiopia Sidamo Natural", "Blueberry and cocoa nibs.", "12.50", ("natural", "light")),
    Line("Filter Coffee", "Kenya Nyeri AA", "Blackcurrant, rhubarb, brown sugar.", "13.90", ("washed", "light")),
    Line("Filter Coffee", "Colombia Huila", "Red apple, caramel, long finish.", "10.90", ("washed", "medium")),
    Line("Filter Coffee", "Guatemala Huehuetenango", "Orange, milk chocolate.", "10.50", ("washed", "medium")),
    Line("Filter Coffee", "Rwanda Nyamasheke", "Red berries, hibiscus.", "12.20", ("washed", "light")),
    Line("Filter Coffee", "Panama Boquete Geisha", "Jasmine, mango. Forty bags.", "29.00", ("washed", "rare")),
    Line("Filter Coffee", "Sumatra Lintong", "Cedar, tobacco, dark honey.", "11.20", ("wet hulled", "dark")),
    Line("Espresso", "Hausmischung No. 1", "Our house blend. Hazelnut, cocoa.", "9.50", ("blend", "medium")),
    Line("Espresso", "Nachtschicht", "Dark, heavy, forgiving. With robusta.", "8.90", ("blend", "dark")),
    Line("Espresso", "Brazil Fazenda Rio Verde", "Peanut, milk chocolate.", "9.90", ("natural", "medium")),
    Line("Espresso", "India Monsooned Malabar", "Spice, low acidity.", "10.40", ("monsooned", "dark")),
    Line("Espresso", "El Salvador Pacamara", "Cherry, nougat.", "12.90", ("honey", "medium")),
    Line("Espresso", "Sonntagsbohne", "Changes with every season.", "11.50", ("blend", "seasonal")),
    Line("Decaf", "Decaf Colombia Sugarcane", "Caramel, orange. No regrets.", "11.60", ("decaf", "medium")),
    Line("Decaf", "Decaf Mexico Water Process", "Almond, cocoa.", "11.20", ("decaf", "medium")),
)
TEAS = (
    Line("Black Tea", "Assam Mokalbari", "Malty, strong; takes milk.", "8.90", ("organic",)),
    Line("Black Tea", "Darjeeling First Flush", "Light, flowery, spring 2026.", "14.90", ("organic", "rare")),
    Line("Black Tea", "Earl Grey Calabria", "With real bergamot oil.", "9.40", ("flavoured",)),
    Line("Black Tea", "Lapsang Souchong", "Smoked over pine.", "10.90", ("smoked",)),
    Line("Green Tea", "Sencha Kagoshima", "Grass, melon.", "12.40", ("organic",)),
    Line("Green Tea", "Genmaicha", "With roasted rice.", "8.50", ("organic",)),
    Line("Green Tea", "Dragon Well", "Chestnut. Hand fired.", "16.50", ("rare",)),
    Line("Herbal Tea", "Bergwiese", "Mint, lemon balm, cornflower.", "6.90", ("caffeine free",)),
    Line("Herbal Tea", "Rooibos Pur", "From the Cederberg.", "6.50", ("caffeine free", "organic")),
    Line("Herbal Tea", "Feierabend", "Hops, lavender, chamomile.", "7.20", ("caffeine free",)),
)
THINGS = (
    Line("Pour Over", "Dripper 02", "Porcelain cone for one to four cups.", "24.90", ("filter",), 420),
    Line("Pour Over", "Dripper 01", "Porcelain cone for one to two cups.", "19.90", ("filter",), 310),
    Line("Pour Over", "Glass Carafe 600 ml", "Heat-proof, with a wooden collar.", "39.00", ("filter",), 640),
    Line("Pour Over", "Steel Dripper", "For travelling; folds flat.", "32.00", ("travel",), 180),
    Line("Pour Over", "French Press 1 l", "Double wall, keeps warm for an hour.", "54.90", ("immersion",), 1150),
    Line("Pour Over", "Moka Pot 3 Cups", "Aluminium, for every stove but induction.", "29.90", ("moka",), 480),
    Line("Espresso Machines", "Piccola E1", "Single boiler, honest steam.", "449.00", ("machine",), 9200),
    Line("Espresso Machines", "Doppia HX", "Heat exchanger, rotary pump.", "1290.00", ("machine",), 24500),
    Line(
        "Espresso Machines",
        "Leva Hand Press",
        "No electricity, nine bars of you.",
        "219.00",
        ("travel",),
        2900,
    ),
    Line("Espresso Machines", "Tamper 58 mm", "Beech and steel, 380 g.", "34.50", ("barista",), 400),
    Line("Espresso Machines", "Knock Box", "Rubber bar, dishwasher safe.", "27.90", ("barista",), 900),
    Line("Kettles", "Gooseneck Kettle 0.8 l", "Set to the degree.", "119.00", ("kettle",), 1300),
    Line("Kettles", "Stove Kettle 1 l", "Enamel. Whistles in F sharp.", "44.00", ("kettle",), 980),
    Line("Kettles", "Thermometer Clip", "Reads in two seconds.", "14.90", ("kettle",), 60),
    Line("Grinders", "Hand Grinder Mühle C", "Steel burrs, 36 clicks.", "89.00", ("grinder",), 620),
    Line(
        "Grinders",
        "Hand Grinder Mühle S",
        "Small enough for a rucksack.",
        "64.00",
        ("grinder", "travel"),
        410,
    ),
    Line("Grinders", "Electric Grinder G40", "Flat burrs, single dose.", "349.00", ("grinder",), 5200),
    Line("Grinders", "Grinder Brush", "Boar bristle.", "9.90", ("care",), 45),
    Line("Glasses", "Cappuccino Glass, pair", "Double wall, 240 ml.", "22.00", ("glass",), 300),
    Line("Glasses", "Espresso Glass, pair", "Double wall, 80 ml.", "16.00", ("glass",), 170),
    Line("Glasses", "Cold Brew Bottle 1 l", "With a fine steel filter.", "34.00", ("cold brew",), 720),
    Line("Chocolate", "Dark 72 %, Tanzania", "Coffee's best neighbour.", "5.90", ("organic", "vegan"), 80),
    Line("Chocolate", "Milk 45 %, with cardamom", "Small batches.", "5.90", ("organic",), 80),
    Line("Chocolate", "Espresso Beans in Chocolate", "Do not count them.", "7.50", ("sweet",), 150),
    Line("Biscuits", "Cantuccini", "Almond, twice baked.", "6.40", ("sweet",), 200),
    Line("Biscuits", "Butter Shortbread", "Salted.", "5.80", ("sweet",), 180),
    Line("Biscuits", "Oat Biscuits", "Without added sugar.", "4.90", ("vegan",), 160),
    Line("Syrups", "Vanilla Syrup 0.25 l", "With seeds in it.", "9.80", ("vegan",), 560),
    Line("Syrups", "Hazelnut Syrup 0.25 l", "Piedmont hazelnuts.", "9.80", ("vegan",), 560),
    Line("Filters", "Paper Filters 02, 100 pcs", "Unbleached.", "6.50", ("filter",), 190),
    Line("Filters", "Paper Filters 01, 100 pcs", "Unbleached.", "5.50", ("filter",), 150),
    Line("Filters", "Cloth Filter, 3 pcs", "Lasts half a year.", "12.90", ("zero waste",), 70),
    Line("Cleaning", "Descaler 500 ml", "Citric acid, for three rounds.", "8.90", ("care",), 560),
    Line("Cleaning", "Group Head Powder 400 g", "For backflushing.", "12.50", ("care",), 430),
    Line("Cleaning", "Milk System Cleaner", "Once a week, please.", "11.50", ("care",), 540),
    Line("Gift Boxes", "First Sip", "Three coffees, a dripper, filters.", "59.00", ("gift",), 1600),
    Line("Gift Boxes", "Office Survival", "Three kilos of house blend, biscuits.", "109.00", ("gift",), 3900),
    Line("Gift Boxes", "Tea Time", "Five teas and a shortbread.", "49.00", ("gift",), 900),
    Line("Gift Boxes", "Coffee Subscription, 6 months", "A new bag every month.", "75.00", ("gift",), 20),
)
CUPS = (
    "Espresso Cup 70 ml",
    "Cappuccino Cup 180 ml",
    "Latte Bowl 300 ml",
    "Mug Lindenrain 250 ml",
    "Travel Mug 350 ml",
)
COLOURS = ("Chalk", "Slate", "Moss", "Terracotta", "Night Blue")

WAREHOUSES = (
    ("LEI", "Leipzig, roastery", (51.3275, 12.3314), time(6, 30), time(18), "10.20.1.0/24"),
    ("KOE", "Köln, parcels", (50.9602, 6.8837), time(5), time(22, 15), "10.20.2.0/24"),
    ("GRZ", "Graz, Austria", (47.0402, 15.4181), time(7), time(16, 30), "10.20.3.0/24"),
    ("RET", "Leipzig, returns", (51.3281, 12.3320), time(8), time(15), "2001:db8:20::/64"),
)
HOLIDAYS = (
    Range(date(2026, 12, 24), date(2026, 12, 28)),
    Range(date(2027, 1, 1), date(2027, 1, 2)),
)
LEAD_TIMES = ("3 days", "14 days", "1 mon", "2 mons 7 days", "5 days 12:00:00")
REDUCED_VAT, FULL_VAT = Decimal("0.070"), Decimal("0.190")
FOOD_BOARDS = {board for shelf in ("Coffee", "Tea", "Pantry") for board in SHELVES[shelf]}


class Goods(NamedTuple):
    categories: list[Category]
    products: list[Product]
    prices: list[Price]
    warehouses: list[Warehouse]
    stock: list[Stock]
    coupons: list[Coupon]


def make_goods() -> Goods:
    """Generates the same few hundred products at every scale, which only adds customers."""
    categories = _make_categories()
    products, prices = _make_products({category.name: category.id for category in categories})
    return Goods(categories, products, prices, _make_warehouses(), _make_stock(products), _make_coupons())


def _make_categories() -> list[Category]:
    categories: list[Category] = []
    for position, (shelf, boards) in enumerate(SHELVES.items()):
        parent_id = len(categories) + 1
        categories.append(Category(parent_id, None, _slug(shelf), shelf, position))
        for below, board in enumerate(boards):
            categories.append(Category(len(categories) + 1, parent_id, _slug(board), board, below))
    return categories


def _list_articles() -> Iterator[Line]:
    """Lists every line in each of its sizes or colours."""
    for line in (*COFFEES, *TEAS):
        for size, factor, weight in SIZES:
            price = _shelf_price(Decimal(line.price) * factor)
            yield line._replace(name=f"{line.name}, {size}", price=price, weight_g=weight + 30)
    yield from THINGS
    for number, cup in enumerate(CUPS):
        for colour in COLOURS:
            yield Line(
                "Cups",
                f"{cup}, {colour}",
                "Thrown in Thuringia; no two are alike.",
                f"{12 + 3 * number}.50",
                ("stoneware", colour.lower()),
                weight_g=180 + 70 * number,
            )


def _make_products(category_ids: dict[str, int]) -> tuple[list[Product], list[Price]]:
    products: list[Product] = []
    prices: list[Price] = []
    chance = make_chance("products")
    for product_id, line in enumerate(_list_articles(), start=1):
        product = _make_product(chance, product_id, category_ids[line.board], line)
        products.append(product)
        prices.extend(_make_prices(chance, product, line, first_id=len(prices) + 1))
    return products, prices


def _make_product(chance: Random, product_id: int, category_id: int, line: Line) -> Product:
    launched = moment_between(chance, OPENED, TODAY - timedelta(days=200))
    is_coffee = line.board in SHELVES["Coffee"]
    side = chance.randrange(80, 220)
    return Product(
        id=product_id,
        category_id=category_id,
        sku=f"{line.board[:3].upper()}-{product_id:04}",
        name=line.name,
        description=line.description,
        status=chance.choices(("active", "sold_out", "discontinued", "draft"), (88, 6, 4, 2))[0],
        tags=list(line.tags),
        attributes=_make_attributes(chance, line),
        package=(
            side,
            side // 2,
            side + chance.randrange(90),
            line.weight_g + Decimal(chance.randrange(100)) / 100,
        ),
        roast_curve=_make_roast_curve(chance) if is_coffee else None,
        rating=round(chance.uniform(3.4, 5), 2) if is_lucky(chance, 0.9) else float("nan"),
        launched_on=launched.date(),
        created_at=launched,
        created_by="import",
        updated_at=launched,
        updated_by=None,
    )


def _make_attributes(chance: Random, line: Line) -> Jsonb:
    if line.board in SHELVES["Coffee"]:
        altitude = chance.randrange(9, 21) * 100
        scores = {key: round(chance.uniform(5, 9), 2) for key in ("acidity", "body", "sweetness")}
        return Jsonb({"altitude_m": [altitude, altitude + 250], "cup": scores, "producer": None})
    return Jsonb({"origin": chance.choice(("DE", "IT", "JP", "PT")), "warranty_months": chance.choice((24, 36, None))})


def _make_roast_curve(chance: Random) -> list[int | None]:
    curve = [95 + 9 * minute + chance.randrange(6) for minute in range(12)]
    return [None if is_lucky(chance, 0.05) else celsius for celsius in curve]


def _make_prices(chance: Random, product: Product, line: Line, *, first_id: int) -> list[Price]:
    """Generates up to three prices since the launch, each higher; the last one is current."""
    days = sorted(chance.sample(range(20, 180), chance.randrange(3)))
    starts = [product.launched_on, *(product.launched_on + timedelta(days=day) for day in days)]
    ends: list[date | None] = [*starts[1:], None]
    return [
        Price(
            id=first_id + step,
            product_id=product.id,
            amount=_price_at(Decimal(line.price), steps_back=len(starts) - 1 - step),
            currency="EUR",
            vat_rate=REDUCED_VAT if line.board in FOOD_BOARDS else FULL_VAT,
            landed_cost=_landed_cost(chance, Decimal(line.price)),
            validity=Range(start, end),
        )
        for step, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def _price_at(amount: Decimal, *, steps_back: int) -> Decimal:
    return Decimal(_shelf_price(amount * (1 - Decimal("0.06") * steps_back)))


def _landed_cost(chance: Random, amount: Decimal) -> Decimal | None:
    if is_lucky(chance, 0.1):
        return Decimal("NaN") if is_lucky(chance, 0.5) else None
    with localcontext(prec=38):
        exchange_rate = Decimal(chance.randrange(85_000, 99_000)) / Decimal(92_347)
        return amount * Decimal("0.43") * exchange_rate


def _make_warehouses() -> list[Warehouse]:
    return [
        Warehouse(code, name, location, opens, closes, Multirange(HOLIDAYS if code != "RET" else ()), network)
        for code, name, location, opens, closes, network in WAREHOUSES
    ]


def _make_stock(products: list[Product]) -> list[Stock]:
    chance = make_chance("stock")
    return [_make_stock_row(chance, code, product) for code, *_ in WAREHOUSES for product in products]


def _make_stock_row(chance: Random, code: str, product: Product) -> Stock:
    on_hand = 0 if product.status in {"sold_out", "draft"} else chance.randrange(400)
    per_day = chance.choice((0, 0.4, 1.5, 3.2, 7.1))
    return Stock(
        warehouse_code=code,
        product_id=product.id,
        on_hand=on_hand,
        reserved=chance.randrange(min(on_hand, 12) + 1),
        lead_time=chance.choice(LEAD_TIMES),
        days_of_cover=on_hand / per_day if per_day else float("inf"),
        count_drift=chance.choice((-0.0, 0.0, round(chance.gauss(0, 2), 3))),
        counted_at=moment_between(chance, OPENED, TODAY) if is_lucky(chance, 0.8) else "-infinity",
        updated_at=TODAY - timedelta(hours=chance.randrange(2000)),
        updated_by="warehouse-sync",
    )


def _make_coupons() -> list[Coupon]:
    chance = make_chance("coupons")
    years = (2024, 2025, 2026)
    seasons = (
        ("SPRING", 3, "Spring cleaning"),
        ("SUMMER", 6, "Cold brew weeks"),
        ("AUTUMN", 9, "New harvest"),
    )
    seasonal = [
        _make_coupon(chance, f"{word}{year % 100}", f"{title} {year}", datetime(year, month, 1, tzinfo=TODAY.tzinfo))
        for year in years
        for word, month, title in seasons
    ]
    forever = Coupon(
        code="WELCOME",
        title="For the first order",
        percent_off=Decimal("10.00"),
        valid=Range(OPENED, None),
        regions=None,
        weeks=None,
        uses_left=None,
        created_at=OPENED,
        created_by="import",
        updated_at=OPENED,
        updated_by=None,
    )
    partners = (
        _make_coupon(chance, f"PARTNER-{number:03}", "For a partner café", TODAY - timedelta(days=30 * number))
        for number in range(1, 31)
    )
    return [forever, *seasonal, *partners]


def _make_coupon(chance: Random, code: str, title: str, start: datetime) -> Coupon:
    week = start.isocalendar().week
    regions: tuple[list[str | None] | None, ...] = (None, ["DE"], ["DE", "AT", None], [])
    return Coupon(
        code=code,
        title=title,
        percent_off=Decimal(chance.choice(("5.00", "10.00", "12.50", "15.00"))),
        valid=Range(start, start + timedelta(days=61)),
        regions=chance.choice(regions),
        weeks=Multirange([Range(week, week + 2), Range(week + 4, week + 6)]) if is_lucky(chance, 0.5) else None,
        uses_left=chance.randrange(500),
        created_at=start - timedelta(days=9),
        created_by="nora@lindenrain.example",
        updated_at=start - timedelta(days=9),
        updated_by=None,
    )


def _shelf_price(amount: Decimal) -> str:
    """Rounds to ten cents: 21.4214 -> 21.40."""
    return f"{amount:.1f}0"


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-")
