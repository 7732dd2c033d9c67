"""E-mail addresses as accounts compare them."""


def make_email_key(email: str) -> str:
    """Two addresses with the same key are the same address to us: case does not matter, dots and tags do."""
    return email.strip().casefold().replace("\x00", "")
