"""Builds the diagram of a stack, boxes and arrows, from the planned resource graph only.

A box is a component, with size facts from its children's inputs. The graph also determines its place: in a ring if its
children name the ring's subnets, at the edge if they are DNS, certificates or firewalls, right of the network if a
task's policy names it, and alongside otherwise. So a new component needs no change here.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from slipway.graph.plan import STACK_TYPE
from slipway.graph.program_run import PULUMI_SIGNATURE_KEY, ResourceState

EDGE, PUBLIC, PRIVATE, ISOLATED, USED_BY_TASKS, ALONGSIDE = "edge", "public", "private", "isolated", "used", "around"
RINGS = (PUBLIC, PRIVATE, ISOLATED)
IMAGE_TYPE = ":ContainerImage"
EDGE_TYPES = ("aws:acm/", "aws:cloudfront/", "aws:route53/", "aws:wafv2/")
SUBNET_TYPE = "aws:ec2/subnet:Subnet"
VPC_TYPE = "aws:ec2/vpc:Vpc"
SERVICE_TYPE = "aws:ecs/service:Service"
TASK_DEFINITION_TYPE = "aws:ecs/taskDefinition:TaskDefinition"
SCALING_TARGET_TYPE = "aws:appautoscaling/target:Target"
SECURITY_GROUP_TYPE = "aws:ec2/securityGroup:SecurityGroup"
DISTRIBUTION_TYPE = "aws:cloudfront/distribution:Distribution"
INGRESS_RULE_TYPE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
POLICY_TYPES = ("aws:iam/policy:Policy", "aws:iam/rolePolicy:RolePolicy")
TITLES = {
    "AliasRecord": "DNS",
    "Cdn": "CloudFront",
    "CloudFrontWebAcl": "WAF",
    "ApplicationLoadBalancer": "load balancer",
    "DnsValidatedCertificate": "certificate",
    "EcrRepository": "registry",
    "EcsCluster": "cluster",
    "FargateTaskDefinition": "task",
    "GrafanaService": "Grafana",
    "KmsKey": "KMS key",
    "MonthlyBudget": "budget",
    "PrometheusService": "Prometheus",
    "RdsDatabase": "database",
    "RedisCache": "cache",
    "RegionalWebAcl": "WAF",
    "S3Bucket": "bucket",
    "ScheduledTask": "scheduled",
    "PreviewSharedResources": "for previews",
    "ServiceAutoscaling": "scaling",
    "SqsQueue": "queue",
    "VpcEndpoints": "VPC endpoints",
    "VpcNetwork": "network",
    "WebService": "web",
    "WorkerService": "worker",
}
"""Component class -> title, if it differs from the words of its name: boxes are narrow."""
ANYWHERE = ("0.0.0.0/0", "::/0")

RULE, POLICY, LINK = "rule", "policy", "link"
EVERY_TASK = "every task"
"""Source of an arrow that all tasks share: one arrow from their ring's edge replaces one from each."""

