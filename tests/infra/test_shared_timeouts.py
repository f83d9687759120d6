"""What old and new tasks share gets longer before a rollout, and shorter after it."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.release.shared_timeouts import set_shared_timeout

QUEUE = "https://sqs.example/jobs"
BALANCER = "arn:aws:elasticloadbalancing:r:1:loadbalancer/app/web/1"
TARGETS = "arn:aws:elasticloadbalancing:::targetgroup/web"


class FakeAws:
    """A queue and a target group with one time-out each."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self.set: list[str] = []

    def client(self, _: str) -> FakeAws:
        return self

    def get_queue_attributes(self, **_: Any) -> Any:
        return {"Attributes": {"VisibilityTimeout": str(self.seconds)}}

    def set_queue_attributes(self, QueueUrl: str, Attributes: dict[str, str]) -> None:
        self.set.append(Attributes["VisibilityTimeout"])

    def describe_target_group_attributes(self, **_: Any) -> Any:
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": str(self.seconds)}
        return {"Attributes": [{"Key": "stickiness.enabled", "Value": "false"}, delay]}

    def modify_target_group_attributes(self, TargetGroupArn: str, Attributes: list[dict[str, str]]) -> None:
        self.set.append(Attributes[0]["Value"])

    def describe_load_balancer_attributes(self, **_: Any) -> Any:
        return {"Attributes": [{"Key": "idle_timeout.timeout_seconds", "Value": str(self.seconds)}]}

    def modify_load_balancer_attributes(self, LoadBalancerArn: str, Attributes: list[dict[str, str]]) -> None:
        self.set.append(Attributes[0]["Value"])


@pytest.mark.parametrize("resource", [QUEUE, TARGETS, BALANCER])
@pytest.mark.parametrize(
    ("current", "wanted", "before", "after"),
    [(150, 900, ["900"], ["900"]), (900, 150, [], ["150"]), (150, 150, [], [])],
)
def test_longer_is_set_before_and_shorter_after(
    resource: str, current: int, wanted: int, before: list[str], after: list[str]
) -> None:
    for only_raise, expected in ((True, before), (False, after)):
        aws: Any = FakeAws(current)
        said: list[str] = []
        set_shared_timeout(aws, resource, wanted, said.append, only_raise=only_raise)
        assert aws.set == expected
        assert len(said) == len(expected)
