"""CloudFront in front of the load balancer: what it caches, who may reach what, whose address the app sees."""

from __future__ import annotations

from functools import cache
from typing import Any

import pulumi
import pytest

from slipway.components.cdn import ALL_VIEWER, CACHING_DISABLED, CACHING_OPTIMIZED, HOST_HEADER_ONLY, ORIGIN_HEADER
from slipway.config.errors import SlipwayError
from slipway.config.settings import Settings
from slipway.graph.cost import PricedResource, calculate_idle_cost, list_usage_prices
from slipway.graph.diagram import build_diagram
from slipway.graph.program_run import run_program
from slipway.release.forwarded_for import FORWARDED_FOR_MODE, set_forwarded_for_mode
from tests.infra.change_order import Comparison
from tests.infra.fake_ecs import FakeClock
from tests.infra.program import plain, programmed
from tests.infra.recorder import Monitor, Recording, Registered, of
from tests.infra.shapes import run_app
from tests.infra.test_settings import values

DISTRIBUTION = "aws:cloudfront/distribution:Distribution"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
RULE = "aws:lb/listenerRule:ListenerRule"
DOMAIN = {"domain": "api.acme.test", "hostedZoneId": "Z1"}
ON = {"cdn": True, "domain": "api.acme.test", "hosted_zone_id": "Z1", "previews": False, "preview_domain": ""}


@cache
def behind_cloudfront() -> Recording:
    given: dict[str, Any] = {**ON, "waf": True, "monitoring": True, "grafana": True}
    return programmed("staging", Settings.from_files("staging").model_copy(update=given))


@cache
def without() -> Recording:
    given = {**ON, "cdn": False, "waf": True}
    return programmed("staging", Settings.from_files("staging").model_copy(update=given))


@cache
def behind_cloudfront_alone() -> Recording:
    """The stack of `without`, with `cdn` and nothing else."""
    return programmed("staging", Settings.from_files("staging").model_copy(update={**ON, "waf": True}))


def distribution(made: Recording) -> Registered:
    (found,) = of(made, DISTRIBUTION)
    return found


def origin(made: Recording) -> dict[str, Any]:
    (found,) = plain(distribution(made).inputs["origins"])
    assert isinstance(found, dict)
    return found


def header_values(rule: Registered) -> list[str]:
    """The values of the secret header that a rule accepts; empty: everybody's requests."""
    conditions = plain(rule.inputs["conditions"])
    headers = [entry["httpHeader"] for entry in conditions if "httpHeader" in entry]
    assert all(header["httpHeaderName"] == ORIGIN_HEADER for header in headers)
    return [value for header in headers for value in header["values"]]


def test_only_static_paths_are_cached_and_they_get_no_credentials() -> None:
    inputs = distribution(behind_cloudfront()).inputs
    everything = inputs["defaultCacheBehavior"]
    assert (everything["cachePolicyId"], everything["originRequestPolicyId"]) == (CACHING_DISABLED, ALL_VIEWER)
    assert set(everything["allowedMethods"]) == {"GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"}
    (static,) = inputs["orderedCacheBehaviors"]
    assert static["pathPattern"] == "/static/*"
    assert (static["cachePolicyId"], static["originRequestPolicyId"]) == (CACHING_OPTIMIZED, HOST_HEADER_ONLY)
    assert set(static["allowedMethods"]) == {"GET", "HEAD", "OPTIONS"}


def test_no_error_of_one_visitor_is_anothers_answer() -> None:
    """CloudFront keeps these for 10 seconds, also where caching is disabled."""
    errors = distribution(behind_cloudfront()).inputs["customErrorResponses"]
    assert {error["errorCode"] for error in errors} >= {400, 403, 404, 405, 500, 502, 503, 504}
    assert {error["errorCachingMinTtl"] for error in errors} == {0}
    assert not any(error.get("responsePagePath") for error in errors)


def test_app_yaml_says_which_paths_are_static() -> None:
    made = run_app({"staticPaths": ["/assets/*", "/favicon.ico"]}, "staging", **ON)
    paths = [behavior["pathPattern"] for behavior in distribution(made).inputs["orderedCacheBehaviors"]]
    assert paths == ["/assets/*", "/favicon.ico"]


