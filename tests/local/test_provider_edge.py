"""What stands before the application: certificate, DNS, HTTPS, web ACL, flow log, OIDC. Made, kept, mended, gone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from slipway_local.provider.resource_type import ProviderContext, UnsupportedOperation
from slipway_local.provider.types import RESOURCE_TYPES
from tests.local.engine_stack import Stack

pytestmark = pytest.mark.e2e
Aws = Callable[[str], Any]
PROOF = ("_acme-challenge.app.example.test.", "CNAME")
TEXT = ("app.example.test.", "TXT")
ISSUER = "token.actions.githubusercontent.com"
PROGRAM = """
zone = "%(zone)s"
vpc = aws.ec2.Vpc("v", cidr_block="10.0.0.0/16")
subnets = [
    aws.ec2.Subnet(f"s{letter}", vpc_id=vpc.id, cidr_block=f"10.0.{n}.0/24", availability_zone=f"us-east-1{letter}")
    for n, letter in enumerate("ab")
]
logs = aws.cloudwatch.LogGroup("logs")
role = aws.iam.Role("role", assume_role_policy='{"Version": "2012-10-17", "Statement": []}')
aws.ec2.FlowLog(
    "flow-log",
    vpc_id=vpc.id,
    traffic_type="%(traffic)s",
    log_destination=logs.arn,
    iam_role_arn=role.arn,
    tags={"Name": "rejected"},
)
aws.iam.OpenIdConnectProvider("oidc", url="https://%(issuer)s", client_id_lists=%(clients)s)
key = aws.kms.Key("k")
aws.ecr.Repository("repository", encryption_configurations=[{"encryption_type": "KMS", "kms_key": key.arn}])

certificate = aws.acm.Certificate(
    "certificate",
    domain_name="app.example.test",
    subject_alternative_names=["*.app.example.test"],
    validation_method="DNS",
)
option = certificate.domain_validation_options[0]
proof = aws.route53.Record(
    "proof",
    zone_id=zone,
    name=option.resource_record_name,
    type=option.resource_record_type,
    records=[option.resource_record_value],
    ttl=60,
    allow_overwrite=True,
)
issued = aws.acm.CertificateValidation("issued", certificate_arn=certificate.arn, validation_record_fqdns=[proof.fqdn])


def answer(code):
    return {"type": "fixed-response", "fixed_response": {"content_type": "text/plain", "status_code": code}}


balancer = aws.lb.LoadBalancer(
    "lb", subnets=[s.id for s in subnets], access_logs={"bucket": "logs", "prefix": "lb", "enabled": True}
)
aws.route53.Record(
    "name",
    zone_id=zone,
    name="app",
    type="A",
    aliases=[{"name": balancer.dns_name, "zone_id": balancer.zone_id, "evaluate_target_health": True}],
)
aws.route53.Record("txt", zone_id=zone, name="app.example.test", type="TXT", records=["owner=probe"], ttl=300)
aws.lb.Listener(
    "http",
    load_balancer_arn=balancer.arn,
    port=80,
    default_actions=[
        {"type": "redirect", "redirect": {"port": "443", "protocol": "HTTPS", "status_code": "HTTP_301"}}
    ],
)
listener = aws.lb.Listener(
    "https",
    load_balancer_arn=balancer.arn,
    port=443,
    protocol="HTTPS",
    certificate_arn=issued.certificate_arn,
    ssl_policy="%(policy)s",
    default_actions=[answer("404")],
)
aws.lb.ListenerCertificate("wildcard", listener_arn=listener.arn, certificate_arn=issued.certificate_arn)
aws.acm.Certificate("wildcard", domain_name="*.preview.example.test", validation_method="DNS")
aws.route53.Record(
    "wildcard",
    zone_id=zone,
    name="*.preview.example.test",
    type="A",
    aliases=[{"name": balancer.dns_name, "zone_id": balancer.zone_id, "evaluate_target_health": True}],
)
aws.lb.ListenerRule(
    "host",
    listener_arn=listener.arn,
    priority=9,
    conditions=[{"host_header": {"values": ["*.preview.example.test"]}}],
    actions=[answer("404")],
)
aws.lb.ListenerRule(
    "rule",
    listener_arn=listener.arn,
    priority=10,
    conditions=[{"path_pattern": {"values": ["/metrics"]}}],
    actions=[answer("403")],
)


def seen(name):
    return {"cloudwatch_metrics_enabled": True, "metric_name": name, "sampled_requests_enabled": True}


