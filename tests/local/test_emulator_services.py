"""What a rolling deployment depends on and ministack does not do: target health, draining, circuit breaker."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.local.conftest import source, until
from tests.local.site import Load, Site

pytestmark = pytest.mark.e2e
Aws = Callable[[str], Any]


def test_a_target_gets_traffic_after_its_first_success_only(site: Site) -> None:
    site.serve(site.define(READY_AFTER="6"), grace=30)
    until(lambda: site.states() == ["initial"])
    assert site.get()[0] == 503
    assert site.service()["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    site.steady()
    assert site.states() == ["healthy"]
    assert site.get() == (200, "1")


def test_an_update_loses_no_request_and_drains_the_old_revision(site: Site) -> None:
    site.serve(site.define(VERSION="1"), count=2, grace=30)
    site.steady()
    with Load(site) as load:
        site.update(site.define(VERSION="2", READY_AFTER="4"))
        until(lambda: "draining" in site.states())
        site.steady()
    assert load.failed() == []
    assert {answer[1] for answer in load.answers} == {"1", "2"}
    assert site.get() == (200, "2")


def test_failing_health_checks_are_rolled_back_and_the_old_revision_serves_on(site: Site) -> None:
    good = site.define(VERSION="1")
    site.serve(good)
    site.steady()
    with Load(site) as load:
        site.update(site.define(VERSION="2", READY_AFTER="9999"))
        until(lambda: site.service()["taskDefinition"] == good and not failing(site), 150)
        site.steady()
    assert load.failed() == []
    assert site.service()["deployments"][0]["taskDefinition"] == good


def failing(site: Site) -> bool:
    return any(d["rolloutState"] == "FAILED" for d in site.service()["deployments"])


def test_another_port_is_the_new_tasks_own_and_the_old_ones_serve_on_theirs(site: Site) -> None:
    site.serve(site.define(VERSION="1"), count=2, grace=30)
    site.steady()
    with Load(site) as load:
        site.update(site.define(VERSION="2", READY_AFTER="3", port=8100), loadBalancers=site.behind(8100))
        until(lambda: "draining" in site.states())
        site.steady()
        site.update(site.define(VERSION="3", READY_AFTER="3"), loadBalancers=site.behind(8000))
        site.steady()
    assert load.failed() == []
    assert {answer[1] for answer in load.answers} == {"1", "2", "3"}


def test_a_roll_back_from_a_crash_with_another_port_has_the_old_port_back(site: Site) -> None:
    good = site.define(VERSION="1")
    site.serve(good, count=2)
    site.steady()
    with Load(site) as load:
        site.update(site.define(program=CRASHES, port=8100), loadBalancers=site.behind(8100))
        assert site.ended()["status"] == "ROLLBACK_SUCCESSFUL"
        site.steady()
    assert load.failed() == []
    assert site.service()["loadBalancers"] == site.behind(8000)
    assert site.service()["taskDefinition"] == good
    site.ecs.update_service(cluster=site.cluster, service="web", desiredCount=3)
    until(lambda: site.states() == ["healthy"] * 3)


CRASHES = "import time; time.sleep(1); raise SystemExit(3)"


def test_a_crash_loop_is_rolled_back(site: Site) -> None:
    good = site.define()
    site.serve(good)
    site.steady()
    site.update(site.define(program="import time; time.sleep(3); raise SystemExit(3)"))
    until(lambda: any("rolling back" in event["message"] for event in site.service()["events"]), 120)
    site.steady()
    assert site.service()["taskDefinition"] == good


def test_an_update_during_a_failing_one_wins(site: Site) -> None:
    site.serve(site.define(VERSION="1"))
    site.steady()
    site.update(site.define(VERSION="2", READY_AFTER="9999"))
    until(lambda: len(site.states()) == 2)
    site.update(site.define(VERSION="3"))
    site.steady()
    assert site.get() == (200, "3")


def test_a_first_deployment_without_a_way_back_ends_as_failed(site: Site) -> None:
    site.serve(site.define(program="raise SystemExit(1)"))
    until(lambda: failing(site), 120)
    assert "circuit breaker" in site.service()["deployments"][0]["rolloutStateReason"]


def test_a_custom_domain_is_routed_to_its_load_balancer(site: Site, aws: Aws) -> None:
    site.serve(site.define())
    site.steady()
    zone = aws("route53").create_hosted_zone(Name="example.org", CallerReference=site.name)["HostedZone"]["Id"]
    alias = {"HostedZoneId": "Z35SXDOTRQ7X7K", "DNSName": site.dns_name, "EvaluateTargetHealth": True}
    record = {"Name": "api.example.org", "Type": "A", "AliasTarget": alias}
    changes = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    aws("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=changes)
    assert site.get(host="api.example.org") == (200, "1")


def socket_to(site: Site, path: str) -> ClientConnection:
    return connect(
        f"ws://{site.name}.alb.localhost:{site.port}{path}",
        sock=socket.create_connection(("127.0.0.1", site.port)),
        subprotocols=["chat"],  # type: ignore[list-item]  # any text is one
        additional_headers={"Cookie": "session=1"},
        proxy=None,
        max_size=None,
    )


def test_a_websocket_passes_the_load_balancer(site: Site) -> None:
    site.serve(site.define(program=source("echo.py")), grace=30)
    site.steady()
    with socket_to(site, "/ws?room=7") as chat:
        assert chat.subprotocol == "chat"
        told = str(chat.recv())
        assert "/ws?room=7" in told
        assert "session=1" in told
        assert "127.0.0.1" in told, "X-Forwarded-For"
        chat.send("text")
        assert chat.recv() == "text"
        chat.send(b"x" * 3_000_000)
        assert chat.recv() == b"x" * 3_000_000
        chat.send("close")
        with pytest.raises(Exception, match="4001"):
            chat.recv()
    with pytest.raises(InvalidStatus, match="403"):
        socket_to(site, "/forbidden")


def test_a_websocket_without_a_healthy_target_is_answered_as_a_request_is(site: Site) -> None:
    site.serve(site.define(READY_AFTER="9999"), grace=60)
    until(lambda: site.states() == ["initial"])
    with pytest.raises(InvalidStatus, match="503"):
        socket_to(site, "/ws")


def test_two_rules_of_a_listener_have_not_the_same_priority(site: Site) -> None:
    site.serve(site.define())

    def rule(priority: int) -> str:
        made = site.elb.create_rule(
            ListenerArn=site.listener,
            Priority=priority,
            Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": ["a.test"]}}],
            Actions=[{"Type": "forward", "TargetGroupArn": site.group}],
        )
        return str(made["Rules"][0]["RuleArn"])

    first = rule(7)
    second = rule(8)
    with pytest.raises(ClientError, match=r"PriorityInUse.*'7' is currently in use"):
        rule(7)
    with pytest.raises(ClientError, match="PriorityInUse"):
        site.elb.set_rule_priorities(RulePriorities=[{"RuleArn": second, "Priority": 7}])
    swapped = [{"RuleArn": first, "Priority": 8}, {"RuleArn": second, "Priority": 7}]
    site.elb.set_rule_priorities(RulePriorities=swapped)
    site.elb.delete_rule(RuleArn=second)
    rule(7)
