"""What a person reads of the engine's work: a release's own lines, a count of resources, the cause of a failure.

The engine writes its events into a file (`--event-log`, as its Automation API reads them), its own output into a log.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COLOR_TAG = re.compile(r"<\{%.*?%\}>")
NOISE = re.compile(
    r"using pulumi-\S+ from \$PATH|^psql:\S+ NOTICE:|^NOTICE:|^\(\d+ rows?\)$|^(update|destroy) failed$"
    r"|^resource registration failed|^Resource monitor has terminated|^\s*$"
)
"""Lines that say nothing about this project: they are in the log."""
WRAPPERS = (
    re.compile(r"^(?:\w+ hook|hook) (?:\"[^\"]*\"|\S+) failed: "),
    re.compile(r"^.*?\bhook .*? failed(?: with error)?: "),
    re.compile(r"^rpc error: code = \w+ desc = "),
    re.compile(r"^\d+ errors? occurred:\s*\*?\s*"),
)
"""What the engine puts before a reason."""
TRACEBACK = re.compile(r"^(?=\S).*Traceback \(most recent call last\):", re.MULTILINE)
"""Of the program. The app's own is in its log lines, which are indented, and is the cause that the user looks for."""
VERBS = {"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted"}
SHOWN_CHANGES = 12
"""Changed resources that are named; beyond that they are counted."""


@dataclass
class EngineOutput:
    """Reads events, and shows what concerns a person by `show`."""

    show: Callable[[str], None]
    failures: list[str] = field(default_factory=list)
    """The causes, each once, in the order in which they came."""
    changes: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    current: str = ""
    """What the engine began last, for who waits."""
    _shown: set[str] = field(default_factory=set)

    def read(self, event: dict[str, Any]) -> None:
        """Takes in one event."""
        if diagnostic := event.get("diagnosticEvent"):
            self._read_diagnostic(diagnostic)
        elif started := event.get("resourcePreEvent"):
            if started["metadata"]["op"] != "same":
                self.current = _describe(started["metadata"])
        elif done := event.get("resOutputsEvent"):
            self._count(done["metadata"])

    def summary(self) -> list[str]:
        """Lines about what changed: names of a few resources, a count of many."""
        if not self.counts:
            return []
        if len(self.changes) <= SHOWN_CHANGES:
            return self.changes
        return [", ".join(f"{count} {verb}" for verb, count in sorted(self.counts.items()))]

    def _read_diagnostic(self, diagnostic: dict[str, Any]) -> None:
        text = COLOR_TAG.sub("", diagnostic.get("message", "")).strip("\r\n").rstrip()
        lines = [line for line in text.splitlines() if not NOISE.search(line.strip())]
        if not lines or diagnostic.get("ephemeral") or diagnostic.get("severity") == "debug":
            return
        if diagnostic.get("severity") == "error":
            cause = shorten_cause("\n".join(lines))
            if not any(cause in other or other in cause for other in self.failures):
                self.failures.append(cause)
            return
        for line in lines:
            if line not in self._shown or not line.startswith("warning"):
                self._shown.add(line)
                self.show(line)

    def _count(self, metadata: dict[str, Any]) -> None:
        verb = VERBS.get(metadata["op"].removesuffix("-replacement"))
        if verb and not metadata["type"].startswith(("slipway:", "pulumi:")):
            self.counts[verb] += 1
            self.changes.append(f"{verb} {_describe(metadata)}")


def shorten_cause(text: str) -> str:
    """An error without the engine's wrappings, and the last line of the program's stack trace: the log has all."""
    traces = list(TRACEBACK.finditer(text))
    if traces:
        start = text.index("Traceback", traces[-1].start())
        before, trace = text[:start], text[traces[-1].end() :]
        last = [line for line in trace.splitlines() if line.strip() and not line.startswith(" ")]
        text = before.strip() if before.strip().count(":") > 1 else (last[-1] if last else text)
    for wrapper in WRAPPERS:
        text = wrapper.sub("", text, count=1)
    return text.strip()


def read_new_events(log: Path, position: int) -> tuple[list[dict[str, Any]], int]:
    """Returns the whole events after `position`, and where they end; a line that is being written is left for later."""
    if not log.exists():
        return [], position
    with log.open("rb") as file:
        file.seek(position)
        block = file.read()
    whole = block[: block.rfind(b"\n") + 1]
    return list(_parse(whole)), position + len(whole)


def _parse(block: bytes) -> Iterator[dict[str, Any]]:
    for line in block.splitlines():
        if line.strip():
            yield json.loads(line)


def _describe(metadata: dict[str, Any]) -> str:
    """`Service shop-local-web`: the type's last word and the resource's name."""
    return f"{metadata['type'].rsplit(':', 1)[-1]} {metadata['urn'].rsplit('::', 1)[-1]}"
