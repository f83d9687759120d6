"""A domain whose DNS is elsewhere, and an internal load balancer: what is created, printed, waited for and refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.config.settings import Settings
from slipway.release import dns_records
from tests.infra.recorder import of
from tests.infra.shapes import run_app

RECORD = {"Name": "_proof.api.acme.test.", "Type": "CNAME", "Value": "_proof.acm-validations.aws."}
PENDING = {
    "Status": "PENDING_VALIDATION",
    "DomainValidationOptions": [{"ValidationStatus": "PENDING_VALIDATION", "ResourceRecord": RECORD}],
}
UNNAMED = {"Status": "PENDING_VALIDATION", "DomainValidationOptions": [{"ValidationStatus": "PENDING_VALIDATION"}]}
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
ISSUED = {"Status": "ISSUED"}


class Clock:
    """One that does not wait."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def wait(*certificates: dict[str, Any]) -> tuple[list[str], float]:
    """What is said, and how long it takes, when ACM describes the certificate so, one after the other."""
    answers = list(certificates)
    clock, said = Clock(), list[str]()

    def describe_certificate(**_: Any) -> dict[str, Any]:
        return {"Certificate": answers.pop(0) if len(answers) > 1 else answers[0]}

    aws: Any = SimpleNamespace(client=lambda _: SimpleNamespace(describe_certificate=describe_certificate))
    clocked: Any = clock
    dns_records.wait_for_certificate(aws, "arn:certificate", "api.acme.test", said.append, clocked)
    return said, clock.time


def test_the_missing_record_is_printed_once_and_waited_for() -> None:
    said, seconds = wait(UNNAMED, PENDING, PENDING, PENDING, ISSUED)
    assert [line.strip() for line in said].count("_proof.api.acme.test  CNAME  _proof.acm-validations.aws") == 1
    assert len(said) == 3
    assert seconds == 40


def test_an_issued_certificate_takes_no_time_and_no_word() -> None:
    assert wait(ISSUED) == ([], 0)


def test_after_ten_minutes_the_missing_record_is_the_error() -> None:
    with pytest.raises(SlipwayError) as caught:
        wait(PENDING)
    assert "Missing: _proof.api.acme.test  CNAME  _proof.acm-validations.aws" in caught.value.message
    assert "10 min" in caught.value.message
    assert "run `up` again" in caught.value.fix
    assert caught.value.where == "DNS of api.acme.test"


def test_a_certificate_that_aws_refuses_is_no_wait() -> None:
    with pytest.raises(SlipwayError, match="CAA_ERROR") as caught:
        wait({"Status": "FAILED", "FailureReason": "CAA_ERROR"})
    assert "CAA record must allow amazon" in caught.value.fix


def test_with_dns_elsewhere_no_record_is_created_and_two_are_exported() -> None:
    recording = run_app({}, domain="api.acme.test", external_dns=True)
    assert of(recording, "aws:route53/record:Record") == []
    (validation,) = of(recording, "aws:acm/certificateValidation:CertificateValidation")
    assert "validationRecordFqdns" not in validation.inputs
    assert validation.hooks["before_create"] == ("slipway-dev-certificate-record",)
    proof, domain = recording.exports["dnsRecords"]
    assert (proof["type"], proof["value"]) == ("CNAME", "_proof.acm-validations.aws")
    assert (domain["type"], domain["name"], domain["value"]) == ("CNAME", "api.acme.test", "lb.example")


def test_with_a_hosted_zone_it_is_what_it_was() -> None:
    recording = run_app({}, domain="api.acme.test", hosted_zone_id="Z1")
    assert len(of(recording, "aws:route53/record:Record")) == 2
    assert "dnsRecords" not in recording.exports


def test_an_internal_load_balancer_is_reached_by_private_networks_alone() -> None:
    recording = run_app({}, internal=True, previews=False)
    (balancer,) = of(recording, "aws:lb/loadBalancer:LoadBalancer")
    assert balancer.inputs["internal"] is True
    rules = [made for made in of(recording, INGRESS) if "-lb-http" in made.name]
    assert {made.inputs["cidrIpv4"] for made in rules} == {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}
    assert [seen.url for seen in recording.verified.values()] == [""], "no request: the deploying machine is outside"
    assert recording.exports["internal"] is True


def test_a_public_one_may_be_for_some_networks_alone() -> None:
    recording = run_app({}, allowed_cidrs=["203.0.113.0/24"])
    rules = [made for made in of(recording, INGRESS) if "-lb-http" in made.name]
    assert [made.inputs["cidrIpv4"] for made in rules] == ["203.0.113.0/24"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"externalDns": True}, "externalDns is true: it is for a domain without a hosted zone"),
        ({"externalDns": True, "domain": "api.acme.test", "hostedZoneId": "Z1"}, "remove hostedZoneId"),
        (
            {"externalDns": True, "domain": "api.acme.test", "previews": True, "previewDomain": "p.acme.test"},
            "previewDomain is set",
        ),
        (
            {"internal": True, "previews": True},
            "internal is true and previews is true: a preview is verified by a request",
        ),
        ({"allowedCidrs": ["10.8.0.1/16"]}, "10.8.0.1/16"),
    ],
)
def test_settings_that_contradict_each_other_are_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        Settings.load({"tier": "dev", **changes}, "the stack's file")
    assert words in str(caught.value)
