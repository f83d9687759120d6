"""What the picture of a stack shows: boxes and arrows, read from the preview's graph and from nothing else.

A box is a component, with what its children's inputs say about its size. Where it stands follows from the graph as
well: a ring if its children name the ring's subnets, the edge if they are DNS, certificates or firewalls, beside the
network if a task's policy names it, and alongside otherwise. So a new component needs no change here.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from infra.graph.plan import STACK_TYPE, State

EDGE, PUBLIC, PRIVATE, ISOLATED, USED, AROUND = "edge", "public", "private", "isolated", "used", "around"
RINGS = (PUBLIC, PRIVATE, ISOLATED)
EDGE_TYPES = ("aws:acm/", "aws:cloudfront/", "aws:route53/", "aws:wafv2/")
SUBNET = "aws:ec2/subnet:Subnet"
VPC = "aws:ec2/vpc:Vpc"
SERVICE = "aws:ecs/service:Service"
TASK_DEFINITION = "aws:ecs/taskDefinition:TaskDefinition"
SCALING = "aws:appautoscaling/target:Target"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
RULE_TYPE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
POLICY_TYPES = ("aws:iam/policy:Policy", "aws:iam/rolePolicy:RolePolicy")
ACRONYMS = ("dns", "waf")
ANYWHERE = ("0.0.0.0/0", "::/0")

RULE, POLICY, LINK = "rule", "policy", "link"
EVERY_TASK = "every task"
"""The source of an arrow that all tasks have: it starts at their ring's edge, for one each would be a thicket."""

