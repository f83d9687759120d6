"""`tracing: true`: a collector beside each process that serves or works, and nothing else."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
import yaml

from slipway.components import otel_collector
from slipway.config.app_spec import loader
from slipway.config.errors import SlipwayError
from slipway.config.settings import Settings
from slipway.graph import cost
from slipway.program.component_args.network import select_interface_endpoints
from slipway_local import base_images, up_down
from tests.infra.program import plain, program, programmed, reference_app_file
from tests.infra.recorder import Registered, of
from tests.infra.test_contract import reference_app
from tests.paths import ROOT

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
    assert {process for process, containers in made.items() if otel_collector.CONTAINER_NAME in containers} == {
        "web",
        "worker",
    }
    for process in ("web", "worker"):
        own, beside = made[process][process], made[process][otel_collector.CONTAINER_NAME]
        assert list(made[process]) == [process, otel_collector.CONTAINER_NAME]  # the first is the one that serves
        told = {pair["name"]: pair["value"] for pair in own["environment"]}
        assert told["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"http://127.0.0.1:{otel_collector.OTLP_HTTP_PORT}"
        assert told["OTEL_SERVICE_NAME"] == f"slipway-dev-{process}"
        assert float(told["OTEL_TRACES_SAMPLER_ARG"]) == 0.05
        assert own["dependsOn"] == [{"containerName": otel_collector.CONTAINER_NAME, "condition": "START"}]
        assert (own["essential"], beside["essential"]) == (True, False)
        assert (beside["secrets"], beside["mountPoints"], beside["readonlyRootFilesystem"]) == ([], [], True)
        assert beside["logConfiguration"]["options"]["awslogs-stream-prefix"] == otel_collector.CONTAINER_NAME


def test_a_stack_says_otherwise_in_its_environment() -> None:
    settings = Settings.from_files("dev")
    given = {"tracing": True, "environment": {**settings.environment, "OTEL_TRACES_SAMPLER_ARG": "1"}}
    made = tasks(programmed("dev", settings.model_copy(update=given)))
    assert {"name": "OTEL_TRACES_SAMPLER_ARG", "value": "1"} in made["web"]["web"]["environment"]


def test_its_tasks_may_send_traces_and_no_others() -> None:
    may = {
        policy.inputs["role"].removesuffix("-id").split("-", 2)[-1]
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
    assert "xray" in select_interface_endpoints(settings.model_copy(update={"tracing": True}))
    assert "xray" not in select_interface_endpoints(settings)


def test_the_bill_says_what_traces_cost() -> None:
    def what(found: list[Registered]) -> set[str]:
        return {
            line.what for line in cost.list_usage_prices(cost.PricedResource(r.type, r.name, r.inputs) for r in found)
        }

    assert what(traced()) - what(program("dev")) == {"traces that X-Ray keeps"}


def test_the_collectors_configuration_is_of_what_it_has_and_listens_where_processes_are_told() -> None:
    found = yaml.safe_load((ROOT / "docker" / "collector" / "collector.yaml").read_text())
    assert found["receivers"]["otlp"]["protocols"]["http"]["endpoint"] == f"127.0.0.1:{otel_collector.OTLP_HTTP_PORT}"
    (pipeline,) = found["service"]["pipelines"].values()
    for kind, names in pipeline.items():
        assert set(names) == set(found[kind])


def test_a_machine_that_cannot_pull_the_collector_is_told_to_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.from_files("local").model_copy(update={"tracing": True})
    needed = set(up_down._required_base_images(loader.load_app(settings), settings))
    (image,) = needed - set(base_images.STAND_INS)
    monkeypatch.setattr(base_images, "_read_recipe_label", lambda _: None)
    monkeypatch.setattr(base_images, "_pull_image", lambda _: "no network")
    with pytest.raises(SlipwayError, match=r"cannot be pulled(.|\n)*Set `tracing` to false"):
        base_images.ensure_base_image(image)


@reference_app
def test_the_apps_image_has_what_traces_it_where_the_app_has_that_as_an_extra() -> None:
    def extras(found: list[Registered]) -> str:
        (image,) = (r for r in of(found, "docker-build:index:Image") if r.name.endswith("-app"))
        return str(image.inputs["buildArgs"].get("EXTRAS", ""))

    settings = Settings.from_files("dev")
    of_the_reference_app = programmed("dev", settings.model_copy(update={"tracing": True}), reference_app_file())
    assert extras(of_the_reference_app) == "tracing"
    assert (extras(program("dev", reference_app_file())), extras(traced())) == ("", "")
