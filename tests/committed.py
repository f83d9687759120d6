"""Files that are made from code and committed, so that a review reads what a change does: compared, or written anew."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

WRITE = "SLIPWAY_WRITE_SNAPSHOT"


def assert_committed(file: Path, text: str) -> None:
    """Asserts that `file` has this text; where SLIPWAY_WRITE_SNAPSHOT is set, writes it first.

    When a change is meant: SLIPWAY_WRITE_SNAPSHOT=1 .venv/bin/python -m pytest, with the file of the test that failed.
    """
    if os.environ.get(WRITE):
        file.write_text(text, encoding="utf-8")
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    lines = difflib.unified_diff(before.splitlines(), text.splitlines(), "committed", "now", n=2, lineterm="")
    changes = "\n".join(lines)
    assert not changes, f"{file.name} is not what the code makes; {WRITE}=1 writes it anew:\n{changes}"
    assert before == text, f"{file.name} differs in its line ends; {WRITE}=1 writes it anew"
