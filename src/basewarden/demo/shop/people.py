"""Accounts, customers and their addresses."""

from datetime import date, timedelta
from random import Random
from typing import NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from basewarden.demo.shop.chance import OPENED, TODAY, is_lucky, make_chance, make_uuid, moment_between
from basewarden.demo.shop.rows import AuthUser, Customer, CustomerAddress, Moment

BCRYPT_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

FIRST_NAMES = """
    Anna Lukas Marie Jonas Sophie Paul Lena Felix Emma Maximilian Clara Noah Hannah Elias Lea Ben Mia Leon
    Ida Moritz Johanna Anton Greta Emil Frieda Oskar Marta Jakob Nora Theo Helene Aylin Mehmet Elif Can Zofia
    Piotr Agnieszka Tomasz Giulia Marco Chiara Luca Camille Hugo Inès Étienne Freya Søren Ingrid Lars Annika
    Katarina Marek Olena Andriy Priya Arjun Mei Haruto Yuki Amara Kwame Fatima Omar Leïla Sami Rosa Diego
""".split()  # noqa: SIM905 - as a list it would fill the screen
LAST_NAMES = """
    Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Koch Bauer Richter Klein Wolf
    Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann Lange Schmitt Werner Krause Lehmann
    Köhler Maier Herrmann König Walter Peters Huber Kaiser Fuchs Scholz Möller Weiß Jung Hahn Vogel Friedrich
    Günther Frank Berger Winkler Roth Beck Lorenz Baumann Franke Albrecht Schuster Çelik Kaya Demir Kowalski
    Nowak Rossi Bianchi Dubois Moreau O'Brien Jensen Nilsson Novák Kovalenko Sharma Tanaka Mensah Haddad
""".split()  # noqa: SIM905 - as a list it would fill the screen
MAIL_HOSTS = ("example.com", "example.org", "example.net", "mail.example.com", "post.example.org")
STREETS = (
    "Lindenstraße",
    "Hauptstraße",
    "Gartenweg",
    "Schulstraße",
    "Am Mühlbach",
    "Bahnhofstraße",
    "Kirchgasse",
    "Rosenweg",
    "Goethestraße",
    "Bergstraße",
    "Uferpromenade",
    "Kastanienallee",
    "Marktplatz",
    "Ahornweg",
    "Werkstraße",
    "Alte Poststraße",
)


class City(NamedTuple):
    name: str
    country: str
    postal_prefix: str
    postal_digits: int
    latitude: float
    longitude: float


CITIES = (
    City("Berlin", "DE", "10", 3, 52.520008, 13.404954),
    City("Hamburg", "DE", "20", 3, 53.551086, 9.993682),
    City("München", "DE", "80", 3, 48.135125, 11.581981),
    City("Köln", "DE", "50", 3, 50.937531, 6.960279),
    City("Leipzig", "DE", "04", 3, 51.339695, 12.373075),
    City("Freiburg im Breisgau", "DE", "79", 3, 47.999008, 7.842104),
    City("Dresden", "DE", "01", 3, 51.050409, 13.737262),
    City("Bremen", "DE", "28", 3, 53.079296, 8.801694),
    City("Wien", "AT", "1", 3, 48.208174, 16.373819),
    City("Graz", "AT", "80", 2, 47.070714, 15.439504),
    City("Zürich", "CH", "80", 2, 47.376887, 8.541694),
    City("Utrecht", "NL", "35", 2, 52.090737, 5.12142),
    City("Strasbourg", "FR", "67", 3, 48.573405, 7.752111),
    City("København", "DK", "2", 3, 55.676097, 12.568337),
)

ASCII_FOLD = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "oe", "ç": "c", "á": "a", "é": "e", "è": "e"}
    | {"í": "i", "ï": "i", "'": ""}
)
ROASTS = ("light", "medium", "dark")
BREWS = ("filter", "espresso", "french press", "moka pot", "cold brew", "aeropress")
DELIVERY_NOTES = (
    "Please ring twice, the bell is slow.",
    "Leave it with the bakery next door.",
    "Third courtyard, green door.",
    "Code for the gate: ask by phone.",
    "Not before ten, night shift.",
    "Behind the woodpile if nobody opens.",
)


def make_customers(count: int) -> tuple[list[AuthUser], list[Customer], list[CustomerAddress]]:
    users: list[AuthUser] = []
    customers: list[Customer] = []
    addresses: list[CustomerAddress] = []
    chance = make_chance("customers")
    for number in range(count):
        customer = _make_customer(chance, number, next_address_id=len(addresses) + 1)
        if customer.user_id is not None:
            users.append(_make_user(chance, customer, customer.user_id))
        customers.append(customer)
        addresses.extend(_make_addresses(chance, customer))
    return users, customers, addresses


