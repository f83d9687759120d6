"""ECS's task protection: asked for while a job runs, given back after it, and never a reason for a job to fail."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from app.jobs.protection import protected
from tests.app.servers import free_port

PROTECTED = {"protection": {"ProtectionEnabled": True, "TaskArn": "arn"}}
REFUSED = {"failure": {"Reason": "TASK_NOT_VALID"}}


class Agent:
    """An ECS agent that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answer: dict[str, Any] = PROTECTED
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                agent.asked.append((self.path, json.loads(body)))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(agent.answer).encode())

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    running = Agent()
    monkeypatch.setenv("ECS_AGENT_URI", f"http://127.0.0.1:{running.server.server_port}/api/id")
    yield running
    running.server.shutdown()


def test_a_task_is_protected_for_as_long_as_its_job_may_take_and_no_longer_than_it_runs(agent: Agent) -> None:
    path = "/api/id/task-protection/v1/state"
    with protected(630):
        assert agent.asked == [(path, {"ProtectionEnabled": True, "ExpiresInMinutes": 11})]
    assert agent.asked[1:] == [(path, {"ProtectionEnabled": False})]


def test_the_protection_of_a_job_that_fails_is_given_back(agent: Agent) -> None:
    with pytest.raises(OSError, match="no space"), protected(60):
        raise OSError("no space")
    assert agent.asked[-1][1] == {"ProtectionEnabled": False}


def test_a_refusal_is_told_and_the_job_runs(agent: Agent, caplog: pytest.LogCaptureFixture) -> None:
    agent.answer = REFUSED
    with caplog.at_level(logging.WARNING), protected(60):
        pass
    assert "TASK_NOT_VALID" in str(caplog.records[0].__dict__["answer"])


def test_an_agent_that_does_not_answer_is_told_and_the_job_runs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ECS_AGENT_URI", f"http://127.0.0.1:{free_port()}/api/id")
    with caplog.at_level(logging.WARNING), protected(60):
        pass
    assert [record.getMessage() for record in caplog.records] == ["task not protected"] * 2


def test_elsewhere_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("ECS_AGENT_URI", raising=False)
    with caplog.at_level(logging.WARNING), protected(60):
        pass
    assert caplog.records == []