UNKNOWN_VALUE_PATTERN = re.compile(r"\[secret\]|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Pulumi's markers of secrets and of unknown values."""


@dataclass(frozen=True)
class Box:
    """One component, or a source of traffic outside."""

    key: str
    title: str
    facts: tuple[str, ...]
    region: str


INTERNET = Box("Internet", "Internet", (), EDGE)


@dataclass(frozen=True)
class Arrow:
    """An arrow between the keys of two boxes. The label is the port of a security group rule."""

    source: str
    target: str
    kind: str
    label: str = ""


@dataclass(frozen=True)
class Diagram:
    """The content of a diagram, in a deterministic order."""

    stack: str
    vpc: str
    """The VPC's CIDR block; empty without one."""
    subnets: dict[str, int]
    """Number of subnets in each ring."""
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def _size(inputs: dict[str, Any]) -> Iterator[str]:
    yield _fact("{:g} vCPU", inputs.get("cpu"), 1024)
    yield _fact("{:g} GB", inputs.get("memory"), 1024)


def _service(inputs: dict[str, Any]) -> Iterator[str]:
    yield format_count(inputs.get("desiredCount"), "task")
    if any(s.get("capacityProvider") == "FARGATE_SPOT" for s in inputs.get("capacityProviderStrategies", ())):
        yield "Spot"


def _database(inputs: dict[str, Any]) -> Iterator[str]:
    yield inputs.get("instanceClass", "")
    yield "Multi-AZ" if inputs.get("multiAz") else ""
    yield " ".join(filter(None, (inputs.get("engine", "").capitalize(), inputs.get("engineVersion"))))


# Allowlist of displayed properties by type, because a state may contain secrets.
DETAIL_FUNCTIONS: dict[str, Callable[[dict[str, Any]], Iterable[str]]] = {
    SERVICE_TYPE: _service,
    SCALING_TARGET_TYPE: lambda i: [_fact("scales to {:g}", i.get("maxCapacity"))],
    TASK_DEFINITION_TYPE: _size,
    "aws:budgets/budget:Budget": lambda i: [_fact("{:g} USD a month", i.get("limitAmount"))],
    "aws:acm/certificate:Certificate": lambda i: [i.get("domainName", "")],
    DISTRIBUTION_TYPE: lambda i: [f"caches {b.get('pathPattern', '')}" for b in i.get("orderedCacheBehaviors", ())],
    "aws:elasticache/replicationGroup:ReplicationGroup": lambda i: [
        i.get("nodeType", ""),
        format_count(i.get("numCacheClusters"), "node"),
        " ".join(filter(None, (i.get("engine", "").capitalize(), i.get("engineVersion")))),
    ],
    "aws:kms/key:Key": lambda i: ["key rotated every year" if i.get("enableKeyRotation") else ""],
    "aws:lb/listener:Listener": lambda i: [" ".join(str(i[key]) for key in ("protocol", "port") if key in i)],
    "aws:rds/instance:Instance": _database,
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": lambda i: [
        f"{i['own']}: {days}"
        for r in i.get("rules", ())
        if (days := format_count(r.get("expiration", {}).get("days"), "day"))
    ],
    "aws:scheduler/schedule:Schedule": lambda i: [i.get("scheduleExpression", "")],
    "aws:wafv2/webAcl:WebAcl": lambda i: [format_count(len(i.get("rules", ())), "rule")],
}
COUNTED_TYPES = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": "alarm",
    "aws:ec2/flowLog:FlowLog": "flow log",
    "aws:ec2/natGateway:NatGateway": "NAT gateway",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "endpoint",
    "aws:ecr/repository:Repository": "repository",
    "aws:route53/record:Record": "record",
    "aws:secretsmanager/secret:Secret": "secret",
    "aws:sns/topic:Topic": "topic",
    "aws:sqs/queue:Queue": "queue",
}


def build_diagram(states: list[ResourceState]) -> Diagram:
    """Reads the graph of one stack."""
    return _Reading(states).picture()