def test_visitors_and_the_load_balancer_have_current_tls_and_http() -> None:
    inputs = distribution(behind_cloudfront()).inputs
    behaviors = [inputs["defaultCacheBehavior"], *inputs["orderedCacheBehaviors"]]
    assert {behavior["viewerProtocolPolicy"] for behavior in behaviors} == {"redirect-to-https"}
    assert inputs["viewerCertificate"]["minimumProtocolVersion"] == "TLSv1.2_2021"
    assert inputs["httpVersion"] == "http2and3"
    config = origin(behind_cloudfront())["customOriginConfig"]
    # Else the load balancer would tell the app X-Forwarded-Proto: http.
    assert (config["originProtocolPolicy"], config["originSslProtocols"]) == ("https-only", ["TLSv1.2"])


def test_the_load_balancer_is_reached_by_cloudfront_alone() -> None:
    balancer = [rule.inputs for rule in of(behind_cloudfront(), INGRESS) if rule.name.startswith("slipway-staging-lb-")]
    assert [(given["prefixListId"], given["fromPort"], given["toPort"]) for given in balancer] == [
        ("pl-cloudfront", 443, 443)  # it counts as 55 of a group's 60 rules: one port, and no other rule
    ]
    assert not any("cidrIpv4" in given for given in balancer)


def test_every_rule_asks_for_the_secret_header_that_this_distribution_alone_sends() -> None:
    made = behind_cloudfront()
    (header,) = origin(made)["customHeaders"]
    assert (header["name"], header["value"]) == (ORIGIN_HEADER, "generated")
    rules = of(made, RULE)
    assert {rule.name for rule in rules} == {"slipway-staging-web-rule", "slipway-staging-grafana-rule"}
    assert [header_values(rule) for rule in rules] == [["generated"]] * 2
    assert [header_values(rule) for rule in of(without(), RULE)] == [[]]


def test_rules_ask_for_it_when_the_domain_leads_to_cloudfront() -> None:
    """Before that visitors still come without it."""
    for rule in of(behind_cloudfront(), RULE):
        assert {"Distribution slipway-staging-cdn", "Record slipway-staging-domain"} <= set(rule.depends_on)


@pytest.mark.parametrize("on", [True, False])
def test_switching_it_replaces_no_task_and_takes_nothing_from_the_running_ones(on: bool) -> None:
    made = [run_app({}, "staging", **ON | {"cdn": cdn}) for cdn in (not on, on)]
    comparison = Comparison.of(*made)
    assert (comparison.rollouts, list(comparison.faults())) == ([], [])
    changed = {f"{change.action} {change.resource.type.rpartition(':')[2]}" for change in comparison.changes}
    assert {"update Record", "update ListenerRule"} <= changed
    assert not any(change.startswith("replace") for change in changed)


def test_the_secret_header_is_a_secret_in_the_state() -> None:
    made = behind_cloudfront()
    assert plain(distribution(made).inputs["origins"]) != distribution(made).inputs["origins"]
    assert all(plain(rule.inputs["conditions"]) != rule.inputs["conditions"] for rule in of(made, RULE))
    assert made.exports["distributionId"] == "slipway-staging-cdn-id"
    assert "generated" not in str(made.exports)


def test_during_a_rotation_both_values_are_accepted_and_the_former_one_is_sent() -> None:
    """A distribution changes for minutes: it sends what rules accept before, meanwhile and after."""
    made = run_app({"processes": {"web": {}}}, "staging", **ON, secrets_generation=2, secrets_retired=0)
    versions = [v for v in of(made, "aws:secretsmanager/secretVersion:SecretVersion") if "origin-header" in v.name]
    assert sorted(version.name[-1] for version in versions) == ["1", "2"]
    depends = distribution(made).depends_on
    assert {"SecretVersion slipway-staging-origin-header-1", "SecretVersion slipway-staging-origin-header-2"} <= set(
        depends
    )


