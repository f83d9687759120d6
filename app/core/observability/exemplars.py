"""Exemplars: the last trace of each bucket of a histogram, beside its count, for a way from a slow bucket to a trace.

prometheus_client keeps them in one process and drops them where several share their metrics. Here each process writes
its own to a file of slots beside them, and who serves the sum puts the newest of all into it.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.samples import Exemplar

SLOT_BYTES = 512
"""Of one, at most: names, labels and ids. What is longer is left out."""
MAX_SLOTS = 4096
"""Buckets of one process, at most: 2 MiB of its memory."""

Key = tuple[str, frozenset[tuple[str, str]]]
_slots: dict[Key, int] = {}
_file: tuple[int, int] = (0, -1)  # whose it is, and its descriptor


def keep(sample: str, labels: Mapping[str, str], trace: Mapping[str, str], value: float) -> None:
    """Write the newest exemplar of a sample, such as `job_duration_seconds_bucket`: one write to memory, of 2 us."""
    global _file
    if _file[0] != os.getpid():
        _slots.clear()
        _file = os.getpid(), os.open(_path(os.getpid()), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    slot = _slots.setdefault((sample, frozenset(labels.items())), len(_slots))
    line = json.dumps([sample, labels, trace, value, time.time()])
    if slot < MAX_SLOTS and len(line) < SLOT_BYTES:
        os.pwrite(_file[1], f"{line:<{SLOT_BYTES - 1}}\n".encode(), slot * SLOT_BYTES)


def forget(pid: int) -> None:
    """Delete those of a process that has ended."""
    _path(pid).unlink(missing_ok=True)


def _path(pid: int) -> Path:
    return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]) / f"exemplars-{pid}"


def add_exemplars(metrics: Iterable[Metric]) -> Iterator[Metric]:
    """The metrics of all processes with their newest exemplars."""
    newest = _newest()
    for metric in metrics:
        metric.samples = [
            sample._replace(exemplar=newest.get((sample.name, frozenset(sample.labels.items()))))
            for sample in metric.samples
        ]
        yield metric


def _newest() -> dict[Key, Exemplar]:
    newest: dict[Key, Exemplar] = {}
    for path in Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob("exemplars-*"):
        for line in path.read_bytes().split(b"\n"):
            try:
                name, labels, trace, value, timestamp = json.loads(line)
            except ValueError:
                continue  # empty, or being written
            key = name, frozenset(labels.items())
            if key not in newest or (newest[key].timestamp or 0) < timestamp:
                newest[key] = Exemplar(trace, value, timestamp)
    return newest
