"""The machine's clock: a wait that does not wait would ask AWS without a pause."""

from __future__ import annotations

from slipway.release.clock import SYSTEM_CLOCK


def test_a_wait_takes_its_time() -> None:
    before = SYSTEM_CLOCK.now()
    SYSTEM_CLOCK.sleep(0.05)
    assert SYSTEM_CLOCK.now() - before >= 0.05