class _Reading:
    """The graph, with the component that each resource belongs to."""

    def __init__(self, states: list[ResourceState]) -> None:
        kept = [s for s in states if s["type"] != STACK_TYPE and not s["type"].startswith("pulumi:providers:")]
        self.states = {state["urn"]: state for state in sorted(kept, key=lambda s: str(s["urn"]))}
        self.stack = next((str(s["urn"]).split("::")[0].rsplit(":", 1)[-1] for s in states), "")
        # A nested component gets its own box if it has its own security group.
        grouped = {s.get("parent") for s in kept if s["type"] == SECURITY_GROUP_TYPE}
        top = {urn for urn, state in self.states.items() if state.get("parent") not in self.states}
        self.boxed = top | (grouped & self.states.keys())
        self.images = [
            urn for urn in self.states if urn in self.boxed and self.states[urn]["type"].endswith(IMAGE_TYPE)
        ]
        self.parts: dict[str, list[ResourceState]] = defaultdict(list)
        for urn, state in self.states.items():
            self.parts[self.owner(urn)].append(state)
        # Most components have the environment's name; a suffix distinguishes those of one type.
        names = Counter(_name(urn) for urn in self.parts)
        self.base = min(names, key=lambda name: (-names[name], name), default="")
        services = [_shown(state["inputs"]) for state in self.states.values() if state["type"] == SERVICE_TYPE]
        is_public = any((inputs.get("networkConfiguration") or {}).get("assignPublicIp") for inputs in services)
        self.task_ring = PUBLIC if is_public else PRIVATE
        self.ranges = {
            _shown(s["inputs"]).get("cidrBlock"): self.owner(urn)
            for urn, s in self.states.items()
            if s["type"] == VPC_TYPE
        }

    def picture(self) -> Diagram:
        """Returns the diagram."""
        outside: dict[str, Box] = {}
        rings = {urn: self._ring(parts) for urn, parts in self.parts.items()}
        arrows = {*self._rules(outside), *self._policies(), *self._links(rings)}
        tasks = {urn for urn, parts in self.parts.items() if any(s["type"] == TASK_DEFINITION_TYPE for s in parts)}
        one_ring = {rings[urn] for urn in tasks} == {PRIVATE}
        used = {a.target for a in arrows if a.kind == POLICY and a.source in tasks}
        facts = self._facts()
        boxes = [
            Box(urn, self._title(urn), facts[urn], ring or (USED_BY_TASKS if urn in used else ALONGSIDE))
            for urn, ring in rings.items()
        ]
        order = {box.key: (*self._rank(box.key), box.title, box.key) for box in boxes}
        subnets = Counter(_ring_of(urn) for urn in self.states if f"{SUBNET_TYPE}::" in urn)
        return Diagram(
            self.stack,
            next(filter(None, self.ranges), ""),
            {ring: subnets[ring] for ring in RINGS if ring in subnets},
            (*sorted(outside.values(), key=lambda b: b.title), *sorted(boxes, key=lambda b: order[b.key])),
            tuple(
                sorted(
                    _together(arrows, tasks if one_ring else set()), key=lambda a: (a.kind, a.target, a.label, a.source)
                )
            ),
        )

    def owner(self, urn: str) -> str:
        """Returns the component of a resource."""
        while urn not in self.boxed:
            urn = self.states[urn]["parent"]
        return self.images[0] if urn in self.images else urn  # one box for all images

    def _dependencies(self, state: ResourceState, key: str = "") -> list[str]:
        """Returns the owners of a property's dependencies; without a key, of all. Not `dependsOn`, which is order."""
        found = state.get("propertyDependencies", {})
        urns = found.get(key, []) if key else [urn for urns in found.values() for urn in urns]
        return [self.owner(urn) for urn in urns if urn in self.states]

    def _ring(self, parts: list[ResourceState]) -> str:
        named = {_ring_of(u) for s in parts for us in s.get("propertyDependencies", {}).values() for u in us}
        types = [s["type"] for s in parts]
        if found := next((ring for ring in RINGS if ring in named), ""):
            return found
        if TASK_DEFINITION_TYPE in types:
            return self.task_ring  # a standalone task gets its subnets at its start
        return EDGE if any(kind.startswith(EDGE_TYPES) for kind in types) else ""

    def _rules(self, outside: dict[str, Box]) -> Iterator[Arrow]:
        distributions = [self.owner(urn) for urn, s in self.states.items() if s["type"] == DISTRIBUTION_TYPE]
        for distribution in distributions:
            outside[INTERNET.key] = INTERNET
            yield Arrow(INTERNET.key, distribution, RULE, "443")
        for state in self.states.values():
            if state["type"] != INGRESS_RULE_TYPE:
                continue
            inputs = _shown(state["inputs"])
            block = inputs.get("cidrIpv4") or inputs.get("cidrIpv6") or "elsewhere"
            sources = self._dependencies(state, "referencedSecurityGroupId") or [self.ranges.get(block, "")]
            if "prefixListId" in state["inputs"] and distributions:
                sources = distributions
            if not sources[0]:
                box = INTERNET if block in ANYWHERE else Box(block, block, ("address range",), EDGE)
                sources = [box.key]
                outside[box.key] = box
            ports = dict.fromkeys(str(inputs[key]) for key in ("fromPort", "toPort") if key in inputs)
            for target in self._dependencies(state, "securityGroupId"):
                yield from (Arrow(source, target, RULE, "-".join(ports) or "all") for source in sources)

    def _policies(self) -> Iterator[Arrow]:
        for urn, state in self.states.items():
            if state["type"] in POLICY_TYPES:
                owner = self.owner(urn)
                yield from (Arrow(owner, t, POLICY) for t in self._dependencies(state, "policy") if t != owner)

    def _links(self, rings: dict[str, str]) -> Iterator[Arrow]:
        """Yields arrows between the edge and the public ring, in either direction: records, certificates."""
        for urn, state in self.states.items():
            one = self.owner(urn)
            for other in self._dependencies(state):
                if (rings[one], rings[other]) in ((EDGE, PUBLIC), (PUBLIC, EDGE)):
                    yield Arrow(one, other, LINK) if rings[one] == EDGE else Arrow(other, one, LINK)

    def _facts(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, dict[str, None]] = {urn: {} for urn in self.parts}
        for urn, parts in self.parts.items():
            # A service's number of tasks comes before their size.
            for state in sorted(
                parts, key=lambda s: list(DETAIL_FUNCTIONS).index(s["type"]) if s["type"] in DETAIL_FUNCTIONS else 99
            ):
                about = [urn]
                if state["type"] == SCALING_TARGET_TYPE:
                    services = state.get("propertyDependencies", {}).get("resourceId", [])
                    about = [self.owner(u) for u in services if u in self.states and f"{SERVICE_TYPE}::" in u] or about
                inputs = _shown(state.get("inputs", {})) | {"own": self._own_name(state["urn"]) or "files"}
                told = DETAIL_FUNCTIONS[state["type"]](inputs) if state["type"] in DETAIL_FUNCTIONS else ()
                found[about[0]] |= dict.fromkeys(filter(None, told))
            kinds = Counter(s["type"] for s in parts)
            zones = {_shown(s["inputs"]).get("availabilityZone") for s in parts if s["type"] == SUBNET_TYPE} - {None}
            found[urn] |= {format_count(len(zones), "zone"): None} if zones else {}
            found[urn] |= {format_count(kinds[kind], noun): None for kind, noun in COUNTED_TYPES.items() if kinds[kind]}
        if self.images:
            found[self.images[0]] = dict.fromkeys(self._own_name(urn) or "app" for urn in self.images)
        return {
            urn: tuple(facts) or (format_count(sum(s.get("custom", True) for s in self.parts[urn]), "resource"),)
            for urn, facts in found.items()
        }

    def _rank(self, urn: str) -> tuple[bool, ...]:
        """Sorts services before standalone tasks, and both before components without tasks."""
        types = {state["type"] for state in self.parts[urn]}
        return TASK_DEFINITION_TYPE not in types, SERVICE_TYPE not in types, VPC_TYPE in types

    def _title(self, urn: str) -> str:
        if urn in self.images:
            return "Images"
        kind = str(self.states[urn]["type"]).rsplit(":", 1)[-1]
        words = TITLES.get(kind) or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()
        own = self._own_name(urn)
        longer, shorter = (own, words) if len(own) > len(words) else (words, own)
        title = longer if shorter.lower() in longer.lower() else f"{own} ({words})"
        return title[0].upper() + title[1:]

    def _own_name(self, urn: str) -> str:
        """Returns the part of a name after the environment's."""
        return _name(urn).removeprefix(self.base).strip("-").replace("-", " ")


