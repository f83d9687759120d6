"""What the state of this machine's stack is asked before anything is done with it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from slipway.config.errors import SlipwayError
from slipway.config.project import project_name
from slipway.config.settings import Settings
from slipway_local import local_stack, up_down
from slipway_local.provider import journal
from slipway_local.provider.types import RESOURCE_TYPES
from slipway_local.session import Session, state_dir
from slipway_local.toolchain import Toolchain


def write_state(*types: str) -> None:
    resources = [{"type": type, "urn": f"urn:pulumi:local::{project_name()}::{type}::it"} for type in types]
    file = state_dir() / ".pulumi" / "stacks" / project_name() / "local.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))


@pytest.fixture(autouse=True)
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_RUN_DIR", str(tmp_path))


def test_a_stack_from_before_the_package_is_not_updated_and_the_way_to_remove_it_is_named() -> None:
    write_state("pulumi:pulumi:Stack", "slipway:web:Web", "aws:ecs/service:Service")
    with pytest.raises(
        SlipwayError, match=r"deployed by a version from before the package: .*slipway:web:Web"
    ) as refusal:
        local_stack.ensure_no_former_components()
    assert refusal.value.fix.startswith("slipway down")


def test_a_stack_of_today_or_none_is_updated() -> None:
    local_stack.ensure_no_former_components()
    write_state("pulumi:pulumi:Stack", "slipway:ecs:WebService", "aws:ecs/service:Service")
    local_stack.ensure_no_former_components()


def test_no_component_of_today_has_one_of_the_former_types() -> None:
    components = Path(local_stack.__file__).parents[1] / "slipway" / "components"
    sources = "\n".join(file.read_text() for file in components.glob("*.py"))
    assert "slipway:ecs:WebService" in sources
    assert [name for name in local_stack.FORMER_COMPONENT_TYPES if f'"{name}"' in sources] == []


def session_of(tmp_path: Path, script: str) -> Session:
    """A session whose engine is a script."""
    engine = tmp_path / "pulumi"
    engine.write_text(f"#!/bin/sh\n{script}\n")
    engine.chmod(0o755)
    return Session(Toolchain([tmp_path], engine, "a test's"), {})


def test_an_engine_that_works_on_the_stack_is_not_disturbed(tmp_path: Path) -> None:
    write_state("pulumi:pulumi:Stack")
    lock = state_dir() / ".pulumi" / "locks" / "organization" / project_name() / "local" / "1.json"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"pid": os.getppid()}))
    with pytest.raises(
        SlipwayError, match=rf"Another pulumi \(pid {os.getppid()}\) is working on the stack"
    ) as refusal:
        local_stack.recover_stack(session_of(tmp_path, "exit 1"))
    assert refusal.value.fix == f"Wait until it has ended. If it hangs: kill -INT {os.getppid()}"


@pytest.fixture
def zombie() -> Iterator[int]:
    """The id of a killed process whose status is not collected, as in a container without an init."""
    process = subprocess.Popen(["sleep", "600"])
    process.kill()
    yield process.pid
    process.wait()


@pytest.mark.parametrize("engine", ["gone", "zombie"])
def test_a_lock_of_an_engine_that_was_killed_is_released(
    engine: str, zombie: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stale lock is no error that somebody has to read about."""
    write_state("pulumi:pulumi:Stack")
    lock = state_dir() / ".pulumi" / "locks" / "organization" / project_name() / "local" / "1.json"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"pid": zombie if engine == "zombie" else 2**22 + 1}))
    monkeypatch.setattr(local_stack, "_wait_for_providers", lambda: None)
    asked = tmp_path / "asked"
    state = json.dumps({"deployment": {}})
    local_stack.recover_stack(session_of(tmp_path, f"echo $1 $2 >> {asked}; echo '{state}'"))
    assert asked.read_text().splitlines() == ["cancel --yes", "stack export"]


def test_an_orphan_that_cannot_be_deleted_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Queue:
        def delete(self, *_: Any) -> None:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not yours"}}, "DeleteQueue")

    orphan = {"type": "aws:sqs/queue:Queue", "id": "jobs", "properties": {}}
    monkeypatch.setattr(journal, "find_orphaned_resources", lambda *_: [orphan])
    monkeypatch.setitem(RESOURCE_TYPES, "aws:sqs/queue:Queue", Queue())  # type: ignore[arg-type]
    with pytest.raises(SlipwayError) as failure:
        local_stack._delete_orphaned_resources(session_of(tmp_path, ""), {}, "local")
    assert failure.value.message.startswith(
        "aws:sqs/queue:Queue jobs, which a killed engine left, cannot be deleted: An error occurred (AccessDenied)"
    )
    assert failure.value.fix == "slipway down, then slipway up"


def test_a_failed_engine_that_was_shown_whole_is_not_shown_twice(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError) as failure:
        local_stack.run_pulumi_for_person(session_of(tmp_path, "exit 1"), "up", fix="Fix it.", verbose=True)
    assert (failure.value.message, failure.value.fix) == ("`pulumi up` failed; the cause is above.", "Fix it.")


def test_a_failed_engine_says_its_last_lines_and_where_all_of_it_is(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError) as failure:
        local_stack.run_pulumi_for_person(session_of(tmp_path, "echo no such plugin; exit 1"), "up", fix="Fix it.")
    assert failure.value.message == "`pulumi up` failed.\nno such plugin"
    assert failure.value.fix == f"Fix it. The whole output: {tmp_path}/log/pulumi-up.log"


def test_cloudfront_is_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.from_files("local").model_copy(update={"cdn": True})
    monkeypatch.setattr(up_down.Settings, "from_files", lambda *_: settings)
    with pytest.raises(SlipwayError, match="cdn is true") as refusal:
        up_down.up()
    assert refusal.value.fix.endswith("pulumi config set cdn false -s local")
