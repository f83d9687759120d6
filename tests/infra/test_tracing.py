"""`tracing: true`: a collector beside each process that serves or works, and nothing else."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
import yaml

from infra import app_file
from infra.components import collector
from infra.components.endpoints import endpoints_of
from infra.errors import SlipwayError
from infra.graph import cost
from infra.local import base_images, environment
from infra.settings import ROOT, Settings
from tests.infra.program import plain, program, programmed
from tests.infra.recorder import Registered, of
from tests.infra.test_contract import reference_app

XRAY = "xray:PutTraceSegments"


@cache
def traced() -> list[Registered]:
    return programmed("dev", Settings.from_files("dev").model_copy(update={"tracing": True}))


def tasks(found: list[Registered]) -> dict[str, dict[str, dict[str, Any]]]:
    """Process -> its containers by name."""
    return {
        definition.inputs["family"].split("-", 2)[-1]: {
            container["name"]: container for container in json.loads(plain(definition.inputs["containerDefinitions"]))
        }
        for definition in of(found, "aws:ecs/taskDefinition:TaskDefinition")
    }


def test_each_process_has_a_collector_beside_it_which_it_outlives() -> None:
    made = tasks(traced())
    assert {process for process, containers in made.items() if collector.NAME in containers} == {"web", "worker"}
    for process in ("web", "worker"):
        own, beside = made[process][process], made[process][collector.NAME]
        assert list(made[process]) == [process, collector.NAME]  # the first is the one that serves
        told = {pair["name"]: pair["value"] for pair in own["environment"]}
        assert told["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"http://127.0.0.1:{collector.PORT}"
        assert told["OTEL_SERVICE_NAME"] == f"slipway-dev-{process}"
        assert float(told["OTEL_TRACES_SAMPLER_ARG"]) == 0.05
        assert own["dependsOn"] == [{"containerName": collector.NAME, "condition": "START"}]
        assert (own["essential"], beside["essential"]) == (True, False)
        assert (beside["secrets"], beside["mountPoints"], beside["readonlyRootFilesystem"]) == ([], [], True)
        assert beside["logConfiguration"]["options"]["awslogs-stream-prefix"] == collector.NAME


def test_a_stack_says_otherwise_in_its_environment() -> None:
    settings = Settings.from_files("dev")
    given = {"tracing": True, "environment": {**settings.environment, "OTEL_TRACES_SAMPLER_ARG": "1"}}
    made = tasks(programmed("dev", settings.model_copy(update=given)))
    assert {"name": "OTEL_TRACES_SAMPLER_ARG", "value": "1"} in made["web"]["web"]["environment"]


def test_its_tasks_may_send_traces_and_no_others() -> None:
    may = {
        policy.name.split("-", 2)[-1]
        for policy in of(traced(), "aws:iam/rolePolicy:RolePolicy")
        for statement in json.loads(plain(policy.inputs["policy"]))["Statement"]
        if statement["Action"] == XRAY
    }
    assert may == {"web-task", "worker-task"}


def test_without_it_there_is_neither() -> None:
    everything = json.dumps([plain(resource.inputs) for resource in program("dev")], default=str)
    assert "xray" not in everything
    assert "OTEL_" not in everything


def test_a_network_without_a_way_out_has_a_door_to_x_ray() -> None:
    settings = Settings.from_files("dev").model_copy(update={"interface_endpoints": True})
    assert "xray" in endpoints_of(settings.model_copy(update={"tracing": True}))
    assert "xray" not in endpoints_of(settings)


def test_the_bill_says_what_traces_cost() -> None:
    def what(found: list[Registered]) -> set[str]:
        return {line.what for line in cost.with_use(cost.Resource(r.type, r.name, r.inputs) for r in found)}

    assert what(traced()) - what(program("dev")) == {"traces that X-Ray keeps"}


def test_the_collectors_configuration_is_of_what_it_has_and_listens_where_processes_are_told() -> None:
    found = yaml.safe_load((ROOT / "docker" / "collector" / "collector.yaml").read_text())
    assert found["receivers"]["otlp"]["protocols"]["http"]["endpoint"] == f"127.0.0.1:{collector.PORT}"
    (pipeline,) = found["service"]["pipelines"].values()
    for kind, names in pipeline.items():
        assert set(names) == set(found[kind])


def test_a_machine_that_cannot_pull_the_collector_is_told_to_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.from_files("local").model_copy(update={"tracing": True})
    needed = set(environment._bases(app_file.load_app(settings), settings))
    (image,) = needed - set(base_images.STAND_INS)
    monkeypatch.setattr(base_images, "_label", lambda _: None)
    monkeypatch.setattr(base_images, "_pull", lambda _: "no network")
    with pytest.raises(SlipwayError, match=r"cannot be pulled(.|\n)*Set `tracing` to false"):
        base_images.ensure_base(image)


@reference_app
def test_the_apps_image_has_what_traces_it_where_the_app_has_that_as_an_extra() -> None:
    def extras(found: list[Registered]) -> str:
        (image,) = (r for r in of(found, "docker-build:index:Image") if r.name.endswith("-app"))
        return str(image.inputs["buildArgs"].get("EXTRAS", ""))

    settings = Settings.from_files("dev")
    of_the_reference_app = programmed("dev", settings.model_copy(update={"tracing": True}), app_file.APP_FILE)
    assert extras(of_the_reference_app) == "tracing"
    assert (extras(program("dev", app_file.APP_FILE)), extras(traced())) == ("", "")
