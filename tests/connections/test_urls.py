import pytest

from basewarden.connections.db_connections import make_pinned_dsn
from basewarden.connections.urls import URLError, parse_postgres_url
from basewarden.core.secret import Secret


def test_a_url_is_taken_apart() -> None:
    address = parse_postgres_url(Secret(" postgres://ann%40x:p%2Fw%23@db.example.com/sh%20op?sslmode=require "))
    assert (address.host, address.port, address.user, address.database) == (
        "db.example.com",
        5432,
        "ann@x",
        "sh op",
    )
    assert address.password == Secret("p/w#")
    assert address.sslmode == "require"
    assert "p/w#" not in repr(address)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://u:p@h/d", "Use the form"),
        ("just words", "Use the form"),
        ("host=h user=u password=p", "Use the form"),
        ("postgresql://u:p@/d", "no host"),
        ("postgresql://u:p@h1,h2/d", "several hosts"),
        ("postgresql://u:p@h1:1,h2:2/d", "several hosts"),
        ("postgresql://u:p@%2Fvar%2Frun/d", "not a socket"),
        ("postgresql://u:p@%40abstract/d", "not a socket"),
        ("postgresql://h/d", "no user name"),
        ("postgresql://u@h/d", "no password"),
        ("postgresql://u:p@h", "no database"),
        ("postgresql://u:p@h:99999/d", "port"),
        ("postgresql://u:p@h:x/d", "port"),
        ("postgresql://u:[YOUR-PASSWORD]@h/d", "Replace"),
        ("postgresql://u:p#x@h/d", "percent-encoding|%23|no "),
        ("postgresql://u:p%00@h/d", "does not accept"),
        ("postgresql://u:p@h/d?service=prod", "may not set 'service'"),
        ("postgresql://u:p@h/d?host=/var/run/postgresql", "may not set 'host'"),
        ("postgresql://u:p@h/d?hostaddr=127.0.0.1", "may not set 'hostaddr'"),
        ("postgresql://u:p@h/d?passfile=/etc/passwd", "may not set 'passfile'"),
        ("postgresql://u:p@h/d?sslrootcert=/etc/passwd", "may not set 'sslrootcert'"),
        ("postgresql://u:p@h/d?sslkey=/root/.ssh/id_rsa", "may not set 'sslkey'"),
        ("postgresql://u:p@h/d?options=-c%20role=x", "may not set 'options'"),
        ("postgresql://u:p@h/d?sslmode=verify-ca", "sslmode can be"),
        ("postgresql://u:p@h/d\nx", "invisible character"),
    ],
)
def test_what_cannot_be_used_is_said_without_repeating_it(url: str, sentence: str) -> None:
    with pytest.raises(URLError, match=sentence) as caught:
        parse_postgres_url(Secret(url))
    assert url not in str(caught.value)


def test_nothing_of_our_machine_goes_into_the_connection_string() -> None:
    address = parse_postgres_url(Secret("postgresql://u:p'w d@h/d?sslmode=verify-full&connect_timeout=900"))
    dsn = make_pinned_dsn(address, ("192.0.2.1", "192.0.2.2"))
    for part in (
        "host=h,h", "hostaddr=192.0.2.1,192.0.2.2", "passfile=/dev/null", "sslcertmode=disable",
        "sslrootcert=system", "gssencmode=disable", "connect_timeout=5", r"password='p\'w d'",
    ):  # fmt: skip
        assert part in dsn
