"""One form for every text that comes from outside, the same wherever it is compared or kept."""

import unicodedata

from email_validator import validate_email


def storable(text: str) -> str:
    """The text composed (NFC), as most keyboards send it; ValueError for what Postgres cannot keep: NUL, and half of a
    surrogate pair, which JSON can hold."""
    if "\x00" in text or text.encode(errors="ignore").decode() != text:
        raise ValueError("has a character that is no text")
    return unicodedata.normalize("NFC", text)


def line(text: str) -> str:
    """One line that shows something, without the space around it; ValueError for anything else."""
    text = text.strip()
    categories = {unicodedata.category(character) for character in text}
    if "Cc" in categories:
        raise ValueError("has control characters")
    if all(category[0] in "ZC" for category in categories):
        raise ValueError("is blank")
    return text


def normal_address(text: str) -> str:
    """An e-mail address as accounts have it: one for all ways to write it. ValueError for what is not a plain one, such
    as `Ada <ada@example.com>`."""
    found = validate_email(storable(text).strip(), check_deliverability=False).normalized
    return unicodedata.normalize("NFC", found.lower())
