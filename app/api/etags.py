"""Entity tags: an item's version over HTTP (RFC 9110, section 13)."""

from typing import Annotated

from fastapi import Depends, Header


def etag_of(version: int) -> str:
    """The entity tag of a version."""
    return f'"{version}"'


async def expected_versions(
    if_match: Annotated[
        str | None, Header(max_length=1000, description="Refuse if the item's ETag is another by now")
    ] = None,
) -> frozenset[int] | None:
    """The versions that an If-Match allows; None when any will do. A weak tag, or one that is none of ours, is none."""
    if if_match is None or if_match.strip() == "*":
        return None
    tags = [tag.strip() for tag in if_match.split(",")]
    numbers = [tag[1:-1] for tag in tags if tag[:1] == '"' == tag[-1:]]
    return frozenset(int(number) for number in numbers if number.isascii() and number.isdigit() and len(number) < 19)


ExpectedVersions = Annotated[frozenset[int] | None, Depends(expected_versions)]