def test_values_of_two_generations_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.infra import recorder

    drawn = iter(f"value-{number}" for number in range(1000))
    answer = recorder.Mocks.new_resource

    def stored(self: recorder.Mocks, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        id, outputs = answer(self, args)
        if "origin-header" in args.name and args.typ.endswith(":SecretVersion"):
            outputs["secretString"] = f'{{"value": "{next(drawn)}"}}'
        return id, outputs

    monkeypatch.setattr(recorder.Mocks, "new_resource", stored)
    made = run_app({"processes": {"web": {}}}, "staging", **ON, secrets_generation=2, secrets_retired=0)
    (rule,) = of(made, RULE)
    accepted = header_values(rule)
    assert len(set(accepted)) == 2
    assert origin(made)["customHeaders"][0]["value"] == accepted[-1] == "value-0"  # the one created first


def test_the_domain_leads_to_the_distribution_and_has_a_certificate_where_cloudfront_looks_for_it() -> None:
    made = behind_cloudfront()
    (alias,) = [record for record in of(made, "aws:route53/record:Record") if record.inputs["type"] == "A"]
    assert alias.inputs["aliases"] == [
        {"name": "d1.cloudfront.net", "zoneId": "Z2FDTNDATAQYW2", "evaluateTargetHealth": False}
    ]
    certificates = {each.name: each.inputs.get("region") for each in of(made, "aws:acm/certificate:Certificate")}
    assert certificates == {"slipway-staging-certificate": None, "slipway-staging-cdn-certificate": "us-east-1"}
    assert (
        distribution(made).inputs["viewerCertificate"]["acmCertificateArn"].endswith("slipway-staging-cdn-certificate")
    )
    assert distribution(made).inputs["aliases"] == ["api.acme.test"]
    # One record validates both; a second resource of it would delete the first one's with itself.
    proofs = [record for record in of(made, "aws:route53/record:Record") if record.inputs["type"] == "CNAME"]
    assert [record.name for record in proofs] == ["slipway-staging-certificate"]


def test_in_us_east_1_one_certificate_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi.Config, "get", _config_of("us-east-1"))
    made = run_app({}, "staging", **ON)
    assert [each.name for each in of(made, "aws:acm/certificate:Certificate")] == ["slipway-staging-certificate"]


def _config_of(region: str) -> Any:
    original = pulumi.Config.get

    def get(self: pulumi.Config, key: str, default: str | None = None) -> str | None:
        return region if (self.name, key) == ("aws", "region") else original(self, key, default)

    return get


def test_the_firewall_moves_to_where_visitors_addresses_are_seen() -> None:
    made = behind_cloudfront()
    (acl,) = of(made, "aws:wafv2/webAcl:WebAcl")
    assert (acl.inputs["scope"], acl.inputs["region"]) == ("CLOUDFRONT", "us-east-1")
    assert of(made, "aws:wafv2/webAclAssociation:WebAclAssociation") == []
    assert distribution(made).inputs["webAclId"] == "arn:aws:mock:::slipway-staging-cdn-waf"
    (regional,) = of(without(), "aws:wafv2/webAcl:WebAcl")
    assert regional.inputs["rules"] == acl.inputs["rules"]
    assert "webAclId" not in distribution(run_app({}, "staging", **ON, waf=False)).inputs


def test_cloudfront_waits_longer_than_the_load_balancer() -> None:
    made = run_app({"requestTimeout": 100}, "staging", **ON)
    (balancer,) = of(made, "aws:lb/loadBalancer:LoadBalancer")
    config = origin(made)["customOriginConfig"]
    assert balancer.inputs["idleTimeout"] < config["originReadTimeout"] <= 120
    assert config["originKeepaliveTimeout"] < balancer.inputs["idleTimeout"]


def test_the_load_balancer_leaves_the_visitors_address_to_cloudfront() -> None:
    made = behind_cloudfront()
    (balancer,) = of(made, "aws:lb/loadBalancer:LoadBalancer")
    assert balancer.inputs["xffHeaderProcessingMode"] == "preserve"
    # Of one that exists the program changes it, when the DNS record has.
    assert "xffHeaderProcessingMode" in balancer.ignore_changes
    assert (made.forwarded_for_mode, without().forwarded_for_mode) == ("preserve", "append")


def test_the_diagram_shows_visitors_at_cloudfront_and_cloudfront_at_the_load_balancer() -> None:
    diagram = build_diagram(run_program("prod", overrides={"cdn": True}))
    titles = {box.key: box.title for box in diagram.boxes}
    ways = {(titles[arrow.source], titles[arrow.target], arrow.label) for arrow in diagram.arrows if arrow.label}
    assert {("Internet", "CloudFront", "443"), ("CloudFront", "Load balancer", "443")} <= ways
    assert not any(source == "Internet" and target == "Load balancer" for source, target, _ in ways)
    assert ("caches /static/*",) in {box.facts for box in diagram.boxes if box.title == "CloudFront"}


def test_it_costs_by_use_and_its_secret_by_month() -> None:
    monthly, unit_prices = {}, {}
    for made in (without(), behind_cloudfront_alone()):
        graph = [PricedResource(r.type, r.name, {key: plain(value) for key, value in r.inputs.items()}) for r in made]
        monthly[made is without()] = {line.what: line.total for line in calculate_idle_cost(graph)}
        unit_prices[made is without()] = {price.what for price in list_usage_prices(graph)}
    assert unit_prices[False] - unit_prices[True] == {"requests to CloudFront", "traffic from CloudFront to visitors"}
    changed = {what: total - monthly[True][what] for what, total in monthly[False].items()}
    assert {what: round(more, 2) for what, more in changed.items() if more} == {"secrets": 0.4}


