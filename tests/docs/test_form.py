"""The form of a page: it begins with what the reader has at its end, and has headings."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import NAMES, links, read

FIRST_WORDS = re.compile(r"At the end |You know at the end |You find here ")
SCREEN = 2_600
"""Characters of a page on a screen, about."""
LOOKED_UP = "docs/reference/"
"""Generated tables, in which nobody reads from top to bottom."""
PAGES = [name for name in NAMES if name.startswith("docs/")]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_begins_with_what_the_reader_has_at_its_end(page: str) -> None:
    lines = [line for line in read(page).splitlines() if line.strip()]
    assert FIRST_WORDS.match(lines[1]), lines[1]


@pytest.mark.parametrize("page", [name for name in NAMES if not name.startswith(LOOKED_UP)])
def test_no_two_screens_are_without_a_heading(page: str) -> None:
    sections = re.split(r"^#+ ", read(page), flags=re.MULTILINE)
    assert {section.splitlines()[0]: len(section) for section in sections if len(section) > 2 * SCREEN} == {}


def test_the_list_of_how_to_guides_has_every_guide_of_the_navigation() -> None:
    guides = read("mkdocs.yml").partition("- How-to:")[2].partition("- Reference:")[0]
    listed = {link.partition("#")[0] for link in links(read("docs/operating.md"))}
    assert set(re.findall(r"[\w/-]+\.md", guides)) - {"operating.md"} == listed


def test_the_readme_has_no_more_than_two_screens_of_text() -> None:
    text = re.sub(r"\]\([^)]*\)", "]", read("README.md"))
    assert len(text) <= 2 * SCREEN
