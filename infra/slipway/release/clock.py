"""A clock for waits that tests replace, so that a long wait takes no time."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Measures time and sleeps."""

    def now(self) -> float:
        """Returns monotonic seconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Returns after `seconds`."""
        ...


class SystemClock:
    """This machine's monotonic clock. It is never compared with AWS's."""

    def now(self) -> float:
        """Returns monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Blocks this thread for `seconds`."""
        time.sleep(seconds)


SYSTEM_CLOCK: Clock = SystemClock()
