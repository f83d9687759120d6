"""When a process has ended: also where its status is not collected, as in a container without an init."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from slipway_local.process_end import wait_until_ended

PARENT = """
import subprocess, time
child = subprocess.Popen(["sleep", "600"])
child.kill()
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def zombie_of_another() -> Iterator[int]:
    """The id of a killed process whose parent, another than this process, does not collect its status."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        yield int(parent.stdout.readline())
        parent.kill()


def test_a_zombie_of_another_process_has_ended(zombie_of_another: int) -> None:
    assert wait_until_ended(zombie_of_another, 60)


def test_a_child_that_was_killed_has_ended() -> None:
    child = subprocess.Popen(["sleep", "600"])
    child.kill()
    assert wait_until_ended(child.pid, 60)
    assert wait_until_ended(child.pid, 60), "its number is free again"
    child.wait()


def test_a_process_that_runs_has_not_ended() -> None:
    with subprocess.Popen(["sleep", "600"]) as running:
        assert not wait_until_ended(running.pid, 0.2)
        running.kill()
