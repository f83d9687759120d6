"""Waits for the end of processes that other commands have started."""

from __future__ import annotations

import contextlib
import time

import psutil

POLL_SECONDS = 0.1


def wait_until_ended(pid: int, seconds: float) -> bool:
    """Waits at most `seconds` for the end of a process, and returns whether it has ended.

    A zombie has ended: in a container without an init, no process collects the status of an orphan.
    """
    deadline = time.monotonic() + seconds
    try:
        process = psutil.Process(pid)
        while process.is_running():
            if process.status() == psutil.STATUS_ZOMBIE:
                with contextlib.suppress(psutil.TimeoutExpired):
                    process.wait(0)  # collects the status of a child of this process
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
    except psutil.NoSuchProcess:
        pass
    return True
