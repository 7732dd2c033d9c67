"""Labelled texts: secrets, also hidden ones, and what looks like one and is none."""

import base64
import json
import random
from collections.abc import Mapping
from string import ascii_letters, digits

import pytest

from basewarden.sentry.leaks.detecting import SHOWN, find_secrets
from basewarden.sentry.leaks.kinds import LEAKS, PUBLIC, LeakKind, PublicKind
from basewarden.sentry.leaks.reports import LeakReport

_random = random.Random(14)
HEX = "0123456789abcdef"


def pick(length: int, alphabet: str = ascii_letters + digits) -> str:
    return "".join(_random.choice(alphabet) for _ in range(length))


def encode(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def make_token(**claims: object) -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    head, payload = (base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts)
    return f"{head}.{payload}.{pick(43)}"


REF = pick(20, ascii_letters[:26])
SECRET = f"sb_secret_{pick(22)}_{pick(8)}"
SERVICE = make_token(iss="supabase", ref=REF, role="service_role", iat=1_700_000_000, exp=4_000_000_000)
ANON = make_token(iss="supabase", ref=REF, role="anon", iat=1_700_000_000, exp=4_000_000_000)
DEMO = make_token(iss="supabase-demo", role="service_role", exp=1_983_812_996)
EXPIRED = make_token(iss="supabase", ref=REF, role="service_role", exp=1_600_000_000)
SESSION = make_token(iss=f"https://{REF}.supabase.co/auth/v1", role="authenticated", sub="x", exp=4_000_000_000)
PASSWORD = pick(16)
URL = f"postgresql://postgres.{REF}:{PASSWORD}@aws-0-eu-central-1.pooler.supabase.com:6543/postgres"
KEY_BODY = "\n".join(pick(64, ascii_letters + digits + "+/") for _ in range(12))
PEM = f"-----BEGIN PRIVATE KEY-----\n{KEY_BODY}\n-----END PRIVATE KEY-----"
AWS_ID, AWS_SECRET = f"AKIA{pick(16, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')}", pick(38) + "aZ1"[:2]
MAP = json.dumps({"version": 3, "sources": ["src/a.ts"], "sourcesContent": [f"const key =\n  '{SECRET}'"]})

LEAKED: Mapping[str, tuple[LeakKind, str]] = {
    "a secret key": (LeakKind.SUPABASE_SECRET, f'createClient(u,"{SECRET}")'),
    "in an environment file": (LeakKind.SUPABASE_SECRET, f"SUPABASE_KEY={SECRET}\nX=1"),
    "behind an escaped line break": (LeakKind.SUPABASE_SECRET, json.dumps(f"A=1\n{SECRET}")),
    "joined from two strings": (LeakKind.SUPABASE_SECRET, f'k="{SECRET[:9]}"+"{SECRET[9:]}"'),
    "joined in template strings": (
        LeakKind.SUPABASE_SECRET,
        f"k=`{SECRET[:12]}` + '{SECRET[12:30]}' + \"{SECRET[30:]}\"",
    ),
    "with escaped characters": (LeakKind.SUPABASE_SECRET, 'k="' + SECRET.replace("_", "\\u005f") + '"'),
    "in base64 of JSON": (LeakKind.SUPABASE_SECRET, f"atob('{encode(json.dumps({'key': SECRET}))}')"),
    "in a source map within the script": (
        LeakKind.SUPABASE_SECRET,
        f"//# sourceMappingURL=data:application/json;base64,{encode(MAP)}",
    ),
    "in base64 twice": (LeakKind.SUPABASE_SECRET, encode(json.dumps({"a": encode(json.dumps({"b": SECRET}))}))),
    "a service role": (LeakKind.SERVICE_ROLE, f'Authorization: Bearer {SERVICE}"'),
    "a service role in an address": (LeakKind.SERVICE_ROLE, f"https://x/y?apikey={SERVICE}&z=1"),
    "a service role in base64": (LeakKind.SERVICE_ROLE, f"config: {encode(f'key={SERVICE}')}"),
    "an access token": (LeakKind.SUPABASE_TOKEN, f"sbp_{pick(40, HEX)}"),
    "a database URL": (LeakKind.DATABASE_URL, f'pool("{URL}")'),
    "a database URL, encoded": (
        LeakKind.DATABASE_URL,
        URL.replace(":", "%3A").replace("/", "%2F").replace("@", "%40"),
    ),
    "a database URL with escaped slashes": (LeakKind.DATABASE_URL, URL.replace("/", "\\/")),
    "a database URL of a driver": (LeakKind.DATABASE_URL, URL.replace("postgresql", "postgresql+psycopg")),
    "another database": (LeakKind.DATABASE_URL, f"mongodb+srv://app:{PASSWORD}@c0.ab1cd.mongodb.net/?w=1"),
    "a password that a person chose": (LeakKind.DATABASE_URL, "postgres://shop:Blue-Lamp-2024!@db.shop.com/shop"),
    "a private key": (LeakKind.PRIVATE_KEY, PEM),
    "a private key in JSON": (LeakKind.PRIVATE_KEY, json.dumps({"private_key": PEM})),
    "a private key of another kind": (LeakKind.PRIVATE_KEY, PEM.replace("PRIVATE", "OPENSSH PRIVATE")),
    "Stripe": (LeakKind.STRIPE, f"stripe('sk_live_{pick(24)}')"),
    "Stripe, restricted": (LeakKind.STRIPE, f"rk_live_{pick(99)}"),
    "AWS": (LeakKind.AWS, f'accessKeyId:"{AWS_ID}",secretAccessKey:"{AWS_SECRET}"'),
    "AWS, by its name": (LeakKind.AWS, f"AWS_SECRET_ACCESS_KEY={AWS_SECRET}"),
    "OpenAI": (LeakKind.OPENAI, f"sk-proj-{pick(74)}T3BlbkFJ{pick(74)}"),
    "OpenAI, older": (LeakKind.OPENAI, f"sk-{pick(20)}T3BlbkFJ{pick(20)}"),
    "Anthropic": (LeakKind.ANTHROPIC, f"sk-ant-api03-{pick(93)}AA"),
    "GitHub": (LeakKind.GITHUB, f"token: ghp_{pick(36)}"),
    "GitHub, finer": (LeakKind.GITHUB, f"github_pat_{pick(22)}_{pick(59)}"),
    "Slack": (LeakKind.SLACK, f"xoxb-{pick(12, digits)}-{pick(13, digits)}-{pick(24)}"),
    "SendGrid": (LeakKind.SENDGRID, f"SG.{pick(22)}.{pick(43)}"),
    "an agent's token": (LeakKind.AGENT_TOKEN, f"authorization: Bearer bwa_{pick(38)}"),
}
HARMLESS: Mapping[str, str] = {
    "a publishable key": f"sb_publishable_{pick(22)}_{pick(8)}",
    "an anon key": f'createClient(u,"{ANON}")',
    "the local demo's key": f"SERVICE_KEY={DEMO}",
    "an expired key": EXPIRED,
    "a person's own token": f'"access_token":"{SESSION}"',
    "a token of something else": make_token(iss="accounts", sub="1"),
    "what begins like a token": "eyJhbGciOiJIUzI1NiJ9.eyJub3QiOiJqc29u.abcdefghijklmnopqrst",
    "a placeholder": "SUPABASE_KEY=sb_secret_your_key_goes_here_please",
    "dots": "sb_secret_......................",
    "a repeated character": "sb_secret_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "crosses": f"sk_live_{'x' * 24}",
    "the name of a variable": "const sb_secret_key_from_environment_variable = process.env.KEY",
    "a prefix in code": 'if (key.startsWith("sb_secret_")) throw new Error("secret")',
    "a pattern for keys": r"/^sb_secret_[A-Za-z0-9_-]{22}_[A-Za-z0-9_-]{8}$/",
    "a hash": f"sha256:{pick(64, HEX)}",
    "an integrity": f'integrity="sha512-{encode(bytes(_random.randrange(256) for _ in range(64)))}"',
    "a commit": f"ref {pick(40, HEX)}",
    "a uuid": "9b2f7f4e-0c3d-4f57-9f0e-2a2f4c5f6d70",
    "an image": f"url(data:image/png;base64,iVBORw0KGgo{encode(bytes(_random.randrange(256) for _ in range(900)))})",
    "a font": encode(bytes(_random.randrange(256) for _ in range(3_000))),
    "minified code": 'function a(b,c){return b.sk_live||c["sb_secret_"]+d}var e=t=>t.map(o=>o.pk_live_)' * 40,
    "a database of this machine": "postgres://postgres:postgres@localhost:54322/postgres",
    "a database of a container": f"postgres://app:{PASSWORD}@db:5432/app",
    "a URL in the docs": f"postgresql://postgres:[YOUR-PASSWORD]@db.{REF}.supabase.co:5432/postgres",
    "a URL with a usual password": "mysql://user:password@db.shop.com/shop",
    "a URL with variables": "postgres://${user}:${password}@${host}:5432/${name}",
    "a URL of an example": f"postgres://app:{PASSWORD}@db.example.com/app",
    "a URL without a password": "postgresql://app@db.shop.com/app",
    "a web address with a colon": "https://shop.com:8443/a@b",
    "a public key": "-----BEGIN PUBLIC KEY-----\n" + KEY_BODY + "\n-----END PUBLIC KEY-----",
    "the frame of a private key": "'-----BEGIN PRIVATE KEY-----'+e+'-----END PRIVATE KEY-----'",
    "a private key cut short": f"-----BEGIN PRIVATE KEY-----\n{KEY_BODY[:80]}...\n-----END PRIVATE KEY-----",
    "an access key's id": f'"{AWS_ID}"',
    "AWS's example": "AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "an access key's id beside a hash": f'"{AWS_ID}" "{pick(40, HEX)}"',
    "a Stripe test key": f"sk_test_{pick(24)} pk_live_{pick(24)}",
    "a name with sk-": "class='task-sk-proj-list-of-all-the-things-that-are-in-the-page-here'",
    "a short GitHub name": "ghp_short",
    "a cache key": "cache_sbp_item",
}


@pytest.mark.parametrize("name", LEAKED)
def test_a_secret_is_found_once_and_not_kept(name: str) -> None:
    kind, text = LEAKED[name]
    around = f"{'x = 1;' * 50}\n{text};{'y = 2;' * 50}"
    found = [one for one in find_secrets(around) if one.is_leak]
    assert [one.kind for one in found] == [kind], name
    assert len(found[0].start) == SHOWN
    assert 301 <= found[0].offset <= 301 + len(text)
    assert SECRET[:12] not in repr(found)
    assert PASSWORD not in repr(found)


@pytest.mark.parametrize("name", HARMLESS)
def test_a_look_alike_is_none(name: str) -> None:
    found = [one for one in find_secrets(f"{'x = 1;' * 50}\n{HARMLESS[name]};") if one.is_leak]
    assert found == [], name


def test_what_is_allowed_is_named() -> None:
    expected = {
        "a publishable key": PublicKind.PUBLISHABLE,
        "an anon key": PublicKind.ANON,
        "the local demo's key": PublicKind.DEMO,
        "an expired key": PublicKind.EXPIRED,
        "a placeholder": PublicKind.PLACEHOLDER,
        "a URL in the docs": PublicKind.PLACEHOLDER,
    }
    assert {name: [one.kind for one in find_secrets(HARMLESS[name])] for name in expected} == {
        name: [kind] for name, kind in expected.items()
    }
    assert LEAKS.keys() == set(LeakKind)
    assert PUBLIC.keys() == set(PublicKind)


def test_a_place_is_a_line_and_a_column_also_in_a_large_text() -> None:
    report = LeakReport()
    report.add_text("app.js", f"{'a line of code;' * 20}\n" * 2_000 + f'  key = "{SECRET}"\n{SERVICE}')
    assert [(one.kind, one.line, one.column, one.length, one.start) for one in report.leaks] == [
        (LeakKind.SUPABASE_SECRET, 2_001, 10, len(SECRET), "sb_sec"),
        (LeakKind.SERVICE_ROLE, 2_002, 1, len(SERVICE), "eyJhbG"),
    ]
    assert report.leaks[1].note == f"role service_role, project {REF}"


def test_every_boundary_of_pieces_is_seen_once() -> None:
    for before in (128 * 1024 - 20, 128 * 1024 - 1, 128 * 1024, 128 * 1024 + 1):
        assert [one.offset for one in find_secrets(f"{' ' * before}{SECRET} {' ' * 200_000}")] == [before]


def test_a_source_map_is_read_source_by_source() -> None:
    report = LeakReport()
    report.add_text("app.js.map", MAP)
    assert [(one.file, one.line, one.column) for one in report.leaks] == [("app.js.map: src/a.ts", 2, 4)]
    broken = LeakReport()
    broken.add_text("app.js.map", MAP[:-2])
    assert [one.kind for one in broken.leaks] == [LeakKind.SUPABASE_SECRET]


def test_a_name_with_a_secret_is_not_shown() -> None:
    report = LeakReport()
    report.add_text(f"https://shop.com/{SECRET}.js", "x")
    assert report.files == ["a file whose name has a secret in it"]
    report.skip(f"https://shop.com/{SECRET}.js", "It took too long.")
    assert SECRET not in repr(report)


def test_hostile_texts_end() -> None:
    for text in (
        "eyJ" * 30_000,
        "eyJaaaaaaaaa." * 9_000,
        "redis://a:b" * 9_000,
        "[" * 100_000,
        "%5c" * 30_000,
        "\\u0041" * 20_000,
    ):
        assert [one for one in find_secrets(text) if one.is_leak] == []
    nested = '{"sourcesContent":' * 20_000
    report = LeakReport()
    report.add_text("x", nested)
    assert report.leaks == []
