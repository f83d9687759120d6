"""Keeps which actions roles asked for, and whether they were allowed: in memory, and as JSON lines in a file."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO


@dataclass(frozen=True)
class Use:
    """An action that a role asked for."""

    role: str
    """ARN of the role; of the user where a user asked."""

    action: str
    resource: str
    allowed: bool


class UsageLog:
    """Uses, each kept once however often it was asked for."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._lock = threading.Lock()
        self._uses: set[Use] = set(read_uses(path)) if path else set()

    def record(self, use: Use) -> None:
        """Keeps a use, and appends it to the file when it is new."""
        if use in self._uses:
            return
        with self._lock:
            if use in self._uses:
                return
            self._uses.add(use)
            if self._path is None:
                return
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("a", encoding="utf-8", buffering=1)
            self._file.write(json.dumps(asdict(use)) + "\n")

    def uses(self, role: str = "") -> list[Use]:
        """Returns what was kept, of one role or of all."""
        found = [use for use in self._uses if role in ("", use.role)]
        return sorted(found, key=lambda use: (use.role, use.action, use.resource))

    def close(self) -> None:
        """Closes the file."""
        if self._file:
            self._file.close()
            self._file = None


def read_uses(path: Path) -> Iterator[Use]:
    """Yields the uses of a file that a log wrote; none where there is no file. A line that was cut off is left out."""
    try:
        lines: Iterable[str] = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            yield Use(**json.loads(line))
        except (ValueError, TypeError):
            continue
