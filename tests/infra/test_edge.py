"""The way in: TLS, names, the firewall, access logs."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from slipway.components.alias_record import AliasRecord, AliasRecordArgs
from slipway.components.certificate import DnsValidatedCertificate, DnsValidatedCertificateArgs
from slipway.components.cloudwatch_alarm import Alarm
from slipway.components.load_balancer import ApplicationLoadBalancer, ApplicationLoadBalancerArgs
from slipway.components.web_acl import MANAGED_RULE_GROUPS, RATE_LIMIT_RULE, RegionalWebAcl, RegionalWebAclArgs
from slipway.config.settings import Settings
from tests.infra.facts import NETWORK
from tests.infra.recorder import Registered, of, record
from tests.infra.test_settings import values
from tests.paths import ROOT

LISTENER = "aws:lb/listener:Listener"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"

SETTINGS = ROOT / "app" / "core" / "settings" / "groups.py"


def with_a_domain() -> list[Registered]:
    def build() -> None:
        certificate = DnsValidatedCertificate("x", DnsValidatedCertificateArgs("api.acme.test", "Z1"))
        balancer = ApplicationLoadBalancer(
            "x", ApplicationLoadBalancerArgs(NETWORK, domain="api.acme.test", certificate_arn=certificate.arn)
        )
        AliasRecord("x", AliasRecordArgs("api.acme.test", "Z1", balancer.outputs))
        RegionalWebAcl("x", RegionalWebAclArgs(balancer.arn, "arn:key", rate_limit=500))

    return record(build)


def without_a_domain() -> list[Registered]:
    return record(lambda: ApplicationLoadBalancer("x", ApplicationLoadBalancerArgs(NETWORK)))


def test_a_certificate_that_aws_does_not_renew_is_told_a_month_before_its_end() -> None:
    told: list[Alarm] = []
    record(lambda: told.extend(DnsValidatedCertificate("x", DnsValidatedCertificateArgs("api.acme.test", "Z1")).alarms))
    (alarm,) = told
    assert (alarm.namespace, alarm.metric, alarm.statistic) == ("AWS/CertificateManager", "DaysToExpiry", "Minimum")
    assert (alarm.less_than, alarm.greater_than, alarm.period_seconds, alarm.evaluation_periods) == (30, None, 86400, 1)
    assert list(alarm.dimensions) == ["CertificateArn"]


def test_with_a_certificate_http_is_only_a_way_to_get_to_https() -> None:
    http, https = sorted((r.inputs for r in of(with_a_domain(), LISTENER)), key=lambda given: given["port"])
    assert (http["port"], https["port"]) == (80, 443)
    assert http["defaultActions"][0]["redirect"] == {"port": "443", "protocol": "HTTPS", "statusCode": "HTTP_301"}
    assert https["certificateArn"] == "arn:aws:mock:::x-certificate"
    assert https["sslPolicy"].startswith(("ELBSecurityPolicy-TLS13-1-2-Res-", "ELBSecurityPolicy-TLS13-1-3-"))  # ELB.17
    assert https["defaultActions"][0]["fixedResponse"]["statusCode"] == "404"


def test_without_one_nothing_listens_on_443() -> None:
    found = without_a_domain()
    assert [r.inputs["port"] for r in of(found, LISTENER)] == [80]
    assert [r.inputs["fromPort"] for r in of(found, INGRESS)] == [80]
    assert {r.inputs["fromPort"] for r in of(with_a_domain(), INGRESS)} == {80, 443}


def test_the_domain_is_proved_in_its_zone_and_leads_to_the_load_balancer() -> None:
    found = with_a_domain()
    proof, alias = sorted((r.inputs for r in of(found, "aws:route53/record:Record")), key=lambda given: given["name"])
    assert (proof["name"], proof["type"], proof["zoneId"]) == ("_proof.api.example.com", "CNAME", "Z1")
    assert proof["records"] == ["_proof.acm-validations.aws"]
    assert (alias["name"], alias["type"], alias["zoneId"]) == ("api.acme.test", "A", "Z1")
    assert alias["aliases"][0]["name"] == "lb.example"
    (certificate,) = of(found, "aws:acm/certificate:Certificate")
    assert certificate.inputs == {"domainName": "api.acme.test", "validationMethod": "DNS"}


def test_the_firewall_limits_each_address_and_has_awss_rules() -> None:
    found = with_a_domain()
    (acl,) = of(found, "aws:wafv2/webAcl:WebAcl")
    rate, *managed = acl.inputs["rules"]
    assert rate["statement"]["rateBasedStatement"]["limit"] == 500
    assert rate["action"] == {"block": {}}
    assert [rule["statement"]["managedRuleGroupStatement"]["name"] for rule in managed] == [
        "AWSManagedRulesAmazonIpReputationList",
        "AWSManagedRulesCommonRuleSet",
        "AWSManagedRulesKnownBadInputsRuleSet",
        "AWSManagedRulesSQLiRuleSet",
    ]
    assert all(rule["overrideAction"] == {"none": {}} for rule in managed)
    assert len({rule["priority"] for rule in acl.inputs["rules"]}) == 5

    (association,) = of(found, "aws:wafv2/webAclAssociation:WebAclAssociation")
    assert association.inputs == {"resourceArn": "arn:aws:mock:::x-lb", "webAclArn": "arn:aws:mock:::x-waf"}


def test_the_firewalls_log_keeps_no_credentials() -> None:
    found = with_a_domain()
    (logging,) = of(found, "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration")
    hidden = {field["singleHeader"]["name"] for field in logging.inputs["redactedFields"]}
    assert hidden == {"authorization", "cookie"}
    assert any(group.name.startswith("aws-waf-logs-") for group in of(found, "aws:cloudwatch/logGroup:LogGroup"))


def test_what_is_not_http_is_dropped_before_it_reaches_a_task() -> None:  # ELB.4 and .12
    (balancer,) = of(without_a_domain(), "aws:lb/loadBalancer:LoadBalancer")
    assert balancer.inputs["dropInvalidHeaderFields"] is True
    assert balancer.inputs["desyncMitigationMode"] == "defensive"


def test_access_logs_go_to_a_private_bucket_that_lets_only_the_load_balancer_write() -> None:
    found = without_a_domain()
    (balancer,) = of(found, "aws:lb/loadBalancer:LoadBalancer")
    assert balancer.inputs["accessLogs"] == {"bucket": "x-access-logs", "enabled": True}
    assert "BucketPolicy x-access-logs" in balancer.depends_on  # AWS writes a test object when the logs are switched on
    (policy,) = of(found, "aws:s3/bucketPolicy:BucketPolicy")
    deny, allow = json.loads(policy.inputs["policy"])["Statement"]
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert allow["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    assert allow["Action"] == "s3:PutObject"
    assert allow["Resource"].endswith("/AWSLogs/123456789012/*")


@pytest.mark.parametrize("quiet", [RATE_LIMIT_RULE, *MANAGED_RULE_GROUPS])
def test_each_rule_may_only_count_while_the_others_block(quiet: str) -> None:
    made = record(lambda: RegionalWebAcl("x", RegionalWebAclArgs("arn:lb", "arn:key", count_only_rules=[quiet])))
    (acl,) = of(made, "aws:wafv2/webAcl:WebAcl")
    blocks: dict[str, Any] = {RATE_LIMIT_RULE: {"block": {}}} | {group: {"none": {}} for group in MANAGED_RULE_GROUPS}
    found = {rule["name"]: rule.get("action") or rule["overrideAction"] for rule in acl.inputs["rules"]}
    assert found == blocks | {quiet: {"count": {}}}


def test_every_rule_can_be_named_in_the_settings() -> None:
    rules = [RATE_LIMIT_RULE, *MANAGED_RULE_GROUPS]
    assert Settings.load(values("staging", wafCountOnly=rules), "x").waf_count_only == rules


@pytest.mark.skipif(not (ROOT / "app").is_dir(), reason="the reference app was removed")
def test_an_address_may_ask_ten_times_as_often_as_a_user_may() -> None:
    """A whole office, or a carrier's customers, come from one address."""
    found = re.search(r"rate_limit_per_minute: int = Field\(default=(\d+)", SETTINGS.read_text())
    assert found
    assert Settings.from_files("prod").waf_rate_limit >= 10 * 5 * int(found[1])
