"""What a person sees of long work: a line for each thing that runs, and no tick on what failed."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from slipway.config.errors import SlipwayError
from slipway_local import local_stack, step_timer
from slipway_local.session import Session
from slipway_local.step_timer import run_command, run_in_parallel, step
from slipway_local.toolchain import Toolchain


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is printed."""
    out = io.StringIO()
    console = Console(file=out, highlight=False, soft_wrap=True)
    for module in (step_timer, local_stack):
        monkeypatch.setattr(module, "console", console)
    monkeypatch.setattr(step_timer, "HEARTBEAT_SECONDS", 0.05)
    return out


def test_a_failed_engine_leaves_its_step_without_a_tick(
    shown: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(Toolchain([], Path("/bin/false"), ""), {})
    monkeypatch.setattr(local_stack, "run_dir", lambda: tmp_path)
    with pytest.raises(SlipwayError, match="`pulumi up` failed"), step("pulumi up"):
        local_stack.run_pulumi_for_person(session, "up", fix="")
    assert "✗ pulumi up" in shown.getvalue()
    assert "✓" not in shown.getvalue()


def test_of_steps_inside_each_other_one_line_says_that_it_is_alive(shown: io.StringIO) -> None:
    with step("outer"):
        with step("inner"):
            time.sleep(0.5)
        assert "… inner" in shown.getvalue()
        assert "… outer" not in shown.getvalue()
        time.sleep(0.5)
    assert "… outer" in shown.getvalue()


def test_things_side_by_side_have_a_line_each(shown: io.StringIO) -> None:
    def lane(name: str) -> None:
        with step(name):
            time.sleep(0.5)

    run_in_parallel(lambda: lane("left"), lambda: lane("right"))
    for name in ("left", "right"):
        assert f"… {name}" in shown.getvalue()


def test_what_fails_first_ends_what_runs_beside_it_and_is_told(shown: io.StringIO, tmp_path: Path) -> None:
    def slow() -> None:
        program = "import pathlib, sys, time; time.sleep(5); pathlib.Path(sys.argv[1]).touch()"
        run_command([sys.executable, "-c", program, str(tmp_path / "ended")], "slow", log=tmp_path / "slow.log")

    def failing() -> None:
        time.sleep(0.5)
        run_command(
            [sys.executable, "-c", "print('the reason'); raise SystemExit(3)"], "It failed", log=tmp_path / "f.log"
        )

    with pytest.raises(SlipwayError, match=r"It failed \(exit 3\)\. Its last lines:\nthe reason"):
        run_in_parallel(slow, failing)
    assert not (tmp_path / "ended").exists()