def _together(arrows: set[Arrow], tasks: set[str]) -> Iterator[Arrow]:
    sources: dict[str, set[str]] = defaultdict(set)
    for arrow in arrows:
        if arrow.kind == POLICY:
            sources[arrow.target].add(arrow.source)
    every = {target for target, found in sources.items() if len(tasks) > 1 and tasks <= found}
    yield from (Arrow(EVERY_TASK, target, POLICY) for target in every)
    yield from (a for a in arrows if not (a.kind == POLICY and a.target in every and a.source in tasks))


def _shown(value: Any) -> Any:
    """Returns inputs without secrets and unknown values."""
    if isinstance(value, dict):
        kept = {} if PULUMI_SIGNATURE_KEY in value else {key: _shown(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None}
    if isinstance(value, list):
        return [item for item in map(_shown, value) if item is not None]
    return None if isinstance(value, str) and UNKNOWN_VALUE_PATTERN.fullmatch(value) else value


def _name(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]


def _ring_of(urn: str) -> str:
    """Returns the ring in a subnet's name, before its zone's number; empty for another resource."""
    found = re.search(rf"-({'|'.join(RINGS)})-\d+$", urn) if f"{SUBNET_TYPE}::" in urn else None
    return found[1] if found else ""


def _fact(text: str, value: Any, unit: int = 1) -> str:
    """Formats a number in units; empty if the value is not a number."""
    return text.format(float(value) / unit) if str(value).replace(".", "", 1).isdigit() else ""


def format_count(number: int | None, noun: str) -> str:
    """Returns `3 tasks`; empty if the number is unknown."""
    if number is None:
        return ""
    many = noun if number == 1 else re.sub(r"(?<![aeiou])y$", "ie", noun) + "s"
    return f"{number} {many}"
