"""The files in which the processes of one container keep their metrics: one folder, in memory, made by the parent.

prometheus_client decides when it is imported whether values are shared, so nothing here imports it at the top.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

log = logging.getLogger("app.metrics")
_MEMORY = Path("/dev/shm")  # noqa: S108 - writable with a read-only root, and never on a disk
_ENDED = 0
"""The process id in the names of the files that have the sums of all ended processes."""
_lock = Lock()  # nobody reads while a file of an ended process is added to those


def share_metrics() -> None:
    """Make this process and its children write to one fresh folder in memory."""
    folder = Path(tempfile.mkdtemp(prefix="metrics-", dir=_MEMORY if _MEMORY.is_dir() else None))
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def _folder() -> Path:
    return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


def sum_of_all() -> Iterable[Metric]:
    """The sum over all processes. A file that cannot be read is left out: a process may have died while it made one,
    and the others still count."""
    from prometheus_client.multiprocess import MultiProcessCollector

    with _lock:
        files = [str(path) for path in _folder().glob("*.db") if _is_readable(path)]
        metrics: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
    return metrics


def _is_readable(path: Path) -> bool:
    from prometheus_client.mmap_dict import MmapedDict

    try:
        for _ in MmapedDict.read_all_values_from_file(str(path)):  # type: ignore[no-untyped-call]
            pass
    except Exception as error:  # empty, cut off, or no metrics at all
        log.warning("metrics file left out", extra={"file": path.name, "error": repr(error)})
        return False
    return path.stat().st_size > 0


def forget_process(pid: int) -> None:
    """Drop a dead child's live values, so that 'in flight' does not count it for ever, and add what it has counted to
    one file of all ended processes, so that files do not pile up."""
    from prometheus_client import multiprocess

    from app.core.observability import exemplars

    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
    exemplars.forget(pid)
    with _lock:
        for kind in ("counter", "histogram"):
            path = _folder() / f"{kind}_{pid}.db"
            if path.exists():
                if _is_readable(path):
                    _add(path, _folder() / f"{kind}_{_ENDED}.db")
                path.unlink()


def _add(source: Path, target: Path) -> None:
    """Add all values of one file to those of another."""
    from prometheus_client.mmap_dict import MmapedDict

    sums = MmapedDict(str(target))  # type: ignore[no-untyped-call]
    for key, value, timestamp, _ in MmapedDict.read_all_values_from_file(str(source)):  # type: ignore[no-untyped-call]
        before, _ = sums.read_value(key)  # type: ignore[no-untyped-call]
        sums.write_value(key, before + value, timestamp)  # type: ignore[no-untyped-call]
    sums.close()  # type: ignore[no-untyped-call]


def remove_metrics() -> None:
    """Delete the folder when the parent ends."""
    shutil.rmtree(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""), ignore_errors=True)
