"""Which columns are sensitive by their names."""

import pytest

from basewarden.policy.sensitive_names import is_birth_name, is_sensitive_name

SENSITIVE = """
email user_email emailAddress contact_email email_hash EMAIL2 phone phone_number mobilePhone ssn
social_security_number IBAN card_number creditCardNumber password password_hash encrypted_password passwordHash
client_secret secret token access_token refreshToken integration_token reset_password_token api_key apiKey APIKey
stripe_secret_key api_key_hash private_key birth_date date_of_birth dob address address_line1 address_line_2 street
home_address billing_address salary tax_id bank_account_number cvv recovery_codes
"""
HARMLESS = """
address_id token_count phone_model email_verified tokens tokens_used prompt_tokens max_tokens token_type
token_expires_at next_token csrf_token is_email has_password email_count email_template_id emailed password_changed_at
secret_santa_id api_key_id card_type primary_key foreign_key key hash commit_hash ip_address mac_address
wallet_address address_type streets_count company pinned id name title state price description city country
"""


@pytest.mark.parametrize("name", SENSITIVE.split())
def test_names_of_credentials_and_of_data_about_people_are_sensitive(name: str) -> None:
    assert is_sensitive_name(name)


@pytest.mark.parametrize("name", HARMLESS.split())
def test_a_word_in_another_name_makes_it_not_sensitive(name: str) -> None:
    assert not is_sensitive_name(name)


def test_of_dates_only_that_of_a_birth_counts() -> None:
    assert is_birth_name("customer_birth_date")
    assert not is_birth_name("password_date")


def test_names_may_hold_anything() -> None:
    for name in ("", " ", "__", "é-mail", "電話", "a" * 10_000, "email\x00", "EMail"):
        assert is_sensitive_name(name) in (True, False)
