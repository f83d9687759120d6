"""GitHub's command `gh`, stood in for by tests/programs/gh.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parent / "programs" / "gh.py"


class FakeGh:
    """A folder for the PATH with a `gh` in it, and what was written with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store.json"
        folder.mkdir(exist_ok=True)
        command = folder / "gh"
        command.write_text(f'#!/bin/sh\nGH_STORE="{self.store}" exec "{sys.executable}" -I -S "{PROGRAM}" "$@"\n')
        command.chmod(0o755)

    def written(self, what: str) -> list[Any]:
        """`comments`, `issues` or `pulls`."""
        found: list[Any] = json.loads(self.store.read_text()).get(what, []) if self.store.exists() else []
        return found

    def is_there(self, what: str, **entry: Any) -> None:
        """Somebody has written this before."""
        store = json.loads(self.store.read_text()) if self.store.exists() else {"comments": [], "issues": []}
        store.setdefault(what, []).append(entry)
        self.store.write_text(json.dumps(store))