class LoadBalancers:
    """What the load balancer's attributes are, and what was written."""

    def __init__(self, mode: str | None) -> None:
        self.attributes = [{"Key": FORWARDED_FOR_MODE, "Value": mode}] if mode else []
        self.written: list[Any] = []

    def client(self, service: str) -> LoadBalancers:
        assert service == "elbv2"
        return self

    def describe_load_balancer_attributes(self, LoadBalancerArn: str) -> dict[str, Any]:
        return {"Attributes": self.attributes}

    def modify_load_balancer_attributes(self, LoadBalancerArn: str, Attributes: list[Any]) -> None:
        self.written += Attributes


@pytest.mark.parametrize(
    ("current", "wanted", "written"),
    [("append", "preserve", "preserve"), ("preserve", "append", "append"), ("preserve", "preserve", ""),
     (None, "append", ""), (None, "preserve", "preserve")],
)  # fmt: skip
def test_the_mode_is_written_where_it_is_another(current: str | None, wanted: str, written: str) -> None:
    aws, told, clock = LoadBalancers(current), list[str](), FakeClock()
    set_forwarded_for_mode(aws, "arn:lb", wanted, told.append, clock)  # type: ignore[arg-type]
    assert [attribute["Value"] for attribute in aws.written] == ([written] if written else [])
    assert bool(told) == bool(written)
    # Resolvers keep the load balancer's address for a minute; back from CloudFront nothing is waited for.
    assert clock.seconds == (60 if written == "preserve" else 0)


def test_rules_ask_for_the_header_after_that_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    from slipway.program import cdn

    events: list[str] = []
    real = cdn.set_forwarded_for_mode_after

    def watched(arn: Any, mode: str, ready: Any) -> pulumi.Output[str]:
        def note(done: str) -> str:
            events.append("mode")
            return done

        return real(arn, mode, ready).apply(note)

    class Watched(Monitor):
        def RegisterResource(self, request: Any) -> Any:
            if request.type in (RULE, "aws:route53/record:Record"):
                events.append(request.name)
            return super().RegisterResource(request)

    monkeypatch.setattr(cdn, "set_forwarded_for_mode_after", watched)
    monkeypatch.setattr("tests.infra.recorder.Monitor", Watched)
    run_app({}, "staging", **ON)
    assert events[-3:] == ["slipway-staging-domain", "mode", "slipway-staging-web-rule"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"internal": True}, ["internal is true", "CloudFront reaches the load balancer by its public address"]),
        (
            {"domain": "", "hostedZoneId": ""},
            ["domain is empty", "without a certificate CloudFront would talk to the load balancer over plain HTTP"],
        ),
        ({"hostedZoneId": "", "externalDns": True}, ["externalDns is true", "cannot change your DNS"]),
        ({"allowedCidrs": ["10.0.0.0/8"]}, ["allowedCidrs is set", "allowedCidrs to []"]),
        ({"previews": True}, ["previews is true", "previews' names lead to the load balancer itself"]),
    ],
)
def test_what_does_not_go_with_it_is_refused(changes: dict[str, Any], words: list[str]) -> None:
    given = values("staging", **{"previews": False, "previewDomain": "", "cdn": True, **DOMAIN, **changes})
    with pytest.raises(SlipwayError) as caught:
        Settings.load(given, "stacks/Pulumi.staging.yaml")
    for word in ["cdn is true", *words]:
        assert word in str(caught.value)
    Settings.load(given | {"cdn": False}, "the same without it")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"requestTimeout": 116}, ["requestTimeout is 116", "120 s", "to 115"]),
        (
            {"processes": {"web": {}, "api": {"command": "x", "paths": ["/a", "/b", "/c", "/d"]}}},
            ["processes.api.paths has 4", "Allowed are 3"],
        ),
    ],
)
def test_an_app_that_does_not_fit_behind_it_is_refused(given: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(pulumi.RunError) as caught:
        run_app(given, "staging", **ON)
    for word in ["cdn is true", *words]:
        assert word in str(caught.value)
    run_app(given, "staging", **ON | {"cdn": False})


@pytest.mark.parametrize("path", ["/*", "/", "static/*", "/?.css"])
def test_a_static_path_begins_with_a_name(path: str) -> None:
    """All paths would be cached, with what has credentials."""
    with pytest.raises(pulumi.RunError, match="staticPaths"):
        run_app({"staticPaths": [path]}, "staging", **ON)
