"""What a release says on its way reaches Pulumi's output, from whatever thread says it."""

from __future__ import annotations

import asyncio
from typing import Any

import pulumi
import pytest

from slipway.release import progress


def test_a_line_of_another_thread_is_logged_on_the_programs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, Any]] = []

    def info(line: str, resource: Any) -> None:
        asyncio.get_running_loop()  # in a thread there is none
        said.append((line, resource))

    monkeypatch.setattr(pulumi.log, "info", info)
    service: Any = object()

    async def program() -> None:
        say = progress.create_progress_reporter(service)
        await asyncio.to_thread(say, "1 of 2 tasks run")
        await asyncio.sleep(0)

    asyncio.run(program())
    assert said == [("1 of 2 tasks run", service)]
