"""`slipway exec`: which container it is, how AWS's plugin is called, and whose exit code the command ends with."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from slipway.config.errors import SlipwayError
from slipway.config.local_aws import LOCAL_ACCOUNT
from slipway.release import exec_session, session_client
from slipway.release.exec_target import ExecTarget, find_exec_target
from tests.infra.deployed import CLUSTER, Answers, deployed
from tests.infra.fake_ecs import FakeClock

TASKS = CLUSTER.replace(":cluster/", ":task/")
TARGET = ExecTarget(f"{TASKS}/abc", "web", "abc-1")


def task(id: str, *, agent: str = "RUNNING", hour: int = 1, status: str = "RUNNING", **more: Any) -> dict[str, Any]:
    agents = [{"name": "ExecuteCommandAgent", "lastStatus": agent, **({"reason": "no"} if agent != "RUNNING" else {})}]
    return {
        "taskArn": f"{TASKS}/{id}",
        "lastStatus": status,
        "startedAt": datetime(2026, 11, 1, hour, tzinfo=UTC),
        "enableExecuteCommand": True,
        "containers": [
            {"name": "aws-guardduty-agent-x"},
            {"name": "web", "runtimeId": f"{id}-1", "managedAgents": agents},
        ],
    } | more


def running(*tasks: dict[str, Any]) -> Answers:
    arns = [each["taskArn"] for each in tasks]

    def describe_tasks(cluster: str, tasks: list[str], described: Any = tasks) -> Any:
        return {"tasks": [each for each in described if each["taskArn"] in tasks]}

    return Answers({"list_tasks": {"taskArns": arns}, "describe_tasks": describe_tasks})


def test_it_is_the_newest_task_whose_agent_runs() -> None:
    aws = running(
        task("old"), task("new", hour=2), task("broken", agent="STOPPED", hour=3), task("x", status="PENDING")
    )
    target = find_exec_target(deployed(aws))
    assert (target.task_id, target.container) == ("new", "web")
    assert target.ssm_target == "ecs:shop_new_new-1"
    assert aws.given("list_tasks")[0]["serviceName"] == "shop-web"


def test_a_healthy_task_goes_before_one_that_has_just_started() -> None:
    """The new one does not listen yet: `slipway connect dev 8000` would lead to a port that refuses."""
    aws = running(
        task("oldest", healthStatus="HEALTHY"),
        task("ready", hour=2, healthStatus="HEALTHY"),
        task("starts", hour=3, healthStatus="UNKNOWN"),
        task("fails", hour=4, healthStatus="UNHEALTHY"),
    )
    assert find_exec_target(deployed(aws)).task_id == "ready"


def test_a_task_is_named_by_how_its_id_begins() -> None:
    aws = running(task("abc1"), task("abd2", hour=2))
    assert find_exec_target(deployed(aws), task="abc").task_id == "abc1"
    with pytest.raises(SlipwayError, match="Several tasks"):
        find_exec_target(deployed(aws), task="ab")


def test_a_process_of_a_preview_is_a_container_of_its_only_service() -> None:
    aws = running(task("abc"))
    stack = deployed(aws, preview={}, logGroups={"web": "g", "mailer": "g", "release": "g"})
    with pytest.raises(SlipwayError, match="has no container mailer"):
        find_exec_target(stack, "mailer")
    with pytest.raises(SlipwayError, match="no process release"):
        find_exec_target(stack, "release")


REFUSED: list[tuple[str, Answers, dict[str, Any], str, str]] = [
    ("it is off", running(), {"exec": False}, "ECS Exec is off in dev", "config set exec true"),
    ("no task", running(), {}, "No task of web is running in dev", "slipway deployments dev"),
    ("an unknown process", running(), {"process": "nope"}, "There is no process nope in dev", "web, worker"),
    ("one that is started", running(), {"process": "nightly"}, "only now and then", "slipway run dev nightly"),
    (
        "an older task",
        running(task("a", enableExecuteCommand=False, containers=[{"name": "web"}])),
        {},
        "was off",
        "next deployment",
    ),
    ("its agent fails", running(task("a", agent="STOPPED")), {}, "agent does not run in the task a: no", "tasks.md"),
]


@pytest.mark.parametrize(
    ("aws", "given", "message", "fix"), [each[1:] for each in REFUSED], ids=[x[0] for x in REFUSED]
)
def test_what_cannot_be_reached_says_why(aws: Answers, given: dict[str, Any], message: str, fix: str) -> None:
    stack = deployed(aws, exec=given.get("exec", True), tasks={"nightly": {}})
    with pytest.raises(SlipwayError) as refused:
        find_exec_target(stack, given.get("process", ""))
    assert message in refused.value.message
    assert fix in refused.value.fix


def test_a_stack_of_an_older_kit_is_told_apart_from_one_that_is_off() -> None:
    stack = deployed(running())
    del stack.outputs["exec"]
    with pytest.raises(SlipwayError, match="had no ECS Exec"):
        find_exec_target(stack)


def plugin(folder: Path, monkeypatch: pytest.MonkeyPatch, version: str, body: str = "") -> Path:
    """A session-manager-plugin of the test's own, which writes down how it was called."""
    log = folder / "called.json"
    file = folder / "session-manager-plugin"
    file.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        f"if sys.argv[1:] == ['--version']: print({version!r}); raise SystemExit\n"
        f"json.dump([sys.argv[1:], dict(os.environ)], open({str(log)!r}, 'w'))\n{body}\n"
    )
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return log


