"""Exemplars: the last trace of each bucket of a histogram, beside its count, for a way from a slow bucket to a trace.

prometheus_client keeps them in one process and drops them where several share their metrics. Here each process writes
its own to a file of slots beside them, and who serves the sum puts the newest of all into it.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

SLOT = 512
"""Bytes of one, at most: names, labels and ids. What is longer is left out."""
MOST = 4096
"""Buckets of one process, at most: 2 MiB of its memory."""

Key = tuple[str, tuple[str, ...], tuple[str, ...]]
_slots: dict[Key, int] = {}
_file: tuple[int, int] = (0, -1)  # whose it is, and its descriptor


def keep(value: Any, exemplar: Exemplar) -> None:
    """In the place of `set_exemplar` of values that processes share: one write to memory, of 2 us."""
    global _file
    if _file[0] != os.getpid():
        _slots.clear()
        _file = os.getpid(), os.open(_path(os.getpid()), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    _, _, name, labels, values, *_ = value._params
    slot = _slots.setdefault((name, tuple(labels), tuple(values)), len(_slots))
    about = dict(zip(labels, values, strict=True))
    line = json.dumps([name, about, exemplar.labels, exemplar.value, exemplar.timestamp])
    if slot < MOST and len(line) < SLOT:
        os.pwrite(_file[1], f"{line:<{SLOT - 1}}\n".encode(), slot * SLOT)


def forget(pid: int) -> None:
    """Of a process that has ended."""
    _path(pid).unlink(missing_ok=True)


def _path(pid: int) -> Path:
    return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]) / f"exemplars-{pid}"


class WithExemplars(Collector):
    """The sum over all processes, with their newest exemplars."""

    def __init__(self) -> None:
        self._sum = MultiProcessCollector(None)  # type: ignore[no-untyped-call]

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client's Collector."""
        newest = _newest()
        for metric in self._sum.collect():  # type: ignore[no-untyped-call]
            metric.samples = [
                sample._replace(exemplar=newest.get((sample.name, frozenset(sample.labels.items()))))
                for sample in metric.samples
            ]
            yield metric


def _newest() -> dict[tuple[str, frozenset[tuple[str, str]]], Exemplar]:
    found: dict[tuple[str, frozenset[tuple[str, str]]], Exemplar] = {}
    for path in Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob("exemplars-*"):
        for line in path.read_bytes().split(b"\n"):
            try:
                name, labels, ids, value, timestamp = json.loads(line)
            except ValueError:
                continue  # empty, or being written
            key = name, frozenset(labels.items())
            known = found.get(key)
            if known is None or (known.timestamp or 0) < timestamp:
                found[key] = Exemplar(ids, value, timestamp)
    return found
