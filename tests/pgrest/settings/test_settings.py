"""Every setting: where it comes from, what it may be, and how it is shown."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pgrest.address import ApiAddress
from pgrest.config import RestConfig
from pgrest.jwt import JwtRules, read_keys
from pgrest.settings import (
    SETTINGS,
    BadSettings,
    Binding,
    ServerSettings,
    Source,
    dump_settings,
    load_settings,
    write_example,
)
from pgrest.settings.dump import HIDDEN

ANYWHERE = "0.0.0.0"  # noqa: S104 - shown, not bound
PLAIN = ServerSettings("", rest=RestConfig(served_at=ApiAddress("http", ANYWHERE, 3000)))
SECRET = "a secret of at least thirty-two bytes"


def from_environment(**given: str) -> ServerSettings:
    return load_settings(None, {f"PGRST_{name.upper()}": value for name, value in given.items()})


def from_file(tmp_path: Path, text: str, **environ: str) -> ServerSettings:
    path = tmp_path / "rest.conf"
    path.write_text(text)
    return load_settings(path, environ)


def test_without_settings_it_is_as_postgrest_is() -> None:
    made = load_settings(None, {"PATH": "/bin"})
    assert made == PLAIN
    assert (made.rest.schemas, made.rest.extra_search_path, made.rest.max_rows) == (("public",), ("public",), None)
    assert (made.binding.host, made.binding.port, made.binding.admin_port) == ("!4", 3000, None)
    assert (made.pool.size, made.pool.idle_seconds, made.pool.lifetime_seconds) == (10, 30, 1800)
    assert (made.log_level, made.anon_role, made.jwt) == ("error", None, JwtRules())


@pytest.mark.parametrize(
    ("name", "value", "read", "expected"),
    [
        ("db_schemas", "a, b ,", lambda s: s.rest.schemas, ("a", "b")),
        ("db_schema", "old", lambda s: s.rest.schemas, ("old",)),
        ("db_extra_search_path", "", lambda s: s.rest.extra_search_path, ()),
        ("db_extra_search_path", "x, y", lambda s: s.rest.extra_search_path, ("x", "y")),
        ("db_max_rows", "5", lambda s: s.rest.max_rows, 5),
        ("max_rows", " 6 ", lambda s: s.rest.max_rows, 6),
        ("db_max_rows", "", lambda s: s.rest.max_rows, None),
        ("db_aggregates_enabled", "True", lambda s: s.rest.aggregates_enabled, True),
        ("db_plan_enabled", '"true"', lambda s: s.rest.plan_enabled, True),
        ("db_plan_enabled", "1", lambda s: s.rest.plan_enabled, True),
        ("db_prepared_statements", "0", lambda s: s.prepares, False),
        ("db_channel_enabled", "FALSE", lambda s: s.listens, False),
        ("db_config", "false", lambda s: s.reads_database, False),
        ("db_pool_automatic_recovery", "false", lambda s: s.recovers, False),
        ("db_pool", "3", lambda s: s.pool.size, 3),
        ("db_pool_timeout", "4", lambda s: s.pool.idle_seconds, 4),
        ("db_pool_max_lifetime", "5", lambda s: s.pool.lifetime_seconds, 5),
        ("db_pool_acquisition_timeout", "6", lambda s: s.pool.wait_seconds, 6),
        ("db_pre_request", "auth.check", lambda s: s.rest.pre_request, ("auth", "check")),
        ("pre_request", "check", lambda s: s.rest.pre_request, ("", "check")),
        ("root_spec", "about", lambda s: s.rest.root_spec, ("", "about")),
        ("db_pre_config", "api.config", lambda s: s.pre_config, ("api", "config")),
        ("db_tx_end", "rollback-allow-override", lambda s: (s.rest.tx_end, s.rest.tx_override), ("rollback", True)),
        ("db_hoisted_tx_settings", "work_mem, x", lambda s: s.rest.hoisted_settings, ("work_mem", "x")),
        ("db_anon_role", "web_anon", lambda s: s.anon_role, "web_anon"),
        ("jwt_aud", "https://example.com/x?y=%20", lambda s: s.jwt.audience, "https://example.com/x?y=%20"),
        ("role_claim_key", ".a.b[1]", lambda s: s.jwt.role_path, ("a", "b", 1)),
        ("jwt_secret", SECRET, lambda s: s.jwt.keys, read_keys(SECRET.encode())),
        ("jwt_cache_max_entries", "0", lambda s: s.jwt_cache_entries, 0),
        ("server_host", "*6", lambda s: (s.binding.host, s.binding.admin_host), ("*6", "*6")),
        ("server_port", "0", lambda s: s.binding.port, 0),
        ("server_host", "::1", lambda s: s.rest.served_at, ApiAddress("http", "[::1]", 3000)),
        ("server_host", "*6", lambda s: s.rest.served_at.host, ANYWHERE),
        ("server_unix_socket_mode", "777", lambda s: s.binding.socket_mode, 0o777),
        ("server_trace_header", "X-Request-Id", lambda s: s.trace_header, "X-Request-Id"),
        ("server_cors_allowed_origins", "http://a, http://b", lambda s: s.cors_origins, ("http://a", "http://b")),
        ("server_timing_enabled", "true", lambda s: s.shows_timing, True),
        ("log_level", "debug", lambda s: s.log_level, "debug"),
        ("log_query", "true", lambda s: s.logs_queries, True),
        ("openapi_mode", "disabled", lambda s: s.rest.openapi_mode, "disabled"),
        ("openapi_security_active", "true", lambda s: s.rest.openapi_security, True),
        (
            "openapi_server_proxy_uri",
            "https://x:8443/b",
            lambda s: s.rest.served_at,
            ApiAddress("https", "x", 8443, "/b"),
        ),
        ("app_settings_My_Key", "v", lambda s: s.rest.app_settings, (("app.settings.my_key", "v"),)),
        ("internal_schema_cache_query_sleep", "5", lambda s: s, PLAIN),
    ],
)
def test_each_setting_from_the_environment(name: str, value: str, read: Any, expected: Any) -> None:
    assert read(from_environment(**{name: value})) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("db_max_rows", "many"),
        ("db_max_rows", "-1"),
        ("db_max_rows", "1.5"),
        ("db_max_rows", "9" * 5000),
        ("db_pool", "0"),
        ("db_schemas", " , "),
        ("db_plan_enabled", "maybe"),
        ("db_channel_enabled", "on"),
        ("db_tx_end", "undo"),
        ("log_level", "loud"),
        ("openapi_mode", "secret"),
        ("openapi_server_proxy_uri", "example.com"),
        ("openapi_server_proxy_uri", "ftp://example.com"),
        ("openapi_server_proxy_uri", "https://u:p@example.com"),
        ("openapi_server_proxy_uri", "https://example.com?x"),
        ("openapi_server_proxy_uri", "https://example.com:99999"),
        ("server_port", "65536"),
        ("server_port", "http"),
        ("admin_server_port", "3000"),
        ("server_unix_socket_mode", "888"),
        ("server_unix_socket_mode", "599"),
        ("server_unix_socket_mode", "1777"),
        ("server_trace_header", "X Request"),
        ("jwt_aud", "a:b c"),
        ("jwt_aud", "://x"),
        ("jwt_role_claim_key", "role"),
        ("jwt_secret", "too short"),
        ("jwt_secret", "@/nowhere/at/all"),
        ("jwt_secret", '{"kty": "oct"}'),
        ("db_uri", "@/nowhere/at/all"),
        ("db_uri", "postgresql://u:hush%zz@h/d"),
        ("db_uri", "host"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_the_setting(name: str, value: str) -> None:
    with pytest.raises(BadSettings) as raised:
        from_environment(**{name: value})
    sentence = str(raised.value)
    assert name.replace("_", "-") in sentence
    assert "\n" not in sentence
    assert "hush" not in sentence


def test_a_bad_secret_in_base64_does_not_come_back() -> None:
    for value in ("sesame!sesame!sesame", "abc"):
        with pytest.raises(BadSettings) as raised:
            from_environment(jwt_secret=value, jwt_secret_is_base64="true")
        assert value not in str(raised.value)


@pytest.mark.parametrize("spell", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("padding", ["=", ".", ""])
def test_a_secret_in_base64_of_any_kind(spell: Any, padding: str) -> None:
    secret = bytes(range(190, 230))
    text = spell(secret).decode().replace("=", padding)
    made = from_environment(jwt_secret=text, secret_is_base64="1")
    assert made.jwt.keys == read_keys(secret)


def test_a_key_may_be_wrapped_in_base64() -> None:
    jwk = json.dumps({"kty": "oct", "k": "c2hvcnQ", "alg": "HS512"}).encode()
    made = from_environment(jwt_secret=base64.b64encode(jwk).decode(), jwt_secret_is_base64="true")
    assert made.jwt.keys == read_keys(jwk)


def test_files_that_values_name(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    (tmp_path / "uri").write_text("  postgresql://u:p@h/d \n")
    made = from_environment(jwt_secret=f"@{tmp_path / 'secret'}", db_uri=f"@{tmp_path / 'uri'}")
    assert (made.jwt.keys, made.dsn) == (read_keys(SECRET.encode()), "postgresql://u:p@h/d")


def test_the_database_goes_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rest.conf"
    path.write_text('db-schemas = "file"\njwt-aud = "file"\ndb-anon-role = "file"\ndb-pool = 7\napp.settings.A = "f"\n')
    source = Source(path, {"PGRST_JWT_AUD": "env", "PGRST_DB_ANON_ROLE": "env", "PGRST_APP_SETTINGS_a": "env"})
    made = source.read({"pgrst.db_anon_role": "db"})
    assert (made.rest.schemas, made.jwt.audience, made.anon_role, made.pool.size) == (("file",), "env", "db", 7)
    assert made.rest.app_settings == (("app.settings.a", "env"),)


def test_a_proper_name_goes_before_an_old_one_and_an_empty_value_is_none(tmp_path: Path) -> None:
    text = 'db-schema = "old"\ndb-schemas = "new"\nmax-rows = 3\n'
    assert from_file(tmp_path, text).rest.schemas == ("new",)
    made = from_file(tmp_path, text, PGRST_DB_SCHEMAS="", PGRST_DB_MAX_ROWS="")
    assert (made.rest.schemas, made.rest.max_rows) == (("old",), 3)


def test_values_of_a_file_have_types(tmp_path: Path) -> None:
    made = from_file(tmp_path, "db-pool = 2.0\ndb-plan-enabled = on\ndb-max-rows = 1e3\n")
    assert (made.pool.size, made.rest.plan_enabled, made.rest.max_rows) == (2, True, 1000)
    with pytest.raises(BadSettings, match="db-schemas is a list"):
        from_file(tmp_path, 'db-schemas = ["a", "b"]')
    with pytest.raises(BadSettings, match="db-pool takes a whole number"):
        from_file(tmp_path, "db-pool = true")


def test_unknown_names_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "rest.conf"
    path.write_text('db-schmas = "x"\nmax-rows = 1\napp.settings.mine = "1"\n')
    assert Source(path, {"PGRST_DB_URL": "x", "PGRST_DB_URI": ""}).list_unknown() == ["db-schmas", "db-url"]


# Shown again --------------------------------------------------------------------------------------------


def rewrite(tmp_path: Path, settings: ServerSettings) -> ServerSettings:
    text = dump_settings(settings).replace(f'jwt-secret = "{HIDDEN}"', f'jwt-secret = "{SECRET}"')
    return from_file(tmp_path, text)


def test_what_is_dumped_reads_as_the_same_but_for_secrets(tmp_path: Path) -> None:
    plain = replace(PLAIN, dsn="postgresql://h/d")
    assert rewrite(tmp_path, plain) == plain
    made = from_environment(
        db_uri="host=h dbname='$ \" \\\\'",
        db_schemas='a,SPECIAL "@/\\#~_-',
        db_extra_search_path="",
        db_tx_end="commit-allow-override",
        db_max_rows="5",
        jwt_secret=SECRET,
        jwt_role_claim_key='."a b".c[2][?(@ ^== "x")]',
        admin_server_port="3001",
        server_unix_socket="/run/x",
        server_cors_allowed_origins="http://a,http://b",
        openapi_server_proxy_uri="https://x/y",
        log_level="info",
    )
    assert rewrite(tmp_path, made) == made


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:hush@h:5/d?sslmode=require",
        "host=h password=hush dbname=d",
        "postgresql://h/d?password=hush",
        "postgresql://u:h%75sh@h/d",
        "host=h sslpassword=hush",
    ],
)
def test_no_secret_is_dumped(dsn: str) -> None:
    made = replace(from_environment(jwt_secret=SECRET, app_settings_key="hush", db_uri=dsn), anon_role="anon")
    shown = dump_settings(made)
    for secret in ("hush", "h%75sh", SECRET):
        assert secret not in shown
    assert shown.count(HIDDEN) == 3
    assert 'db-anon-role = "anon"' in shown
    for secret in ("hush", SECRET):
        assert secret not in repr(made)


def test_the_example_is_a_file_that_changes_nothing(tmp_path: Path) -> None:
    example = write_example()
    assert from_file(tmp_path, example) == PLAIN
    uncommented = "\n".join(line.removeprefix("# ") for line in example.splitlines() if " = " in line)
    assert from_file(tmp_path, uncommented) == replace(PLAIN, dsn="postgresql://")
    shown = {line.split(" = ")[0] for line in uncommented.splitlines()}
    assert shown == {one.name for one in SETTINGS} - {"app.settings.*", "internal-schema-cache-query-sleep"}


def test_one_port_cannot_do_both() -> None:
    with pytest.raises(BadSettings, match="admin-server-port cannot be the same"):
        from_environment(server_port="5000", admin_server_port="5000")
    assert from_environment(server_port="5000", admin_server_port="5001").binding == Binding(port=5000, admin_port=5001)
