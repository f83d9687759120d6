"""The off-hours task: `stop` in the evening, `start` in the morning. A pause by a person is left as it is."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from pause_steps import OFF_HOURS, PausableStack

SERVING_TIMEOUT_SECONDS = 900.0
POLL_SECONDS = 5.0


def main(action: str) -> int:
    """Returns the exit code: 1 where the stack does not run again."""
    stack = PausableStack(cache(_client), os.environ["CLUSTER"], os.environ["STACK"], _say)
    mark = stack.find_mark()
    if mark and not mark.startswith(OFF_HOURS):
        _say(f"A person has paused it: {mark}. It stays so.")
        stack.stop_databases_again()
        return 0
    if action == "stop":
        stack.pause(mark or f"{OFF_HOURS} {datetime.now(UTC).isoformat(timespec='seconds')}")
        return 0
    return _start(stack) if mark else 0


def _start(stack: PausableStack) -> int:
    stack.resume()
    deadline = time.monotonic() + SERVING_TIMEOUT_SECONDS
    while True:
        running, desired = stack.running_tasks()
        if running >= desired:
            break
        if time.monotonic() > deadline:
            _say(
                f"{running} of {desired} tasks run: it stays marked as paused. Look at them, then: slipway resume STACK"
            )
            return 1
        time.sleep(POLL_SECONDS)
    stack.finish_resume()
    _say(f"{running} tasks run.")
    return 0


def _client(service: str) -> Any:
    return boto3.client(service)  # type: ignore[call-overload]  # the stubs know literal names only


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
