"""Names and TLS of previews: one wildcard certificate, added to the environment's listener or with one of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipway.config import names
from slipway.config.constants import UNKNOWN_PREVIEW_RULE_PRIORITY
from slipway.config.errors import SlipwayError
from slipway.config.settings import Settings
from tests.infra.program import plain, programmed
from tests.infra.recorder import Registered, of
from tests.infra.test_previews import preview

ADDED = "aws:lb/listenerCertificate:ListenerCertificate"
CERTIFICATE = "aws:acm/certificate:Certificate"
LISTENER = "aws:lb/listener:Listener"
RULE = "aws:lb/listenerRule:ListenerRule"
TLS = {"previewDomain": "preview.acme.test", "hostedZoneId": "Z1"}
OWN = {"domain": "dev.acme.test"}


def base(**changes: Any) -> list[Registered]:
    """The program of dev with these settings."""
    values = Settings.from_files("dev").model_dump(by_alias=True)
    return programmed("dev", Settings.load(values | changes, "dev"))


def rules(found: list[Registered]) -> dict[str, Registered]:
    """By the first host that they ask for."""
    asked = {
        plain(each.inputs["conditions"])[0].get("hostHeader", {}).get("values", [""])[0]: each
        for each in of(found, RULE)
    }
    return {host: rule for host, rule in asked.items() if host}


@pytest.mark.parametrize("domain", [{}, OWN], ids=["no domain of its own", "a domain of its own"])
def test_one_wildcard_certificate_is_proved_in_the_zone_and_its_name_leads_to_the_load_balancer(domain: Any) -> None:
    found = base(**TLS, **domain)
    names = [each.inputs["domainName"] for each in of(found, CERTIFICATE)]
    assert names == [*domain.values(), "*.preview.acme.test"]
    records = {each.name: each.inputs for each in of(found, "aws:route53/record:Record")}
    alias = records["slipway-dev-previews-domain"]
    assert (alias["name"], alias["zoneId"], alias["aliases"][0]["name"]) == ("*.preview.acme.test", "Z1", "lb.example")
    assert records["slipway-dev-previews-certificate"]["type"] == "CNAME"


def test_beside_a_domain_of_the_environment_the_certificate_is_added_to_its_listener() -> None:
    found = base(**TLS, **OWN)
    (added,) = of(found, ADDED)
    https = {each.inputs["port"]: each.name for each in of(found, LISTENER)}
    assert sorted(https) == [80, 443]
    assert added.inputs["certificateArn"] == "arn:aws:mock:::slipway-dev-previews-certificate"
    assert added.inputs["listenerArn"] == f"arn:aws:mock:::{https[443]}"
    rule = rules(found)["*.preview.acme.test"].inputs
    assert rule["listenerArn"] == added.inputs["listenerArn"]
    # A name that no preview has is not answered by the environment's app, which is asked last.
    assert rule["actions"][0]["fixedResponse"]["statusCode"] == "404"
    assert rule["priority"] == UNKNOWN_PREVIEW_RULE_PRIORITY


def test_without_a_domain_of_the_environment_previews_have_a_listener_of_their_own_and_http_leads_there() -> None:
    found = base(**TLS)
    assert of(found, ADDED) == []
    http, https = sorted(of(found, LISTENER), key=lambda each: each.inputs["port"])
    assert (https.inputs["protocol"], https.inputs["port"]) == ("HTTPS", 443)
    assert https.inputs["certificateArn"] == "arn:aws:mock:::slipway-dev-previews-certificate"
    assert https.inputs["sslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2-Res-")  # ELB.17
    assert http.inputs["defaultActions"][0]["type"] == "fixed-response"  # the environment's own stays as it was
    rule = rules(found)["*.preview.acme.test"].inputs
    assert rule["listenerArn"] == f"arn:aws:mock:::{http.name}"
    assert rule["actions"][0]["redirect"] == {"port": "443", "protocol": "HTTPS", "statusCode": "HTTP_301"}
    ports = {each.inputs["fromPort"] for each in of(found, "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")}
    assert 443 in ports


def test_without_a_preview_domain_nothing_of_it_is_made() -> None:
    found = base()
    assert of(found, CERTIFICATE) == of(found, ADDED) == []
    assert [each.inputs["port"] for each in of(found, LISTENER)] == [80]
    assert rules(found) == {}


def test_a_preview_hangs_on_its_environments_listener_and_answers_to_its_own_name_alone() -> None:
    found = preview()
    (rule,) = of(found, RULE)
    assert rule.inputs["listenerArn"].endswith(":listener/app/lb/1/2")
    assert 0 < rule.inputs["priority"] < UNKNOWN_PREVIEW_RULE_PRIORITY
    web, *_ = of(found, "aws:ecs/taskDefinition:TaskDefinition")
    told = {
        each["name"]: each["value"] for each in json.loads(plain(web.inputs["containerDefinitions"]))[0]["environment"]
    }
    assert told["TRUSTED_HOSTS"] == "pr-42.preview.example.com"
    assert "CORS_ORIGINS" not in told


def test_the_place_of_a_preview_is_before_that_of_names_without_one() -> None:
    places = {names.preview_rule_priority(f"pr-{number}", UNKNOWN_PREVIEW_RULE_PRIORITY) for number in range(2000)}
    assert 1 <= min(places) <= max(places) < UNKNOWN_PREVIEW_RULE_PRIORITY


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"previewDomain": "preview.acme.test"}, "previewDomain and hostedZoneId"),
        ({**TLS, "domain": "preview.acme.test"}, "cookies"),
        ({**TLS, "domain": "dev.preview.acme.test"}, "cookies"),
        ({**TLS, "domain": "acme.test"}, "cookies"),
        ({**TLS, "previews": False}, "previews is false"),
        ({**TLS, "previewDomain": f"{'a' * 64}.test"}, "previewDomain"),
        ({**TLS, "previewDomain": ".".join(["a" * 19, "b" * 19, "c" * 18, "test"])}, "previewDomain"),
    ],
)
def test_a_preview_domain_that_cannot_be_is_refused_by_name(given: Any, told: str) -> None:
    with pytest.raises(SlipwayError, match=told):
        base(**given)


def test_a_preview_domain_may_be_as_long_as_a_certificate_takes_it() -> None:
    longest = ".".join(["a" * 19, "b" * 19, "c" * 17, "test"])
    assert len(f"*.{longest}") == 64
    assert of(base(**TLS | {"previewDomain": longest}), CERTIFICATE)[0].inputs["domainName"] == f"*.{longest}"
