"""Each error of the reference has a test: its words stand in one.

Only words are compared, so that this takes seconds; that the error is raised is the matter of the test with the words.
"""

from __future__ import annotations

import ast
import re
import runpy
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tests.paths import ROOT

REFERENCE: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "error_reference"))
PLACEHOLDER = re.compile(f"{REFERENCE['MARK']}[^{REFERENCE['MARK']}]*{REFERENCE['MARK']}")
RUN_LENGTHS = (2, 3)
"""Words in a row that name an error, if no other error has them."""
MIN_RUN_CHARACTERS = 10
WITHOUT_TEST: dict[str, str] = {}
"""Message as in docs/reference/errors.md -> why no test can raise it."""


def to_words(text: str) -> str:
    """The words alone: tests write them as text or as a regular expression, and break lines elsewhere."""
    return " ".join(re.findall(r"[\w'-]+", text.replace("\\", "")))


def parts(text: str) -> list[str]:
    """The words between the placeholders of a text."""
    return [words for part in PLACEHOLDER.split(text) if (words := to_words(part))]


def runs(*texts: str) -> set[str]:
    """Every two and three words in a row."""
    found = set()
    for words in (part.split() for text in texts for part in parts(text)):
        for length in RUN_LENGTHS:
            found |= {" ".join(words[at : at + length]) for at in range(len(words) - length + 1)}
    return {run for run in found if len(run) >= MIN_RUN_CHARACTERS}


def literals() -> Iterator[str]:
    """The words of each text in the tests that is no docstring; an f-string is one text."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if ".slipway" in path.parts:
            continue  # what a run has left behind
        tree = ast.parse(path.read_text(encoding="utf-8"))
        skipped: set[ast.AST] = set()
        for node in ast.walk(tree):
            if node in skipped:
                continue
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                skipped.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                skipped |= set(node.values)
                yield to_words("".join(str(v.value) if isinstance(v, ast.Constant) else " … " for v in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield to_words(node.value)


def stand_in_order(words: Sequence[str], text: str) -> bool:
    """Whether a text has all words of a message that come between its placeholders."""
    at = 0
    for part in words:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


def test_no_two_errors_have_one_anchor() -> None:
    anchors = re.findall(r'<a id="([^"]+)"', (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8"))
    assert len(anchors) > 300
    assert [anchor for anchor, count in Counter(anchors).items() if count > 1] == []


def test_each_error_of_the_reference_is_named_in_a_test() -> None:
    """When this fails: raise the error in a test, and assert its message and its fix as they are."""
    errors = {(error.message, error.fix): error for error in REFERENCE["find_errors"]()}
    texts = [text for text in literals() if " " in text]
    said = "\n".join(texts)
    counts = Counter(run for message, fix in errors for run in runs(message, fix))

    def is_named(message: str, fix: str) -> bool:
        if any(counts[run] == 1 and run in said for run in runs(message, fix)):
            return True
        words = parts(message)
        return sum(len(part.split()) for part in words) > 1 and any(stand_in_order(words, text) for text in texts)

    unnamed = {
        error.message.replace(REFERENCE["MARK"], ""): f"{error.file}: {error.message.replace(REFERENCE['MARK'], '')}"
        for key, error in errors.items()
        if not is_named(*key)
    }
    assert len(errors) > 300, "the reference lists them"
    assert [where for message, where in unnamed.items() if message not in WITHOUT_TEST] == []
    assert [message for message in WITHOUT_TEST if message not in unnamed] == [], "these have a test now"