SESSION = {"sessionId": "s-1", "tokenValue": "secret-token", "streamUrl": "wss://stream"}


@pytest.mark.parametrize(("version", "in_a_variable"), [("1.2.553.0", True), ("1.2.497.0", False), ("what", False)])
def test_the_token_is_in_no_process_list_where_the_plugin_can_do_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, in_a_variable: bool
) -> None:
    log = plugin(tmp_path, monkeypatch, version)
    stack = deployed(Answers({}))
    client = session_client.exec_client(stack, SESSION, TARGET.ssm_target, ["ls"], terminal=False)
    assert subprocess.run(client.command, env=client.environment).returncode == 0
    words, environment = json.loads(log.read_text())
    assert ("secret-token" in " ".join(words)) is not in_a_variable
    response = environment["AWS_SSM_START_SESSION_RESPONSE"] if in_a_variable else words[0]
    assert json.loads(response) == {"SessionId": "s-1", "TokenValue": "secret-token", "StreamUrl": "wss://stream"}
    assert words[1:] == [
        "eu-central-1",
        "StartSession",
        "",
        json.dumps({"Target": "ecs:shop_abc_abc-1"}),
        "https://ssm.example",
    ]
    assert environment["AWS_SESSION_TOKEN"] == "token"  # noqa: S105 - it may resume the session as the stack's caller


def test_a_forwarded_port_goes_through_the_plugin_and_on_this_machine_through_the_local_aws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin(tmp_path, monkeypatch, "1.2.497.0")
    session = {"SessionId": "s-1", "TokenValue": "secret-token", "StreamUrl": "wss://stream", "more": "not passed on"}
    parameters = {"Target": TARGET.ssm_target, "DocumentName": "AWS-StartPortForwardingSession"}
    stack = deployed(Answers({}))
    client = session_client.forward_client(stack, session, parameters, 5433)
    assert (client.command[0], client.passes_exit_code) == ("session-manager-plugin", False)
    assert "more" not in json.loads(client.command[1])
    assert json.loads(client.command[5]) == parameters
    local = SimpleNamespace(
        forward_command=lambda url, port: ["forward", url, str(port)],
        exec_command=lambda url, command, terminal: ["exec", url, *command],
    )
    monkeypatch.setattr(session_client, "require_local_aws", lambda _: local)
    here = replace(stack, cluster=f"arn:aws:ecs:eu-central-1:{LOCAL_ACCOUNT}:cluster/shop")
    client = session_client.forward_client(here, session, parameters, 5433)
    assert (client.command, client.passes_exit_code) == (["forward", "wss://stream", "5433"], True)
    client = session_client.exec_client(here, SESSION, TARGET.ssm_target, ["ls"], terminal=False)
    assert client.command == ["exec", "wss://stream", "ls"]


def test_empty_lines_of_a_command_are_kept_and_those_behind_its_end_are_not() -> None:
    target = io.BytesIO()
    lines = [b"one\n", b"\n", b"two\n", b"m:3\n", b"\n", b"late\n"]
    source: Any = iter(lines)
    assert exec_session.copy_until_mark(source, target, "m") == 3
    assert target.getvalue() == b"one\n\ntwo\nlate\n"
    assert exec_session.copy_until_mark(iter([b"one\n"]), target, "m") is None  # type: ignore[arg-type]


def test_a_missing_plugin_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SlipwayError, match="no session-manager-plugin here") as refused:
        session_client.require_session_client(deployed(Answers({})))
    assert "plugin" in refused.value.fix


def test_a_command_is_one_string_for_aws_and_ends_with_its_own_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """AWS passes no exit code: the shell in the container prints it, and nobody sees that line."""
    monkeypatch.setattr(exec_session.secrets, "token_hex", lambda _: "m")
    plugin(
        tmp_path,
        monkeypatch,
        "1.2.553.0",
        r"print('\nStarting session with SessionId: s\nhallo\nslipway-exit-m:7\n\nExiting session with sessionId: s.')",
    )
    monkeypatch.setattr(exec_session.sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    aws = Answers({"execute_command": {"session": SESSION}})
    code = exec_session.run_in_container(deployed(aws), TARGET, ["echo", "it's"])
    assert code == 7
    written = exec_session.sys.stdout.buffer.getvalue()  # type: ignore[attr-defined]  # the test's own
    assert written.strip() == b"hallo"
    (given,) = aws.given("execute_command")
    done = subprocess.run(given["command"], shell=True, capture_output=True, text=True)  # noqa: S602 - as the agent
    assert done.stdout == "it's\nslipway-exit-m:0\n"
    assert (given["task"], given["container"], given["interactive"]) == (TARGET.task, "web", True)


def test_a_session_that_breaks_off_is_no_success() -> None:
    copied = io.BytesIO()
    assert exec_session.copy_until_mark(io.BytesIO(b"half\n"), copied, "mark") is None
    assert copied.getvalue() == b"half\n"


def test_an_agent_that_does_not_answer_yet_is_asked_again() -> None:
    """A task that ends meanwhile looks the same."""
    error = ClientError({"Error": {"Code": "TargetNotConnectedException", "Message": ""}}, "ExecuteCommand")

    def refuse(**_: Any) -> Any:
        raise error

    aws = Answers({"execute_command": refuse})
    clock = FakeClock()
    with pytest.raises(SlipwayError, match="may be ending"):
        exec_session.run_in_container(deployed(aws), TARGET, ["ls"], clock)
    assert len(aws.given("execute_command")) == exec_session.AGENT_ATTEMPTS
    assert clock.now() > 5
