"""The metrics of several processes of one container: files in one folder, in memory (PROMETHEUS_MULTIPROC_DIR).

prometheus_client sums them, and leaves two things to us. What ended processes have counted is added to one file, so
that files do not pile up. And exemplars, the last trace of each bucket of a histogram: each process writes its own to a
file of slots next to its metrics, and the process that serves the sum puts the newest of all into it.
"""

import json
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from threading import Lock

from prometheus_client import Metric, multiprocess
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

log = logging.getLogger("app.metrics")
SLOT_BYTES = 512
"""Of one exemplar, at most: names, labels and ids. What is longer is left out."""
MAX_SLOTS = 4096
"""Buckets of one process, at most: 2 MiB of its memory."""

Key = tuple[str, frozenset[tuple[str, str]]]
_slots: dict[Key, int] = {}
_exemplars: tuple[int, int] = (0, -1)  # whose file it is, and its descriptor
_ended_lock = Lock()  # no reads while a file of an ended process is added to the others'


def _folder() -> Path:
    return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


class AllProcesses(Collector):
    """The sum over all processes, with their newest exemplars."""

    def collect(self) -> Iterator[Metric]:
        # A file that cannot be read is left out: a process may have died while it made one, and the others still count.
        with _ended_lock:
            files = [str(path) for path in _folder().glob("*.db") if _is_readable(path)]
            metrics: Iterable[Metric] = multiprocess.MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        newest = _newest_exemplars()
        for metric in metrics:
            metric.samples = [
                sample._replace(exemplar=newest.get((sample.name, frozenset(sample.labels.items()))))
                for sample in metric.samples
            ]
            yield metric


def _is_readable(path: Path) -> bool:
    try:
        for _ in MmapedDict.read_all_values_from_file(str(path)):  # type: ignore[no-untyped-call]
            pass
    except Exception as error:  # empty, cut off, or no metrics at all
        log.warning("metrics file left out", extra={"file": path.name, "error": repr(error)})
        return False
    return path.stat().st_size > 0


def forget_process(pid: int) -> None:
    """Drop a dead child's live values, so that 'in flight' does not count it for ever, and keep what it has counted."""
    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
    (_folder() / f"exemplars-{pid}").unlink(missing_ok=True)
    with _ended_lock:
        for kind in ("counter", "histogram"):
            path = _folder() / f"{kind}_{pid}.db"
            if path.exists():
                if _is_readable(path):
                    _add(path, _folder() / f"{kind}_0.db")
                path.unlink()


def _add(source: Path, target: Path) -> None:
    """Add all values of one file to those of another."""
    sums = MmapedDict(str(target))  # type: ignore[no-untyped-call]
    for key, value, timestamp, _ in MmapedDict.read_all_values_from_file(str(source)):  # type: ignore[no-untyped-call]
        before, _ = sums.read_value(key)  # type: ignore[no-untyped-call]
        sums.write_value(key, before + value, timestamp)  # type: ignore[no-untyped-call]
    sums.close()  # type: ignore[no-untyped-call]


def keep_exemplar(sample: str, labels: Mapping[str, str], trace: Mapping[str, str], value: float) -> None:
    """Write the newest exemplar of a sample, such as `job_duration_seconds_bucket`: one write to memory, of 2 us."""
    global _exemplars
    if _exemplars[0] != os.getpid():
        _slots.clear()
        path = _folder() / f"exemplars-{os.getpid()}"
        _exemplars = os.getpid(), os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    slot = _slots.setdefault((sample, frozenset(labels.items())), len(_slots))
    line = json.dumps([sample, labels, trace, value, time.time()])
    if slot < MAX_SLOTS and len(line) < SLOT_BYTES:
        os.pwrite(_exemplars[1], f"{line:<{SLOT_BYTES - 1}}\n".encode(), slot * SLOT_BYTES)


def _newest_exemplars() -> dict[Key, Exemplar]:
    newest: dict[Key, Exemplar] = {}
    for path in _folder().glob("exemplars-*"):
        for line in path.read_bytes().split(b"\n"):
            try:
                name, labels, trace, value, timestamp = json.loads(line)
            except ValueError:
                continue  # empty, or being written
            key = name, frozenset(labels.items())
            if key not in newest or (newest[key].timestamp or 0) < timestamp:
                newest[key] = Exemplar(trace, value, timestamp)
    return newest