acl = aws.wafv2.WebAcl(
    "acl",
    scope="REGIONAL",
    default_action={"allow": {}},
    visibility_config=seen("acl"),
    rules=[
        {
            "name": "common",
            "priority": 0,
            "override_action": {"none": {}},
            "statement": {
                "managed_rule_group_statement": {
                    "name": "AWSManagedRulesCommonRuleSet",
                    "vendor_name": "AWS",
                    "rule_action_overrides": [{"name": "SizeRestrictions_BODY", "action_to_use": {"count": {}}}],
                }
            },
            "visibility_config": seen("common"),
        },
        {
            "name": "rate",
            "priority": 1,
            "action": {"block": {}},
            "statement": {
                "rate_based_statement": {"limit": %(limit)s, "aggregate_key_type": "IP", "evaluation_window_sec": 300}
            },
            "visibility_config": seen("rate"),
        },
        {
            "name": "injections",
            "priority": 2,
            "override_action": {"none": {}},
            "statement": {
                "managed_rule_group_statement": {
                    "name": "AWSManagedRulesSQLiRuleSet",
                    "vendor_name": "AWS",
                    "rule_action_overrides": [],
                }
            },
            "visibility_config": seen("injections"),
        },
    ],
)
aws.wafv2.WebAclAssociation("acl-link", resource_arn=balancer.arn, web_acl_arn=acl.arn)
aws.wafv2.WebAclLoggingConfiguration("acl-logs", resource_arn=acl.arn, log_destination_configs=[logs.arn])
"""
FIRST = {
    "issuer": ISSUER,
    "traffic": "REJECT",
    "clients": ["sts.amazonaws.com"],
    "policy": "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
    "limit": 2000,
}
SECOND = FIRST | {
    "traffic": "ALL",
    "clients": ["sts.amazonaws.com", "other"],
    "policy": "ELBSecurityPolicy-TLS13-1-3-2021-06",
    "limit": 1000,
}


@pytest.fixture
def zone(aws: Aws) -> Iterator[str]:
    """A hosted zone that is there already, as a bought domain's is; it can only go when it is empty."""
    dns = aws("route53")
    id = dns.create_hosted_zone(Name="example.test", CallerReference="edge")["HostedZone"]["Id"].rsplit("/", 1)[-1]
    yield id
    dns.delete_hosted_zone(Id=id)


@pytest.fixture
def edge(zone: str, stack: Stack) -> Stack:
    """All of it, brought up."""
    stack.run("config", "set", "aws:defaultTags", json.dumps({"tags": {"project": "probe"}}), "--stack", "probe")
    stack.program(PROGRAM % (FIRST | {"zone": zone}))
    stack.up()
    return stack


def web_acl(edge: Stack, aws: Aws) -> Any:
    """The web ACL with its lock token."""
    outputs = edge.resource("acl")["outputs"]
    return aws("wafv2").get_web_acl(Id=edge.resource("acl")["id"], Name=outputs["name"], Scope="REGIONAL")


def listener(edge: Stack, aws: Aws) -> Any:
    return aws("elbv2").describe_listeners(ListenerArns=[edge.resource("https")["id"]])["Listeners"][0]


def flow_log(edge: Stack, aws: Aws) -> Any:
    return aws("ec2").describe_flow_logs(FlowLogIds=[edge.resource("flow-log")["id"]])["FlowLogs"][0]


