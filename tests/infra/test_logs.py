"""What `slipway logs` reads and shows, on the local AWS's own log service, which runs in this process here."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import itertools
import json
import os
import pty
import re
import struct
import sys
import termios
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

import boto3
import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app as ministack
from ministack.services import cloudwatch_logs
from rich.cells import cell_len
from typer.testing import CliRunner

from slipway.cli import log_viewer as command
from slipway.cli.main import app as cli
from slipway.config.errors import SlipwayError
from slipway.release import deployed_stack, log_events
from slipway.release.aws_session import AwsSession
from slipway.release.deployed_stack import DeployedStack
from slipway.release.log_events import LogEvent, LogReader
from slipway.release.log_lines import LogPrinter
from slipway_local.emulator.patches import cloudwatch_logs as emulated
from tests.ports import free_port

numbers = itertools.count(1)


PAGE = 5


@pytest.fixture(scope="module")
def aws() -> Iterator[AwsSession]:
    """Clients of a log service that pages as AWS's does, and after five events already."""
    address = f"127.0.0.1:{free_port()}"
    loop, ended = asyncio.new_event_loop(), asyncio.Event()
    config = Config()
    config.bind, config.loglevel = [address], "CRITICAL"
    serving = serve(ministack, config, shutdown_trigger=ended.wait)
    thread = threading.Thread(target=loop.run_until_complete, args=(serving,), daemon=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(emulated, "PAGE_SIZE", PAGE)
        original = cloudwatch_logs._filter_log_events
        small = emulated.paginate(lambda data: original(data | {"limit": PAGE}))
        patch.setattr(cloudwatch_logs, "_filter_log_events", small)
        thread.start()
        yield AwsSession(boto3.Session("test", "test", region_name="us-east-1"), {"logs": f"http://{address}"})
        loop.call_soon_threadsafe(ended.set)
        thread.join(timeout=10)


@pytest.fixture
def groups(aws: AwsSession) -> dict[str, str]:
    """A stack's log groups."""
    number = next(numbers)
    found = {process: f"shop-{number}-{process}" for process in ("web", "worker", "release")}
    for name in found.values():
        aws.client("logs").create_log_group(logGroupName=name)
    return found


def write(
    aws: AwsSession, group: str, *texts: str, ago: float = 0, container: str = "", task: str = "0123456789ab"
) -> None:
    """As ECS does: a line a millisecond, the last of them `ago` seconds before now."""
    client, container = aws.client("logs"), container or group.rsplit("-", 1)[-1]
    stream = f"{container}/{container}/{task}"
    with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
        client.create_log_stream(logGroupName=group, logStreamName=stream)
    first = int((time.time() - ago) * 1000) - len(texts) + 1
    events = [{"timestamp": first + n, "message": text} for n, text in enumerate(texts)]
    client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def texts(events: Iterable[LogEvent]) -> list[str]:
    return [event.text for event in events]


def test_all_processes_are_one_stream_with_the_newest_last(aws: AwsSession, groups: dict[str, str]) -> None:
    write(aws, groups["web"], "first", ago=50)
    write(aws, groups["worker"], "second", ago=40)
    write(aws, groups["web"], *(f"many {n}" for n in range(3 * PAGE)), ago=30)
    write(aws, groups["release"], "last", ago=1)
    found = [*LogReader(aws, groups).since(time.time() - 60)]
    assert texts(found) == ["first", "second", *(f"many {n}" for n in range(3 * PAGE)), "last"]
    assert [event.process for event in found[:2]] == ["web", "worker"]
    assert texts(LogReader(aws, groups).since(time.time() - 35))[0] == "many 0"
    assert texts(LogReader(aws, groups, ["worker", "release"]).since(0)) == ["second", "last"]
    assert texts(LogReader(aws, groups, grep="many 1[0-3]|sec").since(0)) == [
        "second",
        *(f"many 1{n}" for n in range(4)),
    ]


def test_the_last_lines_are_looked_for_as_far_back_as_a_day(aws: AwsSession, groups: dict[str, str]) -> None:
    write(aws, groups["web"], "yesterday", ago=20 * 3600)
    write(aws, groups["worker"], "an hour ago", ago=3500)
    write(aws, groups["web"], "now")
    assert texts(LogReader(aws, groups).last(1)) == ["now"]
    assert texts(LogReader(aws, groups).last(2)) == ["an hour ago", "now"]
    assert texts(LogReader(aws, groups).last(5)) == ["yesterday", "an hour ago", "now"]


def test_who_follows_gets_each_line_once_also_one_that_comes_late(
    aws: AwsSession, groups: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_events, "POLL_SECONDS", 0)
    write(aws, groups["web"], "a", "b", "c")
    logs = LogReader(aws, groups)
    assert texts(logs.last(2)) == ["b", "c"]
    create_from_values = logs.follow()
    assert texts(next(create_from_values)) == []
    write(aws, groups["worker"], "d")
    assert texts(next(create_from_values)) == ["d"]
    write(aws, groups["web"], "late", ago=5)
    assert texts(next(create_from_values)) == ["late"]
    assert texts(next(create_from_values)) == []
    since = LogReader(aws, groups).follow(time.time() - 60)
    assert sorted(texts(next(since))) == ["a", "b", "c", "d", "late"]
    assert texts(next(since)) == []


def test_a_previews_containers_share_a_group_and_are_told_apart(aws: AwsSession, groups: dict[str, str]) -> None:
    one = groups["web"]
    for container in ("web", "worker", "cache", "release"):
        write(aws, one, f"of {container}", container=container)
    shared = dict.fromkeys(("web", "worker", "cache", "release"), one)
    assert {event.process for event in LogReader(aws, shared).since(0)} == set(shared)
    assert texts(LogReader(aws, shared, ["release"]).since(0)) == ["of release"]


def test_what_is_wrong_is_told_with_what_to_do(aws: AwsSession, groups: dict[str, str]) -> None:
    with pytest.raises(
        SlipwayError, match=r"There is no process wbe with a log group(.|\n)*--process: release, web, worker"
    ):
        LogReader(aws, groups, ["wbe"])
    with pytest.raises(SlipwayError, match="--grep '\\[' is not a valid regular expression"):
        LogReader(aws, groups, grep="[")
    with pytest.raises(SlipwayError, match=r"The log group gone cannot be read.*ResourceNotFoundException"):
        LogReader(aws, {"web": "gone"}).last(1)
    with pytest.raises(SlipwayError, match="--since is 'yesterday'"):
        command.parse_since_seconds("yesterday")
    assert command.parse_since_seconds("15m") == 900


LINE = json.dumps(
    {
        "time": "2026-11-26T12:00:00.000+00:00",
        "level": "error",
        "logger": "app.request",
        "event": "request",
        "release": "abc",
        "request_id": "f" * 32,
        "route": "/api/v1/items",
        "status": 500,
        "exception": "Traceback (most recent call last):\n  ...\nValueError: \u001b[2Jnothing\u2028",
    }
)


def event(text: str) -> LogEvent:
    return LogEvent("1", 1_780_000_000_123, "web", "web", "0123456789ab", text)


def in_a_terminal(columns: int, *events: LogEvent) -> str:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with os.fdopen(slave, "w") as out:
        LogPrinter(out, ["web", "worker"]).show(events)
    shown = b""
    with os.fdopen(master, "rb", buffering=0) as screen, contextlib.suppress(OSError):  # a closed terminal's end
        while part := screen.read(65536):  # what was written may come in parts
            shown += part
    return shown.decode()


def test_a_terminal_has_one_line_an_event_in_its_width_and_colours_by_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    shown = in_a_terminal(72, event(LINE), event("plain\ntext " * 20), event("日本" * 60))
    bare = re.sub(r"\x1b\[[\d;]*m", "", shown)
    assert "\x1b" in shown
    assert "\x1b" not in bare
    lines = bare.splitlines()
    assert len(lines) == 3
    assert all(cell_len(line) <= 72 for line in lines)
    assert lines[0].split(" ", 1)[1] == "web    012345 ERROR request ValueError:  [2Jnothing route=…"
    assert "request_id=ffff" in in_a_terminal(160, event(LINE))
    color = re.search(r"(\x1b\[\d+m)web", shown)
    assert color
    assert f"{color[1]}worker" not in in_a_terminal(72, replace(event(LINE), process="worker"))


def test_a_program_gets_an_object_a_line() -> None:
    out = io.StringIO()
    LogPrinter(out, ["web"]).show([event(LINE), event("{no json"), event("two\nlines")])
    first, second, third = (json.loads(line) for line in out.getvalue().splitlines())
    assert first == {
        "time": "2026-05-28T20:26:40.123+00:00",
        "process": "web",
        "container": "web",
        "task": "0123456789ab",
        "line": json.loads(LINE),
    }
    assert (second["line"], third["line"]) == ("{no json", "two\nlines")


def test_the_command_reads_the_stack_and_ends_quietly_at_ctrl_c(
    aws: AwsSession, groups: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(aws, groups["web"], "one", "two")
    write(aws, groups["worker"], "three")
    aws.client("logs").create_log_group(logGroupName=f"{groups['web']}-prometheus")
    write(aws, f"{groups['web']}-prometheus", "scraped", ago=60)
    watching = {"monitoring": {"logGroups": {"prometheus": f"{groups['web']}-prometheus"}}}
    found = DeployedStack("prod", aws, "arn:cluster", {}, {"logGroups": groups, **watching})
    monkeypatch.setattr(command, "open_local_or_aws_stack", lambda _: found)
    run = CliRunner()
    told = run.invoke(cli, ["logs", "prod", "--process", "web", "--since", "1m"])
    assert told.exit_code == 0, told.exception
    assert [json.loads(line)["line"] for line in told.stdout.splitlines()] == ["one", "two"]

    told = run.invoke(cli, ["logs", "prod", "--since", "1m"])
    assert {json.loads(line)["process"] for line in told.stdout.splitlines()} == {"web", "worker"}
    told = run.invoke(cli, ["logs", "prod", "-p", "prometheus"])
    assert [json.loads(line)["line"] for line in told.stdout.splitlines()] == ["scraped"]

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(log_events.time, "sleep", interrupted)
    told = run.invoke(cli, ["logs", "prod", "-f", "-n", "1", "--grep", "three"])
    assert (told.exit_code, told.stderr) == (0, "")
    assert [json.loads(line)["line"] for line in told.stdout.splitlines()] == ["three"]


def test_who_reads_no_more_ends_it_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    read_statements, write_statements = os.pipe()
    os.close(read_statements)
    with os.fdopen(write_statements, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(command, "_show_logs", lambda *_: LogPrinter(out, ["web"]).show([event("line")]))
        command.show_logs("prod", command.LogQuery())


@pytest.mark.parametrize(("stack", "command"), [("prdo", "pulumi stack ls"), ("local", "slipway up")])
def test_a_stack_that_is_not_there_is_named(stack: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: str) -> str:
        raise SlipwayError(f"`pulumi stack output` failed:\nerror: no stack named '{stack}' found")

    monkeypatch.setattr(deployed_stack, "run_pulumi_in_project", refuse)
    with pytest.raises(SlipwayError, match=f"There is no stack {stack}") as refusal:
        deployed_stack.open_stack(stack)
    assert refusal.value.fix == command


@pytest.mark.parametrize(("stack", "command"), [("dev", "pulumi up --stack dev"), ("local", "slipway up")])
def test_a_stack_without_a_deployment_is_told_how_to_get_one(
    stack: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployed_stack, "run_pulumi_in_project", lambda *_: "{}")
    with pytest.raises(SlipwayError, match=f"Nothing is deployed in the stack {stack}") as refusal:
        deployed_stack.open_stack(stack)
    assert refusal.value.fix == command


def test_a_machine_without_pulumi_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SlipwayError, match="`pulumi` is not installed"):
        deployed_stack.open_stack("prod")


def test_a_preview_is_read_in_the_account_and_region_of_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = "arn:aws:ecs:eu-north-1:111122223333:cluster/shop"
    preview = {"services": {"web": "w"}, "logGroups": {"web": "g"}, "preview": {"base": "dev", "cluster": cluster}}

    def answer(*words: str) -> str:
        if words[0] == "stack":
            return json.dumps(preview)
        assert words[-1] == "dev"
        keys = {"accessKey": "test", "secretKey": "test", "region": "eu-north-1"}
        return json.dumps({f"aws:{key}": {"value": value} for key, value in keys.items()})

    monkeypatch.setattr(deployed_stack, "run_pulumi_in_project", answer)
    monkeypatch.setattr(AwsSession, "of", lambda self, arn: self)
    found = deployed_stack.open_stack("pr-42")
    assert found.cluster == cluster
    assert found.aws.client("logs").meta.region_name == "eu-north-1"
