"""Whether a column holds sensitive values, judged by its name alone. Pure.

A name is read as words: `customerEmail2` is customer, email, 2. It is sensitive if it has a term of the table below,
and no word after that says that the value is something else: `email_address` is an email, `address_id` is no address.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

Words = tuple[str, ...]

_SPLIT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_a-zA-Z]+|\d+")


def _read_terms(text: str) -> frozenset[Words]:
    return frozenset(tuple(term.split()) for term in text.replace("\n", ",").split(",") if term.strip())


def _read_words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CREDENTIALS = _read_terms(
    """
    password, passwords, passwd, passphrase, passcode, pwd, pin code, secret, secrets, credential, credentials,
    token, access tokens, api tokens, auth tokens, refresh tokens, jwt, session cookie, authorization header,
    api key, api keys, apikey, apikeys, private key, privatekey, secret key, access key, encryption key, signing key,
    service key, service role key, webhook key, license key, recovery code, recovery codes, backup code, backup codes,
    otp, totp, otp secret, security answer, connection string, database url
    """
)
_PEOPLE = _read_terms(
    """
    email, emails, e mail, mail address, phone, phones, phonenumber, telephone, telephone number, mobile number,
    mobile phone, cell phone, cellphone, fax number, whatsapp,
    ssn, social security, social security number, national id, national insurance number, passport, passport number,
    driver license, drivers license, driving licence, license plate, tax id, tax number, vat number, tin,
    iban, bank account, bank account number, account number, routing number, sort code,
    credit card, card number, cardnumber, pan number, cvv, cvc, card expiry,
    address, addresses, street, street name, house number, home address, postal address, shipping address,
    billing address, salary, income, diagnosis, medical record number
    """
)
_BIRTH = _read_terms("birth date, birthdate, birthday, date of birth, dob, born on")
_TERMS = _CREDENTIALS | _PEOPLE | _BIRTH
_LONGEST = max(map(len, _TERMS))
# After a term, words of the same value: an encoding of it, a part of it, one of several.
_SAME_VALUE = _read_words(
    """
    hash hashed digest encrypted cipher ciphertext encoded plain plaintext clear raw value text string number no nr
    line lines digits address addresses primary secondary main home work private personal business billing shipping
    postal new old current previous normalized lower canonical list array a b c x street city json
    """
)
# Before it, words that make another thing of it.
_OTHER_THING = _read_words(
    """
    is has had num count counts total max min avg n ip mac web url site page memory bind host network server node
    wallet contract with without requires require uses use prompt completion input output csrf next cursor
    """
)


@lru_cache(maxsize=16_384)
def is_sensitive_name(name: str) -> bool:
    words = split_words(name)
    return any(_has_term_at(words, start) for start in range(len(words)))


@lru_cache(maxsize=1024)
def is_birth_name(name: str) -> bool:
    """Of a date: other dates that name a term are when something happened, as `password_changed`."""
    words = split_words(name)
    return any(words[start : start + size] in _BIRTH for start, size in _list_spans(words))


def split_words(name: str) -> Words:
    return tuple(word.lower() for word in _SPLIT.findall(name))


def _has_term_at(words: Words, start: int) -> bool:
    if start and words[start - 1] in _OTHER_THING:
        return False
    sizes = range(_LONGEST, 0, -1)
    return any(words[start : start + size] in _TERMS and _is_same(words[start + size :]) for size in sizes)


def _is_same(words: Iterable[str]) -> bool:
    return all(word in _SAME_VALUE or word.isdigit() for word in words)


def _list_spans(words: Words) -> Iterator[tuple[int, int]]:
    return ((start, size) for start in range(len(words)) for size in range(1, _LONGEST + 1))
