"""What a person sees of the engine's work: a release's own lines, and the cause of a failure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slipway_local.engine_output import EngineOutput, read_new_events, shorten_cause


def diagnostic(message: str, severity: str = "info", **more: Any) -> dict[str, Any]:
    return {"diagnosticEvent": {"message": message, "severity": severity, **more}}


def output(resource: str, op: str, kind: str = "aws:ecs/service:Service") -> dict[str, Any]:
    return {"resOutputsEvent": {"metadata": {"op": op, "type": kind, "urn": f"urn:pulumi:s::p::{kind}::{resource}"}}}


def shown(*events: dict[str, Any]) -> tuple[list[str], EngineOutput]:
    lines: list[str] = []
    engine = EngineOutput(lines.append)
    for event in events:
        engine.read(event)
    return lines, engine


def test_lines_of_the_release_are_shown_without_the_engines_colours() -> None:
    lines, _ = shown(diagnostic("<{%reset%}>web rolling out: 1 pending, 3 s<{%reset%}>\n"))
    assert lines == ["web rolling out: 1 pending, 3 s"]


@pytest.mark.parametrize(
    "noise",
    [
        "using pulumi-language-python from $PATH at /home/me/bin/pulumi-language-python",
        "psql:/roles.sql:33: NOTICE:  role is a member already",
        "(0 rows)",
        "",
    ],
)
def test_noise_is_for_the_log(noise: str) -> None:
    assert shown(diagnostic(noise, "warning"))[0] == []


def test_an_error_is_kept_for_the_end_and_once() -> None:
    lines, engine = shown(
        diagnostic("Migrate: the task exited with 1", "error"),
        diagnostic("update failed", "error"),
        diagnostic("Resource monitor has terminated, shutting down", "error"),
        diagnostic('before hook "x" failed: Migrate: the task exited with 1', "error"),
    )
    assert lines == []
    assert engine.failures == ["Migrate: the task exited with 1"]


def test_of_a_stack_trace_the_last_line_is_the_cause() -> None:
    trace = "Traceback (most recent call last):\n  File x.py, line 1\n    boom()\nValueError: no such thing\n"
    assert shorten_cause(trace) == "ValueError: no such thing"


def test_of_a_hooks_stack_trace_the_last_line_is_the_cause() -> None:
    trace = 'hook "x" failed: Traceback (most recent call last):\n  File x.py, line 1\nKeyError: 1\n'
    assert shorten_cause(trace) == "KeyError: 1"


def test_a_stack_trace_in_the_apps_log_is_shown_with_what_follows_it() -> None:
    report = [
        "Roll out: the new tasks of web did not become stable.",
        "The last lines of web in task 1a:",
        "  Traceback (most recent call last):",
        '    File "main.py", line 8, in <module>',
        "  KeyError: 'PAYMENT_KEY'",
        "ECS says: tasks failed to start.",
        "Running now: 1 of web:1.",
    ]
    assert shorten_cause("\n".join(report)).splitlines() == report
    shown_lines, _ = shown(*[diagnostic(line) for line in report])
    assert shown_lines == report


def test_few_changes_are_named_and_many_are_counted() -> None:
    _, few = shown(output("web", "update"), output("web", "same"), output("x", "create", "slipway:ecs:WebService"))
    assert few.summary() == ["updated Service web"]
    _, many = shown(*[output(f"r{number}", "create") for number in range(20)], output("old", "delete"))
    assert many.summary() == ["20 created, 1 deleted"]


def test_a_line_that_is_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "events"
    assert read_new_events(log, 0) == ([], 0)
    first, second = json.dumps({"sequence": 1}), json.dumps({"sequence": 2})
    log.write_text(f"{first}\n{second[:5]}")
    events, position = read_new_events(log, 0)
    assert events == [{"sequence": 1}]
    log.write_text(f"{first}\n{second}\n")
    assert read_new_events(log, position)[0] == [{"sequence": 2}]
