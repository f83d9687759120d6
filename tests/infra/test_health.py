"""Health checks and request time-outs of other apps: from stacks/app.yaml to what ECS and the load balancer get."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.config.app_spec.app import AppSpec
from tests.infra.recorder import of
from tests.infra.test_app_file import app, why

WORKER = {"command": "python -m jobs", "health": {"command": "python -m jobs.alive", "interval": 30, "timeout": 20}}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"health": {"timeout": 6}}, ["health.timeout is 6 and health.interval is 6", "interval to 7"]),
        ({"health": {"interval": 4}}, ["health.interval", "greater than or equal to 5"]),
        ({"health": {"failures": 1}}, ["health.failures", "greater than or equal to 2"]),
        ({"health": {"statuses": "500"}}, ["health.statuses is '500'", "200 to 399"]),
        ({"health": {"statuses": "399-200"}}, ["the range 399-200 ends before it begins"]),
        ({"health": {"startSecond": 5}}, ["health.startSecond: there is no such key", "startSeconds"]),
        ({"processes": {"web": {"health": {"timeout": 9}}}}, ["health.timeout is 9", "health.interval is 6"]),
        ({"processes": {"web": {}, "work": {"command": "x", "health": {}}}}, ["processes.work.health has no command"]),
        (
            {
                "processes": {
                    "web": {},
                    "night": {"command": "x", "schedule": "rate(1 day)", "health": {"command": "y"}},
                }
            },
            ["processes.night.health", "Remove health"],
        ),
        ({"requestTimeout": 59}, ["requestTimeout is 59", "greater than or equal to 60"]),
        (
            {"requestTimeout": 300, "processes": {"web": {"command": "uvicorn a:b --timeout-keep-alive 75"}}},
            [
                "--timeout-keep-alive 75",
                "requestTimeout is 300: the load balancer keeps idle",
                "for 300 s, and",
                "to 315",
            ],
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_key_and_the_limit(given: dict[str, Any], words: list[str]) -> None:
    told = why(**given)
    assert [word for word in words if word not in told] == [], told


def test_a_process_has_the_apps_health_with_its_own_keys() -> None:
    found = app(
        health={"live": "/a", "failures": 3},
        processes={"web": {}, "api": {"command": "x", "paths": ["/api/*"], "health": {"live": "/b"}}},
    )
    assert (found.health_of("web").live, found.health_of("web").failures) == ("/a", 3)
    assert (found.health_of("api").live, found.health_of("api").failures) == ("/b", 3)


def test_one_status_may_be_written_as_a_number() -> None:
    assert AppSpec.model_validate({"module": "a:b", "health": {"statuses": 204}}).health.statuses == "204"


def test_every_limit_reaches_the_load_balancer_and_the_containers() -> None:
    from tests.infra.shapes import containers_of, run_app

    given = {
        "health": {
            "live": "/l",
            "ready": "/r",
            "startSeconds": 90,
            "interval": 20,
            "timeout": 10,
            "failures": 3,
            "statuses": "200-399",
        },
        "requestTimeout": 300,
        "processes": {"web": {}, "work": WORKER},
    }
    states = run_app(given)
    (group,) = of(states, "aws:lb/targetGroup:TargetGroup")
    assert group.inputs["healthCheck"] == {
        "path": "/r", "interval": 20, "timeout": 10, "healthyThreshold": 2, "unhealthyThreshold": 3,
        "matcher": "200-399",
    }  # fmt: skip
    assert group.inputs["deregistrationDelay"] == 100
    (balancer,) = of(states, "aws:lb/loadBalancer:LoadBalancer")
    assert balancer.inputs["idleTimeout"] == 300
    web, work = containers_of(states)["web"], containers_of(states)["work"]
    timing = {key: value for key, value in web["healthCheck"].items() if key != "command"}
    assert timing == {"interval": 19, "timeout": 20, "retries": 3, "startPeriod": 90}
    assert work["healthCheck"] == {
        "command": ["CMD", "python", "-m", "jobs.alive"], "interval": 30, "timeout": 20, "retries": 3,
        "startPeriod": 90,
    }  # fmt: skip
    variables = {pair["name"]: pair["value"] for pair in web["environment"]}
    assert (variables["KEEPALIVE"], variables["REQUEST_TIMEOUT"], variables["GRACEFUL_TIMEOUT"]) == (
        "315",
        "300",
        "105",
    )
    assert web["stopTimeout"] == 120
    (service,) = (made for made in of(states, "aws:ecs/service:Service") if made.name.endswith("-web"))
    assert service.inputs["healthCheckGracePeriodSeconds"] == 90
