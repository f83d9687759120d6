"""Processes with an image of their own, in one environment with those of the app's image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slipway.program import process_images
from slipway.release.deployed_stack import DeployedStack
from tests.infra.recorder import of
from tests.infra.shapes import containers_of, run_app
from tests.infra.test_app_file import app, why

SEVERAL: dict[str, Any] = {
    "processes": {
        "web": {},
        "api": {"image": "python:3.11-slim", "command": "serve", "paths": ["/api/*"], "port": 7000},
        "beat": {"dockerfile": "../apps/sync_orm/Dockerfile", "source": "../apps/sync_orm"},
        "work": {"command": "work"},
    }
}


@pytest.mark.parametrize(
    ("process", "words"),
    [
        ({"image": "a", "dockerfile": "b", "command": "x"}, ["processes.own has image and dockerfile"]),
        ({"image": "a b"}, ["processes.own.image is 'a b'"]),
        ({"source": "app", "command": "x"}, ["processes.own.source", "dockerfile, which is missing"]),
        ({"dockerfile": "nowhere/Dockerfile"}, ["processes.own.dockerfile is 'nowhere/Dockerfile'", "no such file"]),
        (
            {"dockerfile": "../apps/sync_orm/Dockerfile", "source": "nowhere"},
            ["processes.own.source is 'nowhere'", "no such folder"],
        ),
        ({"command": "x", "port": 9000}, ["processes.own.port is 9000", "behind the load balancer"]),
    ],
)
def test_what_is_wrong_is_named_with_its_key(process: dict[str, Any], words: list[str]) -> None:
    told = why(processes={"web": {}, "own": process})
    assert [word for word in words if word not in told] == [], told


def test_web_runs_the_apps_image_because_promotion_and_rollback_deploy_it() -> None:
    told = why(processes={"web": {"image": "python:3.11-slim"}})
    assert "processes.web has an image of its own" in told
    assert "slipway promote" in told


def test_an_image_of_its_own_brings_its_command() -> None:
    found = app(**SEVERAL)
    assert [name for name, spec in found.processes.items() if spec.has_own_image] == ["api", "beat"]
    assert found.processes["beat"].command == ()


def test_each_image_is_built_and_each_process_runs_its_own() -> None:
    recording = run_app(SEVERAL)
    images = {made.name: made.inputs for made in of(recording, "docker-build:index:Image")}
    assert {"slipway-dev-app", "slipway-dev-api-image", "slipway-dev-beat-image"} <= set(images)
    assert images["slipway-dev-api-image"]["buildArgs"]["BASE_IMAGE"].startswith("python:3.11-slim")
    tags = {name: inputs["tags"][0] for name, inputs in images.items()}
    assert ":api-" in tags["slipway-dev-api-image"]
    assert ":beat-" in tags["slipway-dev-beat-image"]
    containers = containers_of(recording)
    assert containers["api"]["portMappings"] == [{"containerPort": 7000, "protocol": "tcp"}]
    assert {pair["name"]: pair["value"] for pair in containers["api"]["environment"]}["PORT"] == "7000"
    assert "command" not in containers["beat"]
    assert recording.exports["processImages"].keys() == {"api", "beat"}


def test_a_release_is_called_by_the_sources_that_its_process_is_built_from(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(process_images, "git_revision", lambda source: asked.append(source) or "abc")
    beat = {"dockerfile": "../apps/sync_orm/Dockerfile"}
    processes = SEVERAL["processes"] | {"tick": beat | {"source": ""}}
    run_app({"processes": processes})
    assert set(asked) == {"../apps/sync_orm", "../apps/bare"}, "the api has an image of somebody else's: no sources"


def test_rollback_and_promotion_go_by_the_apps_image_alone() -> None:
    services = {"api": "a", "beat": "b", "web": "w"}
    session: Any = None
    stack = DeployedStack(
        "dev", session, "cluster", services, {"processImages": {"api": "sha256:1", "beat": "sha256:2"}}
    )
    assert stack.app_services == {"web": "w"}
    assert replace(stack, outputs={}).app_services == services


def test_one_image_for_all_is_what_it_was() -> None:
    recording = run_app({})
    assert [made.name for made in of(recording, "docker-build:index:Image")] == ["slipway-dev-app"]
    assert "processImages" not in recording.exports