def records(zone: str, aws: Aws) -> dict[tuple[str, str], Any]:
    found = aws("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return {(record["Name"], record["Type"]): record for record in found if record["Type"] not in ("NS", "SOA")}


def change_by_hand(edge: Stack, zone: str, aws: Aws) -> None:
    """Someone at the console: one change of each kind."""
    proof = records(zone, aws)[PROOF] | {"ResourceRecords": [{"Value": "elsewhere.example.test."}]}
    text = records(zone, aws)[TEXT]
    changes = [{"Action": "UPSERT", "ResourceRecordSet": proof}, {"Action": "DELETE", "ResourceRecordSet": text}]
    aws("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
    found = web_acl(edge, aws)
    acl = found["WebACL"]
    token = found["LockToken"]
    acl["Rules"][1]["Action"] = {"Count": {}}
    quiet = {"Name": "SQLi_BODY", "ActionToUse": {"Count": {}}}
    acl["Rules"][2]["Statement"]["ManagedRuleGroupStatement"]["RuleActionOverrides"] = [quiet]
    kept = {key: acl[key] for key in ("Id", "Name", "Rules", "DefaultAction", "VisibilityConfig")}
    aws("wafv2").update_web_acl(**kept, Scope="REGIONAL", LockToken=token)
    balancer = edge.resource("lb")["id"]
    aws("wafv2").disassociate_web_acl(ResourceArn=balancer)
    off = [{"Key": "access_logs.s3.enabled", "Value": "false"}]
    aws("elbv2").modify_load_balancer_attributes(LoadBalancerArn=balancer, Attributes=off)
    aws("elbv2").modify_listener(ListenerArn=edge.resource("https")["id"], SslPolicy="ELBSecurityPolicy-2016-08")
    aws("ec2").delete_flow_logs(FlowLogIds=[edge.resource("flow-log")["id"]])
    certificate = edge.resource("certificate")["id"]
    aws("acm").remove_tags_from_certificate(CertificateArn=certificate, Tags=[{"Key": "project"}])


def left(zone: str, aws: Aws) -> list[Any]:
    """What of it is still there."""
    return [
        *records(zone, aws),
        *aws("acm").list_certificates()["CertificateSummaryList"],
        *aws("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"],
        *aws("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"],
        *aws("ec2").describe_flow_logs()["FlowLogs"],
        *aws("elbv2").describe_load_balancers()["LoadBalancers"],
        *aws("elbv2").describe_listeners()["Listeners"],
        *aws("ecr").describe_repositories()["repositories"],
    ]


def test_nothing_drifts_by_itself_and_a_change_by_hand_is_shown_and_mended(edge: Stack, zone: str, aws: Aws) -> None:
    edge.run("preview", "--refresh", "--expect-no-changes", "--stack", "probe")
    made = records(zone, aws)
    rules = web_acl(edge, aws)["WebACL"]["Rules"]
    change_by_hand(edge, zone, aws)
    told = edge.run("preview", "--refresh", "--stack", "probe")
    for line in (
        "Record proof update [diff: ~records]",
        "Record txt create",
        "WebAcl acl update [diff: ~rules]",
        "WebAclAssociation acl-link create",
        "LoadBalancer lb update [diff: ~accessLogs]",
        "Listener https update [diff: ~sslPolicy]",
        "FlowLog flow-log create",
        "Certificate certificate update [diff: ~tagsAll]",
        "8 changes",
    ):
        assert line in told
    edge.run("up", "--yes", "--skip-preview", "--refresh", "--stack", "probe")
    edge.run("preview", "--refresh", "--expect-no-changes", "--stack", "probe")
    assert records(zone, aws) == made
    assert web_acl(edge, aws)["WebACL"]["Rules"] == rules
    assert listener(edge, aws)["SslPolicy"] == FIRST["policy"]
    assert flow_log(edge, aws)["TrafficType"] == "REJECT"
    edge.run("destroy", "--yes", "--skip-preview", "--stack", "probe")
    assert left(zone, aws) == []


def test_a_change_in_the_program_is_made_in_place_where_aws_can(edge: Stack, zone: str, aws: Aws) -> None:
    names = ("acl", "https", "rule", "oidc", "flow-log")
    before = {name: edge.resource(name)["id"] for name in names}
    edge.program(PROGRAM % (SECOND | {"zone": zone}))
    edge.up()
    after = {name: edge.resource(name)["id"] for name in names}
    assert [name for name in names if before[name] != after[name]] == ["flow-log"]
    assert flow_log(edge, aws)["TrafficType"] == "ALL"
    assert {tag["Key"] for tag in flow_log(edge, aws)["Tags"]} == {"Name", "project"}
    assert listener(edge, aws)["SslPolicy"] == SECOND["policy"]
    assert listener(edge, aws)["Certificates"][0]["CertificateArn"] == edge.resource("certificate")["id"]
    rate = web_acl(edge, aws)["WebACL"]["Rules"][1]["Statement"]["RateBasedStatement"]
    assert rate["Limit"] == SECOND["limit"]
    client_ids = aws("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=after["oidc"])["ClientIDList"]
    assert client_ids == SECOND["clients"]
    repository = aws("ecr").describe_repositories()["repositories"][0]
    assert repository["encryptionConfiguration"]["kmsKey"] == edge.resource("k")["outputs"]["arn"]
    edge.run("preview", "--refresh", "--expect-no-changes", "--stack", "probe")


def test_a_forgotten_validation_record_is_named(stack: Stack) -> None:
    stack.program(
        "c = aws.acm.Certificate('c', domain_name='example.test', validation_method='DNS')\n"
        "aws.acm.CertificateValidation('v', certificate_arn=c.arn, validation_record_fqdns=['other.example.test'])"
    )
    assert "validationRecordFqdns lacks _acme-challenge.example.test" in stack.up(code=1)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ({"geoMatchStatement": {"countryCodes": ["SE"]}}, "geoMatchStatement"),
        ({"rateBasedStatement": {"limit": 9, "scopeDownStatement": {}}}, "rateBasedStatement.scopeDownStatement"),
    ],
)
def test_a_statement_that_is_not_done_is_refused_by_name(statement: dict[str, Any], words: str) -> None:
    given = {"rules": [{"name": "lands", "priority": 0, "statement": statement}]}
    with pytest.raises(UnsupportedOperation, match=f"rule lands.*{words}"):
        RESOURCE_TYPES["aws:wafv2/webAcl:WebAcl"].prepare(ProviderContext(), given)
