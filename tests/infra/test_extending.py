"""The examples of docs/how-to/extend.md, each run as a project's program."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from slipway.config.settings import Settings
from slipway.program.component_args.images import kit_image_args
from tests.infra.facts import REGISTRY
from tests.infra.program import STACKS, program, programmed
from tests.infra.recorder import Recording, of
from tests.paths import ROOT

QUEUE, SERVICE, TRANSFORM = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "how-to" / "extend.md").read_text(), flags=re.DOTALL
)


def run(example: str, tmp_path: Path, stack: str = "dev") -> Recording:
    """The program of `stack` with the example as its __main__.py, and a folder reports/ with a Dockerfile."""
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    main = tmp_path / "__main__.py"
    main.write_text(example.replace('Path("reports")', f"Path({str(folder)!r})"))
    return programmed(stack, Settings.from_files(stack), main=main)


def own(recording: Recording, stack: str = "dev") -> list[tuple[str, str]]:
    """Type and name of what the kit's own program does not register."""
    kits = {(resource.type, resource.name) for resource in program(stack)}
    return [key for resource in recording if (key := (resource.type, resource.name)) not in kits]


def test_a_queue_of_ones_own_is_read_by_the_worker_alone(tmp_path: Path) -> None:
    recording = run(QUEUE, tmp_path)
    assert {name for _, name in own(recording)} == {"reports", "worker-reads-reports", "reports-wait"}
    (queue,) = [each for each in of(recording, "aws:sqs/queue:Queue") if each.name == "reports"]
    assert queue.inputs["name"] == "slipway-dev-reports"
    assert queue.inputs["tags"]["stack"] == "slipway-dev"
    (policy,) = [each for each in of(recording, "aws:iam/rolePolicy:RolePolicy") if each.name == "worker-reads-reports"]
    (worker,) = [each for each in of(recording, "aws:iam/role:Role") if each.name == "slipway-dev-worker-task"]
    assert policy.inputs["role"] == worker.name
    assert json.loads(policy.inputs["policy"])["Statement"][0]["Resource"] == "arn:aws:mock:::reports"
    (alarm,) = [each for each in of(recording, "aws:cloudwatch/metricAlarm:MetricAlarm") if each.name == "reports-wait"]
    assert alarm.inputs["alarmActions"] == ["arn:aws:mock:::slipway-dev-alarms"]
    assert recording.exports["reportsQueue"] == "https://sqs.example/jobs"


def test_a_second_image_is_another_service_behind_the_same_load_balancer(tmp_path: Path) -> None:
    recording = run(SERVICE, tmp_path)
    (service,) = [each for each in of(recording, "aws:ecs/service:Service") if each.name == "slipway-dev-reports"]
    assert service.inputs["cluster"] == "arn:aws:ecs:eu-central-1:123456789012:cluster/main"
    assert service.inputs["loadBalancers"][0]["containerPort"] == 9000
    rules = {each.inputs["priority"]: each.inputs for each in of(recording, "aws:lb/listenerRule:ListenerRule")}
    assert rules[45_000]["conditions"] == [{"pathPattern": {"values": ["/reports/*"]}}]
    assert rules[45_000]["listenerArn"] == rules[50_000]["listenerArn"]
    (image,) = [each for each in of(recording, "docker-build:index:Image") if each.name == "slipway-dev-reports"]
    assert image.inputs["tags"][0].startswith("registry/app:reports-")
    to_database = [name for _, name in own(recording) if name == "slipway-dev-reports-to-database-5433-in"]
    assert to_database, "the database lets the service in"


def test_a_transform_changes_the_resource_that_it_names_and_no_other(tmp_path: Path) -> None:
    recording = run(TRANSFORM, tmp_path)
    assert own(recording) == []
    days = {each.name: each.inputs["retentionInDays"] for each in of(recording, "aws:cloudwatch/logGroup:LogGroup")}
    assert {name for name, kept in days.items() if kept == 365} == {"slipway-dev-web-logs"}


@pytest.mark.parametrize("stack", STACKS)
def test_priorities_of_ones_own_rules_are_free(stack: str) -> None:
    taken = {rule.inputs["priority"] for rule in of(program(stack), "aws:lb/listenerRule:ListenerRule")}
    assert taken
    assert not taken & set(range(41_000, 49_999))


def test_a_folder_of_the_projects_own_replaces_one_image_of_the_kit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.from_files("dev")
    (tmp_path / "Pulumi.yaml").write_text("name: shop\n")
    own = tmp_path / "docker" / "cache"
    own.mkdir(parents=True)
    (own / "Dockerfile").write_text("FROM scratch\n")
    monkeypatch.chdir(tmp_path)
    sources = {
        name: kit_image_args(name, "debian", settings, registry=REGISTRY, hooks=None).source
        for name in ("cache", "database")
    }
    assert sources == {"cache": own, "database": ROOT / "docker" / "database"}
