"""An update of an environment never strands the previews on it."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from botocore.exceptions import ClientError

from slipway.config.errors import SlipwayError
from slipway.release import pre_deploy_hooks
from slipway.release.preview_guard import PreviewSettings, check_previews_fit

LISTENER = "arn:aws:elasticloadbalancing:r:1:listener-rule/app/lb/1/2"
NOW = PreviewSettings(enabled=True, domain="preview.example.com", database_port=5432, limit=5)


class Account:
    """The previews pr-1 and pr-2 on dev; pr-3 has gone, and its tags are still listed."""

    def __init__(self, domain: str = "preview.example.com", *, none: bool = False) -> None:
        self.domain = domain
        self.stacks = [] if none else ["pr-1", "pr-2", "pr-3"]
        self.calls: list[str] = []
        self.denied = False
        self.exceptions = type("Exceptions", (), {"RuleNotFoundException": KeyError})

    def client(self, service: str) -> Account:
        return self

    def get_paginator(self, call: str) -> Any:
        def paginate(TagFilters: Any, ResourceTypeFilters: list[str]) -> Any:
            self.calls.append(ResourceTypeFilters[0])
            if self.denied:
                raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetResources")
            assert TagFilters == [{"Key": "base", "Values": ["shop-dev"]}, {"Key": "kind", "Values": ["preview"]}]
            prefix = "arn:aws:ecs:r:1:service/main" if ResourceTypeFilters == ["ecs:service"] else LISTENER
            return [{"ResourceTagMappingList": [self._entry(f"{prefix}/{stack}", stack) for stack in self.stacks]}]

        return type("Paginator", (), {"paginate": staticmethod(paginate)})()

    def _entry(self, arn: str, stack: str) -> Any:
        return {"ResourceARN": arn, "Tags": [{"Key": "stack", "Value": f"shop-{stack}"}]}

    def describe_services(self, cluster: str, services: list[str]) -> Any:
        network = {"awsvpcConfiguration": {"securityGroups": ["sg-1"]}}
        return {
            "services": [
                {
                    "serviceArn": arn,
                    "status": "INACTIVE" if arn.endswith("pr-3") else "ACTIVE",
                    "networkConfiguration": network,
                }
                for arn in services
            ]
        }

    def describe_rules(self, RuleArns: list[str]) -> Any:
        (arn,) = RuleArns
        stack = arn.rsplit("/", 1)[-1]
        if stack == "pr-3":
            raise KeyError(arn)
        hosts = {"Field": "host-header", "HostHeaderConfig": {"Values": [f"{stack}.{self.domain}"]}}
        return {"Rules": [{"Conditions": [hosts]}]}

    def describe_load_balancers(self, LoadBalancerArns: list[str]) -> Any:
        assert LoadBalancerArns == ["arn:aws:elasticloadbalancing:r:1:loadbalancer/app/lb/1"]
        return {"LoadBalancers": [{"LoadBalancerName": "lb"}]}

    def describe_security_group_rules(self, Filters: Any) -> Any:
        assert Filters == [{"Name": "group-id", "Values": ["sg-1"]}]
        rules = [(True, "0.0.0.0/0", 443), (True, "0.0.0.0/0", 5432), (False, "0.0.0.0/0", 9), (True, "10.0.0.0/8", 8)]
        return {
            "SecurityGroupRules": [
                {"IsEgress": egress, "CidrIpv4": cidr, "FromPort": port} for egress, cidr, port in rules
            ]
        }


def check(account: Any, settings: PreviewSettings) -> None:
    check_previews_fit(account, "shop", "dev", settings)


def test_settings_that_fit_are_let_through() -> None:
    check(Account(), NOW)
    check(Account(), PreviewSettings(enabled=True, domain=NOW.domain, database_port=5432, limit=2))
    check(Account("lb.eu.elb.amazonaws.com"), PreviewSettings(enabled=True, domain="", database_port=5432, limit=5))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (PreviewSettings(enabled=False, domain="", database_port=0, limit=5), "previews is false"),
        (PreviewSettings(enabled=True, domain="other.example.com", database_port=5432, limit=5),
         "previewDomain is other.example.com, and their host names are below preview.example.com"),
        (PreviewSettings(enabled=True, domain="", database_port=5432, limit=5), "previewDomain is empty"),
        (PreviewSettings(enabled=True, domain=NOW.domain, database_port=0, limit=5), "port 5432"),
        (PreviewSettings(enabled=True, domain=NOW.domain, database_port=5432, limit=1), "is 1, and 2 previews exist"),
    ],
)  # fmt: skip
def test_what_would_strand_a_preview_is_refused_with_how_to_go_on(settings: PreviewSettings, told: str) -> None:
    with pytest.raises(SlipwayError, match=r"dev has 2 previews \(pr-1, pr-2\)") as refused:
        check(Account(), settings)
    assert told in refused.value.message
    assert "slipway preview reap --base dev" in refused.value.fix


def test_an_environment_without_previews_is_asked_for_once() -> None:
    account = Account(none=True)
    check(account, PreviewSettings(enabled=False, domain="", database_port=0, limit=1))
    assert account.calls == ["ecs:service"]


def test_the_program_stops_and_what_cannot_be_asked_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account()
    said: list[str] = []
    monkeypatch.setattr(pre_deploy_hooks, "_open_preflight_session", lambda: account)
    monkeypatch.setattr(pulumi, "get_project", lambda: "shop")
    monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")
    monkeypatch.setattr(pulumi.log, "info", said.append)
    off = PreviewSettings(enabled=False, domain="", database_port=0, limit=5)
    with pytest.raises(pulumi.RunError, match="this update would break them"):
        pre_deploy_hooks.refuse_to_strand_previews(off)
    account.denied = True
    pre_deploy_hooks.refuse_to_strand_previews(off)
    assert "AWS denied GetResources" in said[0]
