"""Which values look like credentials and data about people."""

import pytest

from basewarden.policy.value_patterns import classify_column, classify_value

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ada@example.com", "email"),
        (" Ada.L+x@mail.example.co.uk ", "email"),
        ("write to ada@example.com", None),
        ("ada@localhost", None),
        ("4111 1111 1111 1111", "card"),
        ("5500-0000-0000-0004", "card"),
        ("4111111111111112", None),
        ("0000000000000000", None),
        ("20261128135959", None),
        ("DE89 3704 0044 0532 0130 00", "iban"),
        ("GB82WEST12345698765432", "iban"),
        ("DE88370400440532013000", None),
        (JWT, "jwt"),
        (JWT[:40], None),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n", "private_key"),
        ("-----BEGIN PUBLIC KEY-----", None),
        ("", None),
        ("a" * 10_000, None),
        ("@" * 5000, None),
        ("1 " * 5000, None),
        ("A" + "a@" * 2000, None),
        ("٤١١١١١١١١١١١١١١١", None),
    ],
)
def test_a_value_is_taken_for_what_it_looks_like(text: str, kind: str | None) -> None:
    assert classify_value(text) == kind


def test_a_column_is_what_many_of_its_values_are() -> None:
    addresses = [f"a{number}@example.com" for number in range(3)]
    assert classify_column([*addresses, "none", ""]) == ("email", 3, 5)
    assert classify_column([*addresses, *["a long text"] * 20]) is None
    assert classify_column(["ada@example.com"]) is None
    assert classify_column([]) is None
