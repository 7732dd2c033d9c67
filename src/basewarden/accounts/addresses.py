"""How accounts compare email addresses."""


def make_email_key(email: str) -> str:
    """Addresses with the same key count as the same address: case is ignored, dots and tags are not."""
    return email.strip().casefold().replace("\x00", "")
