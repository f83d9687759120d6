"""The provider's parts that need no local AWS: wire format, comparison, names, journal."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import ParamValidationError
from botocore.validate import ParamValidator
from pulumi.runtime.proto import provider_pb2

from slipway_local.provider import input_validation, journal, not_emulated_types
from slipway_local.provider.codec import (
    SECRET_SIGNATURE,
    SIGNATURE_KEY,
    UNKNOWN,
    UNKNOWN_STRING_VALUE,
    decode,
    encode,
    has_unknown,
)
from slipway_local.provider.diff import changed_inputs, normalize_to_written
from slipway_local.provider.grpc_service import LocalAwsProvider
from slipway_local.provider.resource_type import ProviderContext, UnsupportedOperation, _client, local_endpoint
from slipway_local.provider.types import RESOURCE_TYPES
from slipway_local.provider.types.cloudfront import distribution_config

VPC = "urn:pulumi:local::slipway::aws:ec2/vpc:Vpc::network"
LB = "urn:pulumi:local::slipway::slipway:lb:LB$aws:lb/loadBalancer:LoadBalancer::a-name-that-is-much-too-long-for-it"


def test_whole_numbers_stay_whole_and_nested_values_survive_the_way() -> None:
    given = {"port": 80, "share": 0.5, "list": [{"on": True}], "nothing": None}
    found, secrets = decode(encode(given))
    assert found == given
    assert isinstance(found["port"], int)
    assert secrets == set()


def test_a_secret_anywhere_in_a_property_marks_the_property() -> None:
    struct = encode({"outer": {"inner": {SIGNATURE_KEY: SECRET_SIGNATURE, "value": "hidden"}}})
    found, secrets = decode(struct)
    assert found == {"outer": {"inner": "hidden"}}
    assert secrets == {"outer"}
    assert encode(found, secrets)["outer"][SIGNATURE_KEY] == SECRET_SIGNATURE


def test_unknowns_are_recognised_and_sent_back() -> None:
    found, _ = decode(encode({"a": UNKNOWN_STRING_VALUE, "b": [UNKNOWN_STRING_VALUE]}))
    assert found["a"] is UNKNOWN
    assert has_unknown(found["b"])
    assert encode(found)["a"] == UNKNOWN_STRING_VALUE


@pytest.mark.parametrize(
    ("written", "actual", "expected"),
    [
        ('{"a": 1}', '{"a":1}', '{"a": 1}'),  # the same JSON document
        ({"path": "/"}, {"path": "/", "port": "traffic-port"}, {"path": "/"}),  # a default of AWS's
        (["b", "a"], ["a", "b"], ["b", "a"]),  # another order
        (["a"], ["a", "b"], ["a", "b"]),  # a real difference
        ({"path": "/"}, {"path": "/x"}, {"path": "/x"}),
        (True, False, False),
        ("256", 256, "256"),
        (False, None, False),
        ([], None, []),
    ],
)
def test_only_a_real_difference_is_drift(written: Any, actual: Any, expected: Any) -> None:
    assert normalize_to_written(written, actual) == expected


def test_a_removed_input_is_a_change_and_an_uncompared_one_is_none() -> None:
    assert changed_inputs(RESOURCE_TYPES["aws:ec2/vpc:Vpc"], {"cidrBlock": "a", "tags": {}}, {"cidrBlock": "a"}) == [
        "tags"
    ]
    image = RESOURCE_TYPES["docker-build:index:Image"]
    assert changed_inputs(image, {"registries": [1]}, {"registries": [2]}) == []


def check(urn: str, **news: Any) -> Any:
    request = provider_pb2.CheckRequest(urn=urn, news=encode(news), randomSeed=b"0123456789abcdef")
    return LocalAwsProvider().Check(request, None)


def test_an_input_that_is_not_honoured_is_refused_by_name() -> None:
    (failure,) = check(VPC, cidrBlock="10.0.0.0/16", ipv6CidrBlock="::/56").failures
    assert failure.property == "ipv6CidrBlock"
    assert "aws:ec2/vpc:Vpc" in failure.reason


def test_an_automatic_name_fits_the_types_limit_and_is_kept() -> None:
    first, _ = decode(check(LB, subnets=[]).inputs)
    assert len(first["name"]) <= 32
    assert first["name"].startswith("a-name-that-is")
    request = provider_pb2.CheckRequest(urn=LB, olds=encode(first), news=encode({}), randomSeed=b"another seed....")
    again, _ = decode(LocalAwsProvider().Check(request, None).inputs)
    assert again["name"] == first["name"]


def test_default_tags_reach_every_type_that_has_tags() -> None:
    provider = LocalAwsProvider()
    provider.default_tags = {"project": "slipway"}
    request = provider_pb2.CheckRequest(urn=VPC, news=encode({"cidrBlock": "10.0.0.0/16", "tags": {"Name": "n"}}))
    found, _ = decode(provider.Check(request, None).inputs)
    assert found["tagsAll"] == {"project": "slipway", "Name": "n"}


def difference(urn: str, old: dict[str, Any], new: dict[str, Any]) -> Any:
    request = provider_pb2.DiffRequest(urn=urn, old_inputs=encode(old), news=encode(new))
    return LocalAwsProvider().Diff(request, None)


def test_a_change_that_forces_a_replacement_creates_before_it_deletes() -> None:
    old = {"name": "n-1", "__defaults": ["name"], "internal": False}
    new = {"name": "n-2", "__defaults": ["name"]}
    answer = difference(LB, old, new | {"internal": True})
    assert set(answer.replaces) == {"internal", "name"}
    assert not answer.deleteBeforeReplace


def test_a_chosen_name_has_to_be_free_before_the_replacement_takes_it() -> None:
    answer = difference(LB, {"name": "mine", "internal": False}, {"name": "mine", "internal": True})
    assert answer.deleteBeforeReplace


RULE = "urn:pulumi:local::slipway::aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule::in"
TASK_DEFINITION = "urn:pulumi:local::slipway::aws:ecs/taskDefinition:TaskDefinition::web"
ROUTE = "urn:pulumi:local::slipway::aws:ec2/route:Route::way"


@pytest.mark.parametrize(
    ("urn", "old", "new", "replaced"),
    [
        (RULE, {"fromPort": 8000, "toPort": 8000}, {"fromPort": 8100, "toPort": 8100}, []),
        (RULE, {"referencedSecurityGroupId": "sg-1"}, {"referencedSecurityGroupId": "sg-2"}, []),
        (RULE, {"cidrIpv4": "10.0.0.0/16"}, {"cidrIpv4": "10.1.0.0/16"}, []),
        (
            RULE,
            {"cidrIpv4": "10.0.0.0/16"},
            {"referencedSecurityGroupId": "sg-2"},
            ["cidrIpv4", "referencedSecurityGroupId"],
        ),
        (RULE, {"securityGroupId": "sg-1"}, {"securityGroupId": "sg-2"}, ["securityGroupId"]),
        (TASK_DEFINITION, {"tags": {"a": "1"}}, {"tags": {"a": "2"}}, []),
        (TASK_DEFINITION, {"cpu": "256"}, {"cpu": "512"}, ["cpu"]),
        (ROUTE, {"natGatewayId": "nat-1"}, {"natGatewayId": "nat-2"}, []),
        (ROUTE, {"destinationCidrBlock": "a"}, {"destinationCidrBlock": "b"}, ["destinationCidrBlock"]),
    ],
)
def test_what_the_official_provider_changes_in_place_is_changed_in_place(
    urn: str, old: dict[str, Any], new: dict[str, Any], replaced: list[str]
) -> None:
    answer = difference(urn, old, new)
    assert sorted(answer.replaces) == replaced
    assert answer.changes == provider_pb2.DiffResponse.DIFF_SOME


def test_nothing_changed_is_no_difference() -> None:
    answer = difference(VPC, {"cidrBlock": "a"}, {"cidrBlock": "a"})
    assert answer.changes == provider_pb2.DiffResponse.DIFF_NONE


def test_the_provider_talks_to_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://ec2.amazonaws.com")
    with pytest.raises(UnsupportedOperation, match="this machine only"):
        local_endpoint()


def test_the_journal_names_what_was_made_and_is_not_in_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_RUN_DIR", str(tmp_path))
    for id in ("kept", "orphan", "gone"):
        journal.record_operation("created", "local", "aws:ec2/vpc:Vpc", id, {"arn": f"arn:{id}", "password": "hidden"})
    journal.record_operation("created", "qa", "aws:ec2/vpc:Vpc", "of another stack", {})
    journal.record_operation("deleted", "local", "aws:ec2/vpc:Vpc", "gone", {})
    state = {"deployment": {"resources": [{"type": "aws:ec2/vpc:Vpc", "id": "kept"}]}}
    assert [entry["id"] for entry in journal.find_orphaned_resources(state, "local")] == ["orphan"]
    assert "hidden" not in journal.journal_path().read_text()


def test_the_journal_keeps_whatever_a_deletion_reads() -> None:
    """What a killed engine left behind is deleted by the journal alone."""
    read = {
        key
        for kind in RESOURCE_TYPES.values()
        for key in re.findall(r'state(?:\.get\(|\[)"(\w+)"', inspect.getsource(kind.delete))
    }
    assert len(read) > 10
    assert read - journal.KEPT_PROPERTIES == set()


def test_every_type_says_what_it_takes() -> None:
    for kind in RESOURCE_TYPES.values():
        assert kind.force_replacement <= kind.inputs, kind.type_name
        assert kind.ignored_in_diff <= kind.inputs, kind.type_name
    assert not_emulated_types() <= set(RESOURCE_TYPES)


@pytest.mark.parametrize(
    ("service", "call", "arguments", "words"),
    [
        ("wafv2", "create_web_acl", {"Description": "AWS's rules"}, ["Description", "AWS's rules", "does not match"]),
        ("wafv2", "create_web_acl", {"Scope": "EUROPE"}, ["Scope", "REGIONAL"]),
        ("iam", "create_role", {"RoleName": "r" * 65}, ["RoleName", "65 characters", "64"]),
        ("iam", "create_role", {"RoleName": "a role"}, ["RoleName", "a role"]),
        ("scheduler", "create_schedule", {"Name": "a b"}, ["Name", "a b"]),
        ("secretsmanager", "create_secret", {"Name": ""}, ["Name", "0 characters"]),
    ],
)
def test_what_aws_refuses_by_form_is_refused_here_with_its_place(
    service: str, call: str, arguments: dict[str, Any], words: list[str]
) -> None:
    client = boto3.client(service, region_name="us-east-1", endpoint_url="http://127.0.0.1:9")
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[call])
    told = "\n".join(input_validation.list_violations(arguments, model.input_shape, call))
    for word in words:
        assert word in told


def test_a_call_that_is_wrong_by_form_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens there
    _client.cache_clear()
    with pytest.raises(ParamValidationError, match="RoleName"):
        ProviderContext()("iam").create_role(RoleName="a role", AssumeRolePolicyDocument="{}")
    _client.cache_clear()


def test_a_distribution_is_written_as_awss_api_takes_it() -> None:
    behavior = {
        "targetOriginId": "load-balancer",
        "viewerProtocolPolicy": "redirect-to-https",
        "allowedMethods": ["GET", "HEAD"],
        "cachedMethods": ["GET", "HEAD"],
        "compress": True,
        "cachePolicyId": "cache",
        "originRequestPolicyId": "request",
    }
    origin = {
        "originId": "load-balancer",
        "domainName": "lb.example",
        "customHeaders": [{"name": "X-Origin-Verify", "value": "secret"}],
        "customOriginConfig": {
            "httpPort": 80,
            "httpsPort": 443,
            "originProtocolPolicy": "https-only",
            "originSslProtocols": ["TLSv1.2"],
            "originReadTimeout": 65,
            "originKeepaliveTimeout": 5,
        },
    }
    config = distribution_config(
        {
            "aliases": ["api.acme.test"],
            "comment": "shop-prod",
            "enabled": True,
            "httpVersion": "http2and3",
            "isIpv6Enabled": False,
            "origins": [origin],
            "defaultCacheBehavior": behavior,
            "orderedCacheBehaviors": [{"pathPattern": "/static/*", **behavior}],
            "customErrorResponses": [{"errorCode": 404, "errorCachingMinTtl": 0}],
            "restrictions": {"geoRestriction": {"restrictionType": "none"}},
            "viewerCertificate": {
                "acmCertificateArn": "arn:certificate",
                "sslSupportMethod": "sni-only",
                "minimumProtocolVersion": "TLSv1.2_2021",
            },
        }
    )
    model = botocore.session.get_session().get_service_model("cloudfront")
    shape = model.operation_model("UpdateDistribution").input_shape
    parameters = {"Id": "E1", "DistributionConfig": {"CallerReference": "once", **config}}
    assert ParamValidator().validate(parameters, shape).generate_report() == ""
    assert config["CacheBehaviors"]["Items"][0]["PathPattern"] == "/static/*"
    assert config["Origins"]["Items"][0]["CustomHeaders"]["Items"][0]["HeaderValue"] == "secret"
