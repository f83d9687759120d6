"""Prometheus: where its samples go beside its own disk, as the program has it and as its container writes it down."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.config import constants
from slipway.config.errors import SlipwayError
from slipway.config.settings import Settings
from slipway.program.component_args.network import select_interface_endpoints
from tests.infra.program import APP_FILE, containers, plain, program, programmed
from tests.infra.promtool import promtool
from tests.infra.recorder import of
from tests.paths import ROOT

FOLDER = ROOT / "docker" / "prometheus"
TASK = "aws:ecs/taskDefinition:TaskDefinition"
WORKSPACE = "aws:amp/workspace:Workspace"
URL = "https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write"


def test_production_writes_to_a_workspace_of_its_own_and_may_do_nothing_else_with_it() -> None:
    found = program("prod")
    (workspace,) = of(found, WORKSPACE)
    (key,) = of(found, "aws:kms/key:Key")
    assert workspace.inputs["kmsKeyArn"] == f"arn:aws:mock:::{key.name}"
    assert workspace.protect
    environment = {each["name"]: each["value"] for each in containers("prod")["prometheus"]["environment"]}
    assert environment["REMOTE_WRITE"] == URL
    (role,) = (r for r in of(found, "aws:iam/rolePolicy:RolePolicy") if "-prometheus-task-" in r.name)
    statements = json.loads(plain(role.inputs["policy"]))["Statement"]
    (written,) = [each for each in statements if "aps:" in json.dumps(each)]
    assert written == {
        "Effect": "Allow",
        "Action": "aps:RemoteWrite",
        "Resource": "arn:aws:aps:eu-central-1:123456789012:workspace/ws-1",
    }


def test_without_the_setting_it_writes_nowhere_else() -> None:
    assert of(program("staging"), WORKSPACE) == []
    assert "REMOTE_WRITE" not in {each["name"] for each in containers("staging")["prometheus"]["environment"]}


def test_a_stack_that_protects_nothing_lets_its_workspace_go() -> None:
    settings = Settings.from_files("staging").model_copy(update={"managed_prometheus": True, "protect": False})
    (workspace,) = of(programmed("staging", settings), WORKSPACE)
    assert not workspace.protect


def test_a_network_without_a_way_out_has_an_endpoint_for_it() -> None:
    closed = Settings.from_files("prod").model_copy(update={"interface_endpoints": True})
    assert "aps-workspaces" in select_interface_endpoints(closed)
    assert "aps-workspaces" not in select_interface_endpoints(closed.model_copy(update={"managed_prometheus": False}))


@pytest.mark.parametrize(("monitoring", "metrics_port"), [(True, True), (True, False), (False, True), (False, False)])
def test_it_runs_where_the_stack_asks_for_it_and_the_app_has_metrics(
    tmp_path: Path, monitoring: bool, metrics_port: bool
) -> None:
    app = yaml.safe_load(APP_FILE.read_text())
    if not metrics_port:
        del app["metricsPort"], app["processes"]["worker"]["metrics"]
    file = tmp_path / "app.yaml"
    file.write_text(yaml.safe_dump(app))
    settings = Settings.from_files("dev").model_copy(update={"monitoring": monitoring})
    recording = programmed("dev", settings, file)
    services = {service.name for service in of(recording, "aws:ecs/service:Service")}
    assert (
        ("slipway-dev-prometheus" in services) == ("monitoring" in recording.exports) == (monitoring and metrics_port)
    )


def test_a_workspace_that_nobody_would_write_to_is_refused() -> None:
    values = Settings.from_files("dev").model_dump(by_alias=True) | {"managedPrometheus": True, "monitoring": False}
    with pytest.raises(SlipwayError, match="Set monitoring to true"):
        Settings.load(values, "a test's stack")


def written_down(folder: Path, **environment: str) -> dict[str, Any]:
    """The configuration that start.sh hands to Prometheus, with its two folders in `folder`."""
    script = (FOLDER / "start.sh").read_text().replace("/tmp/", f"{folder}/")  # noqa: S108
    script = script.replace("/etc/slipway", str(FOLDER))  # second: a clone may lie below /tmp itself
    server = folder / "prometheus"
    server.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{folder}/asked\n')
    server.chmod(0o755)
    given = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "AWS_REGION": "eu-central-1",
        "CLUSTER_ARN": "arn:aws:ecs:eu-central-1:123456789012:cluster/main",
        "STACK": "acme-prod",
        "RETENTION": "15d",
        "RETENTION_SIZE": "14000MB",
    }
    subprocess.run(["sh", "-c", script], env=given | environment, check=True)
    found: dict[str, Any] = yaml.safe_load((folder / "prometheus.yml").read_text())
    return found


def test_it_keeps_as_long_and_as_much_as_it_is_told_on_its_tasks_own_disk(tmp_path: Path) -> None:
    found = programmed("staging", Settings.from_files("staging").model_copy(update={"metrics_retention_days": 30}))
    (definition,) = (r for r in of(found, TASK) if r.name == "slipway-staging-prometheus-task")
    (container, *_) = json.loads(plain(definition.inputs["containerDefinitions"]))
    told = {each["name"]: each["value"] for each in container["environment"]}
    assert told["RETENTION"] == "30d"
    megabytes = int(told["RETENTION_SIZE"].removesuffix("MB"))
    assert megabytes < 19_000  # of Fargate's 20 GiB, for the images are on it too
    (volume,) = definition.inputs["volumes"]
    assert "ephemeralStorage" not in definition.inputs
    assert not {key for key in volume if "efs" in key.lower()}
    written_down(tmp_path, RETENTION=told["RETENTION"], RETENTION_SIZE=told["RETENTION_SIZE"])
    asked = dict(each.split("=", 1) for each in (tmp_path / "asked").read_text().splitlines())
    assert asked["--storage.tsdb.retention.time"] == "30d"
    assert asked["--storage.tsdb.retention.size"] == f"{megabytes}MB"
    assert asked["--storage.tsdb.path"].startswith(f"{tmp_path}/")  # /tmp, which is that volume
    assert {each["containerPath"] for each in container["mountPoints"]} == {constants.SCRATCH_PATH}


def test_the_two_do_not_write_into_one_folder_of_the_volume_that_they_share() -> None:
    folders = {
        image: re.findall(r"--storage(?:\.tsdb)?\.path=(\S+)", (ROOT / "docker" / image / "start.sh").read_text())
        for image in ("prometheus", "alertmanager")
    }
    assert folders == {"prometheus": ["/tmp/prometheus"], "alertmanager": ["/tmp/alertmanager"]}  # noqa: S108


def test_in_a_rollout_the_old_one_ends_before_the_new_one_starts_and_no_other_service_does_so() -> None:
    services = of(program("prod"), "aws:ecs/service:Service")
    percent = {
        each.name: (each.inputs["deploymentMinimumHealthyPercent"], each.inputs["deploymentMaximumPercent"])
        for each in services
    }
    assert percent.pop("slipway-prod-prometheus") == (0, 100)
    assert {*percent.values()} == {(100, 200)}


def test_its_container_signs_what_it_writes(tmp_path: Path) -> None:
    found = written_down(tmp_path, REMOTE_WRITE=URL)
    (target,) = found["remote_write"]
    assert (target["url"], target["sigv4"]) == (URL, {"region": "eu-central-1"})
    assert "@" not in json.dumps(found)
    # Debian's promtool is older than ECS's discovery and the choice of protocols: it is asked about the rest.
    rest = tmp_path / "rest.yml"
    ours = {key: value for key, value in found.items() if key not in ("scrape_configs", "rule_files")}
    ours["global"] = {key: value for key, value in found["global"].items() if key != "scrape_protocols"}
    rest.write_text(yaml.safe_dump(ours))
    assert "SUCCESS" in promtool("check", "config", rest)


def test_its_container_writes_nowhere_else_without_an_address(tmp_path: Path) -> None:
    assert "remote_write" not in written_down(tmp_path)