def _make_customer(chance: Random, number: int, *, next_address_id: int) -> Customer:
    first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
    has_account = is_lucky(chance, 0.62)
    created = moment_between(chance, OPENED, TODAY - timedelta(days=4))
    changed = moment_between(chance, created, TODAY) if is_lucky(chance, 0.3) else None
    return Customer(
        id=make_uuid(chance),
        user_id=make_uuid(chance) if has_account else None,
        email=f"{_fold(first)}.{_fold(last)}{number + 1}@{chance.choice(MAIL_HOSTS)}",
        full_name=f"{first} {last}",
        phone=f"+49 1{chance.randrange(50, 80)} {chance.randrange(1_000_000, 9_999_999)}"
        if is_lucky(chance, 0.55)
        else None,
        birthday=date(1948, 1, 1) + timedelta(days=chance.randrange(21_000)) if is_lucky(chance, 0.4) else None,
        tier=_pick_tier(chance, has_account=has_account),
        tags=[tag for tag in ("newsletter", "decaf", "wholesale", "gift buyer") if is_lucky(chance, 0.15)],
        preferences=_pick_preferences(chance),
        points=chance.randrange(60_000) if has_account else 0,
        marketing_consent=is_lucky(chance, 0.35),
        default_address_id=next_address_id,
        created_at=created,
        created_by="web-checkout",
        updated_at=changed or created,
        updated_by=chance.choice(("web-checkout", "nora@lindenrain.example")) if changed else None,
    )


def _pick_tier(chance: Random, *, has_account: bool) -> str:
    if is_lucky(chance, 0.16):
        return "business"
    if not has_account:
        return "guest"
    return "friend_of_the_house" if is_lucky(chance, 0.18) else "regular"


def _pick_preferences(chance: Random) -> Jsonb | None:
    if is_lucky(chance, 0.4):
        return None
    if is_lucky(chance, 0.1):
        return Jsonb(None)
    return Jsonb(
        {
            "roast": chance.choice((*ROASTS, None)),
            "brew": chance.sample(BREWS, chance.randrange(1, 4)),
            "grind": chance.choice(("whole bean", "coarse", "medium", "fine")),
            "cups_per_day": round(chance.uniform(0.5, 6), 1),
            "no_plastic": is_lucky(chance, 0.5),
        }
    )


def _make_user(chance: Random, customer: Customer, user_id: UUID) -> AuthUser:
    metadata: dict[str, object] = {
        "full_name": customer.full_name,
        "language": chance.choice(("de", "en", "fr")),
    }
    banned_until: Moment | None = "infinity" if is_lucky(chance, 0.004) else None
    return AuthUser(
        id=user_id,
        email=customer.email,
        encrypted_password="$2a$10$" + "".join(chance.choices(BCRYPT_ALPHABET, k=53)),
        raw_app_meta_data=Jsonb({"provider": "email", "providers": ["email"]}),
        raw_user_meta_data=Jsonb(metadata) if is_lucky(chance, 0.9) else None,
        banned_until=banned_until,
        last_sign_in_at=moment_between(chance, customer.created_at, TODAY),
        created_at=customer.created_at,
    )


def _make_addresses(chance: Random, customer: Customer) -> list[CustomerAddress]:
    kinds = ["work" if customer.tier == "business" else "home"]
    kinds += [kind for kind in ("work", "pickup_point") if kind not in kinds and is_lucky(chance, 0.3)]
    return [
        _make_address(chance, customer, kind, customer.default_address_id + offset) for offset, kind in enumerate(kinds)
    ]


def _make_address(chance: Random, customer: Customer, kind: str, address_id: int) -> CustomerAddress:
    city = chance.choice(CITIES)
    return CustomerAddress(
        id=address_id,
        customer_id=customer.id,
        kind=kind,
        recipient=customer.full_name,
        street=f"{chance.choice(STREETS)} {chance.randrange(1, 140)}{chance.choice(('', '', '', 'a', 'b'))}",
        postal_code=city.postal_prefix + f"{chance.randrange(10**city.postal_digits):0{city.postal_digits}}",
        city=city.name,
        country=city.country,
        location=_near(chance, city) if is_lucky(chance, 0.9) else None,
        delivery_note=chance.choice(DELIVERY_NOTES) if is_lucky(chance, 0.2) else None,
        created_at=customer.created_at,
        created_by=customer.created_by,
        updated_at=customer.created_at,
        updated_by=None,
    )


def _near(chance: Random, city: City) -> tuple[float, float]:
    return city.latitude + chance.uniform(-0.06, 0.06), city.longitude + chance.uniform(-0.09, 0.09)


def _fold(name: str) -> str:
    return name.lower().translate(ASCII_FOLD)
