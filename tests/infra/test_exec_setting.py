"""The setting `exec` and manual processes: what the program makes of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.config.app_spec.loader import parse_app
from slipway.config.errors import SlipwayError
from slipway.config.project import project_root
from slipway.config.settings import Settings
from slipway.program.container_env import RELEASE
from tests.infra.program import APP_FILE, OF_THE_KIT, plain, program, programmed
from tests.infra.recorder import Recording, of
from tests.paths import ROOT

DEFINITION = "aws:ecs/taskDefinition:TaskDefinition"
AGENT_FOLDERS = {"/managed-agents", "/var/lib/amazon", "/var/log/amazon"}


def containers_with_volumes(recording: Recording) -> Iterator[tuple[dict[str, Any], set[str]]]:
    """Each container, and the volumes of its task."""
    for definition in of(recording, DEFINITION):
        volumes = {volume["name"] for volume in definition.inputs["volumes"]}
        for container in json.loads(plain(definition.inputs["containerDefinitions"])):
            yield container, volumes


def folders(container: dict[str, Any]) -> dict[str, str]:
    return {mount["containerPath"]: mount["sourceVolume"] for mount in container["mountPoints"]}


def test_each_container_of_the_app_has_writable_folders_of_its_own_for_the_agent() -> None:
    names = set()
    for container, volumes in containers_with_volumes(program("dev")):
        mounted = folders(container)
        assert container["readonlyRootFilesystem"]
        if container["name"] in OF_THE_KIT:
            assert not AGENT_FOLDERS & set(mounted)
            continue
        names.add(container["name"])
        assert set(mounted) > AGENT_FOLDERS
        assert len(set(mounted.values())) == len(mounted)
        assert set(mounted.values()) <= volumes
    assert names == {"web", "worker", "cleanup", RELEASE}


def test_services_have_it_and_sessions_are_logged_under_the_stacks_key() -> None:
    recording = program("dev")
    assert {service.inputs["enableExecuteCommand"] for service in of(recording, "aws:ecs/service:Service")} == {True}
    (cluster,) = of(recording, "aws:ecs/cluster:Cluster")
    configuration = cluster.inputs["configuration"]["executeCommandConfiguration"]
    (group,) = [each for each in of(recording, "aws:cloudwatch/logGroup:LogGroup") if each.name.endswith("-exec")]
    assert configuration["logging"] == "OVERRIDE"
    assert configuration["logConfiguration"] == {
        "cloudWatchEncryptionEnabled": True,
        "cloudWatchLogGroupName": group.name,
    }
    assert configuration["kmsKeyId"] == group.inputs["kmsKeyId"]
    connect = recording.exports["connect"]
    assert (connect["database"]["processes"], connect["cache"]["processes"]) == (["web", "worker"], ["web", "worker"])
    assert recording.exports["exec"] is True


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_where_it_is_off_there_is_nothing_of_it(stack: str) -> None:
    recording = program(stack)
    assert all(not AGENT_FOLDERS & set(folders(each)) for each, _ in containers_with_volumes(recording))
    for resource in recording:
        assert not resource.inputs.get("enableExecuteCommand"), resource.name
        assert "configuration" not in resource.inputs or resource.type != "aws:ecs/cluster:Cluster"
        assert "ssmmessages" not in str(resource.inputs), resource.name
    assert (recording.exports["exec"], recording.exports.get("connect")) == (False, None)


def test_a_stack_file_says_otherwise() -> None:
    prod, dev = Settings.from_files("prod"), Settings.from_files("dev")
    assert (prod.exec_enabled, dev.exec_enabled) == (False, True)
    assert prod.model_copy(update={"exec": True}).exec_enabled
    assert not dev.model_copy(update={"exec": False}).exec_enabled


def test_a_manual_process_has_a_task_definition_and_no_service(tmp_path: Path) -> None:
    document = yaml.safe_load((ROOT / APP_FILE).read_text())
    document["processes"]["backfill"] = {"command": "fill", "manual": True, "needs": ["cache"]}
    file = tmp_path / "app.yaml"
    file.write_text(yaml.safe_dump(document))
    recording = programmed("dev", Settings.from_files("dev"), file)
    services = [service.name for service in of(recording, "aws:ecs/service:Service")]
    assert "slipway-dev-backfill" not in services
    tasks = recording.exports["tasks"]
    assert set(tasks) == {"cleanup", "backfill"}
    assert tasks["backfill"]["taskDefinition"].endswith(":task-definition/slipway-dev-backfill:1")
    assert "backfill" in recording.exports["logGroups"]
    assert {"slipway-dev-backfill", "slipway-dev-connect"} <= recording.deregistered


@pytest.mark.parametrize(
    ("process", "message"),
    [
        ({"schedule": "rate(1 day)"}, "it has no schedule and no paths"),
        ({"paths": ["/x"]}, "it has no schedule and no paths"),
        ({"metrics": True}, "a manual task ends before it is scraped"),
    ],
)
def test_a_manual_process_is_nothing_else(process: dict[str, Any], message: str) -> None:
    document = yaml.safe_load((ROOT / APP_FILE).read_text())
    document["processes"]["backfill"] = {"command": "fill", "manual": True, **process}
    with pytest.raises(SlipwayError, match=message):
        parse_app(document, Settings.from_files("dev"), project_root())


def test_previews_have_no_manual_process() -> None:
    document = yaml.safe_load((ROOT / APP_FILE).read_text())
    document["processes"]["backfill"] = {"command": "fill", "manual": True, "needs": ["cache"]}
    app = parse_app(document, Settings.from_files("dev"), project_root())
    assert "backfill" in app.manual
    assert "backfill" not in app.workers
    assert "backfill" not in app.to_preview_spec().processes
