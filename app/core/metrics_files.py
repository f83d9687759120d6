"""Where the processes of one container keep their metrics, prepared by the parent before anything else.

prometheus_client decides when it is imported whether values are shared, so nothing here imports it at the top.
"""

import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 - writable with a read-only root, and never on a disk


def share_metrics() -> None:
    """Make this process and its children write to one fresh folder in memory."""
    folder = Path(tempfile.mkdtemp(prefix="metrics-", dir=_MEMORY if _MEMORY.is_dir() else None))
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def forget_process(pid: int) -> None:
    """Drop a dead child's live values, so that 'in flight' does not count it for ever."""
    from prometheus_client import multiprocess

    from app.core import exemplars

    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
    exemplars.forget(pid)


def remove_metrics() -> None:
    """Delete the folder when the parent ends."""
    shutil.rmtree(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""), ignore_errors=True)