SECRET_MARK = "4dabf18193072939515e22adb298388d"  # noqa: S105 - the key by which the engine marks special values
NOT_KNOWN = re.compile(r"\[secret\]|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""What the engine writes for a secret, and for what only a deployment can tell."""


@dataclass(frozen=True)
class Box:
    """One component, or a source of traffic outside."""

    key: str
    title: str
    facts: tuple[str, ...]
    region: str


@dataclass(frozen=True)
class Arrow:
    """From one box to another, by their keys. Its label is the port that a security group's rule opens."""

    source: str
    target: str
    kind: str
    label: str = ""


@dataclass(frozen=True)
class Picture:
    """What is drawn, in an order that does not depend on the run."""

    stack: str
    vpc: str
    """The network's address range; empty without one."""
    subnets: dict[str, int]
    """How many of them each ring has."""
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def _size(inputs: dict[str, Any]) -> Iterator[str]:
    yield _fact("{:g} vCPU", inputs.get("cpu"), 1024)
    yield _fact("{:g} GB", inputs.get("memory"), 1024)


def _service(inputs: dict[str, Any]) -> Iterator[str]:
    yield counted(inputs.get("desiredCount"), "task")
    if any(s.get("capacityProvider") == "FARGATE_SPOT" for s in inputs.get("capacityProviderStrategies", ())):
        yield "Spot"


def _database(inputs: dict[str, Any]) -> Iterator[str]:
    yield inputs.get("instanceClass", "")
    yield "Multi-AZ" if inputs.get("multiAz") else ""
    yield " ".join(filter(None, (inputs.get("engine", "").capitalize(), inputs.get("engineVersion"))))


# The properties that may be shown, by type. A list of what is allowed, for a state may hold anything.
FACTS: dict[str, Callable[[dict[str, Any]], Iterable[str]]] = {
    SERVICE: _service,
    SCALING: lambda i: [_fact("scales to {:g}", i.get("maxCapacity"))],
    TASK_DEFINITION: _size,
    "aws:budgets/budget:Budget": lambda i: [_fact("{:g} USD a month", i.get("limitAmount"))],
    "aws:acm/certificate:Certificate": lambda i: [i.get("domainName", "")],
    "aws:elasticache/replicationGroup:ReplicationGroup": lambda i: [
        i.get("nodeType", ""),
        counted(i.get("numCacheClusters"), "node"),
        " ".join(filter(None, (i.get("engine", "").capitalize(), i.get("engineVersion")))),
    ],
    "aws:kms/key:Key": lambda i: ["key rotated every year" if i.get("enableKeyRotation") else ""],
    "aws:lb/listener:Listener": lambda i: [" ".join(str(i[key]) for key in ("protocol", "port") if key in i)],
    "aws:rds/instance:Instance": _database,
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": lambda i: [
        f"{i['own']}: {days}"
        for r in i.get("rules", ())
        if (days := counted(r.get("expiration", {}).get("days"), "day"))
    ],
    "aws:scheduler/schedule:Schedule": lambda i: [i.get("scheduleExpression", "")],
    "aws:wafv2/webAcl:WebAcl": lambda i: [counted(len(i.get("rules", ())), "rule")],
}
COUNTED = {
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


def picture(states: list[State]) -> Picture:
    """Read the graph of one stack."""
    return _Reading(states).picture()


class _Reading:
    """The graph, with the component that each resource belongs to."""

    def __init__(self, states: list[State]) -> None:
        kept = [s for s in states if s["type"] != STACK_TYPE and not s["type"].startswith("pulumi:providers:")]
        self.states = {state["urn"]: state for state in sorted(kept, key=lambda s: str(s["urn"]))}
        self.stack = next((str(s["urn"]).split("::")[0].rsplit(":", 1)[-1] for s in states), "")
        # A component inside another has a box of its own if security groups tell the two apart.
        grouped = {s.get("parent") for s in kept if s["type"] == GROUP}
        top = {urn for urn, state in self.states.items() if state.get("parent") not in self.states}
        self.boxed = top | (grouped & self.states.keys())
        self.parts: dict[str, list[State]] = defaultdict(list)
        for urn, state in self.states.items():
            self.parts[self.owner(urn)].append(state)
        # Most components bear the environment's name; what another has beyond it tells it from its like.
        names = Counter(_name(urn) for urn in self.parts)
        self.base = min(names, key=lambda name: (-names[name], name), default="")
        self.ranges = {
            _shown(s["inputs"]).get("cidrBlock"): self.owner(urn) for urn, s in self.states.items() if s["type"] == VPC
        }

    def picture(self) -> Picture:
        """All of it."""
        outside: dict[str, Box] = {}
        rings = {urn: self._ring(parts) for urn, parts in self.parts.items()}
        arrows = {*self._rules(outside), *self._policies(), *self._links(rings)}
        tasks = {urn for urn, parts in self.parts.items() if any(s["type"] == TASK_DEFINITION for s in parts)}
        one_ring = {rings[urn] for urn in tasks} == {PRIVATE}
        used = {a.target for a in arrows if a.kind == POLICY and a.source in tasks}
        facts = self._facts()
        boxes = [
            Box(urn, self._title(urn), facts[urn], ring or (USED if urn in used else AROUND))
            for urn, ring in rings.items()
        ]
        order = {box.key: (*self._rank(box.key), box.title, box.key) for box in boxes}
        subnets = Counter(_ring_of(urn) for urn in self.states if f"{SUBNET}::" in urn)
        return Picture(
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
        """The component that a resource belongs to."""
        while urn not in self.boxed:
            urn = self.states[urn]["parent"]
        return urn

    def _dependencies(self, state: State, key: str = "") -> list[str]:
        """Who owns what a property is made from; of all properties without a key. Not `dependsOn`: that is order."""
        found = state.get("propertyDependencies", {})
        urns = found.get(key, []) if key else [urn for urns in found.values() for urn in urns]
        return [self.owner(urn) for urn in urns if urn in self.states]

    def _ring(self, parts: list[State]) -> str:
        named = {_ring_of(u) for s in parts for us in s.get("propertyDependencies", {}).values() for u in us}
        types = [s["type"] for s in parts]
        if found := next((ring for ring in RINGS if ring in named), ""):
            return found
        if TASK_DEFINITION in types:
            return PRIVATE  # a one-off task is given its subnets when it is started
        return EDGE if any(kind.startswith(EDGE_TYPES) for kind in types) else ""

    def _rules(self, outside: dict[str, Box]) -> Iterator[Arrow]:
        for state in self.states.values():
            if state["type"] != RULE_TYPE:
                continue
            inputs = _shown(state["inputs"])
            block = inputs.get("cidrIpv4") or inputs.get("cidrIpv6") or "elsewhere"
            sources = self._dependencies(state, "referencedSecurityGroupId") or [self.ranges.get(block, "")]
            if not sources[0]:
                title = "Internet" if block in ANYWHERE else block
                sources = [title]
                outside[title] = Box(title, title, () if title == "Internet" else ("address range",), EDGE)
            ports = dict.fromkeys(str(inputs[key]) for key in ("fromPort", "toPort") if key in inputs)
            for target in self._dependencies(state, "securityGroupId"):
                yield from (Arrow(source, target, RULE, "-".join(ports) or "all") for source in sources)

    def _policies(self) -> Iterator[Arrow]:
        for urn, state in self.states.items():
            if state["type"] in POLICY_TYPES:
                owner = self.owner(urn)
                yield from (Arrow(owner, t, POLICY) for t in self._dependencies(state, "policy") if t != owner)

    def _links(self, rings: dict[str, str]) -> Iterator[Arrow]:
        """Between the edge and the public ring, whichever of the two names the other: a record, a certificate."""
        for urn, state in self.states.items():
            one = self.owner(urn)
            for other in self._dependencies(state):
                if (rings[one], rings[other]) in ((EDGE, PUBLIC), (PUBLIC, EDGE)):
                    yield Arrow(one, other, LINK) if rings[one] == EDGE else Arrow(other, one, LINK)

    def _facts(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, dict[str, None]] = {urn: {} for urn in self.parts}
        for urn, parts in self.parts.items():
            # A service's number of tasks stands before their size.
            for state in sorted(parts, key=lambda s: list(FACTS).index(s["type"]) if s["type"] in FACTS else 99):
                about = [urn]
                if state["type"] == SCALING:
                    services = state.get("propertyDependencies", {}).get("resourceId", [])
                    about = [self.owner(u) for u in services if u in self.states and f"{SERVICE}::" in u] or about
                inputs = _shown(state.get("inputs", {})) | {"own": self._own_name(state["urn"]) or "files"}
                told = FACTS[state["type"]](inputs) if state["type"] in FACTS else ()
                found[about[0]] |= dict.fromkeys(filter(None, told))
            kinds = Counter(s["type"] for s in parts)
            zones = {_shown(s["inputs"]).get("availabilityZone") for s in parts if s["type"] == SUBNET} - {None}
            found[urn] |= {counted(len(zones), "zone"): None} if zones else {}
            found[urn] |= {counted(kinds[kind], noun): None for kind, noun in COUNTED.items() if kinds[kind]}
        return {
            urn: tuple(facts) or (counted(sum(s.get("custom", True) for s in self.parts[urn]), "resource"),)
            for urn, facts in found.items()
        }

    def _rank(self, urn: str) -> tuple[bool, ...]:
        """Services before tasks that come and go, and both before what has no task."""
        types = {state["type"] for state in self.parts[urn]}
        return TASK_DEFINITION not in types, SERVICE not in types, VPC in types

    def _title(self, urn: str) -> str:
        kind = str(self.states[urn]["type"]).rsplit(":", 1)[-1]
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()
        own = self._own_name(urn)
        title = f"{own} ({words})" if own else kind.upper() if words in ACRONYMS else words
        return title[0].upper() + title[1:]

    def _own_name(self, urn: str) -> str:
        """What a name says beyond the environment's."""
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
    """Inputs without what is secret or not known yet."""
    if isinstance(value, dict):
        kept = {} if SECRET_MARK in value else {key: _shown(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None}
    if isinstance(value, list):
        return [item for item in map(_shown, value) if item is not None]
    return None if isinstance(value, str) and NOT_KNOWN.fullmatch(value) else value


def _name(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]


def _ring_of(urn: str) -> str:
    """The ring that a subnet's name ends with, before its zone's number; empty for another resource."""
    found = re.search(rf"-({'|'.join(RINGS)})-\d+$", urn) if f"{SUBNET}::" in urn else None
    return found[1] if found else ""


def _fact(text: str, value: Any, unit: int = 1) -> str:
    """The number in the text, counted in units; empty where the value is none."""
    return text.format(float(value) / unit) if str(value).replace(".", "", 1).isdigit() else ""


def counted(number: int | None, noun: str) -> str:
    """`3 tasks`; empty where the number is not known."""
    if number is None:
        return ""
    many = noun if number == 1 else re.sub(r"(?<![aeiou])y$", "ie", noun) + "s"
    return f"{number} {many}"
