"""What serves is held to the digest that was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.release.rollout import ExpectedService
from slipway.release.running_state import running_digests

ASKED, OTHER = "sha256:asked", "sha256:other"


class Tasks:
    """Clients of a service whose running tasks have these digests; the one that is about to stop has any."""

    def __init__(self, *digests: str) -> None:
        self.digests = digests

    def client(self, service: str) -> Any:
        return self

    def describe_task_definition(self, taskDefinition: str) -> Any:
        return {"taskDefinition": {"containerDefinitions": [{"name": "web", "image": f"shop@{ASKED}"}]}}

    def get_paginator(self, call: str) -> Any:
        pages = {"RUNNING": [{"taskArns": list(self.digests)}], "STOPPED": [{"taskArns": ["leaving"]}]}
        return type("Paginator", (), {"paginate": lambda _, desiredStatus, **given: pages[desiredStatus]})()

    def describe_tasks(self, cluster: str, tasks: list[str]) -> Any:
        def task(digest: str) -> dict[str, Any]:
            wanted = "STOPPED" if digest == "leaving" else "RUNNING"
            containers = [{"name": "web", "imageDigest": digest}]
            return {"taskArn": "t/1", "lastStatus": "RUNNING", "desiredStatus": wanted, "containers": containers}

        return {"tasks": [task(digest) for digest in tasks]}


def running(*digests: str) -> dict[str, str]:
    account: Any = Tasks(*digests)
    return running_digests(account, ExpectedService("cluster", "web", "web:2"))


def test_a_task_that_runs_another_digest_is_no_success() -> None:
    assert running(ASKED, ASKED) == {"web": ASKED}
    with pytest.raises(SlipwayError, match=f"web in task 1 runs {OTHER}, and its definition has {ASKED}"):
        running(ASKED, OTHER)
    with pytest.raises(SlipwayError, match="an unknown digest"):
        running("")
