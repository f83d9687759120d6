"""The picture of a stack, from a small graph written by hand."""

from __future__ import annotations

import random
import re
from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from slipway.graph.diagram import EVERY_TASK, POLICY, PULUMI_SIGNATURE_KEY, RULE, Arrow, Diagram, build_diagram
from slipway.graph.diagram_layout import BOLD_WIDTH, BOX_WIDTH, PADDING, text_width, title_size
from slipway.graph.plan import STACK_TYPE, ResourceState
from slipway.graph.svg_drawing import draw_svg

SVG = "{http://www.w3.org/2000/svg}"
START = "urn:pulumi:test::slipway::"
STACK = f"{START}{STACK_TYPE}::slipway-test"
NAME = "slipway-test"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
RULE_TYPE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"

Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom."""


class Graph:
    """States as the engine's preview tells them."""

    def __init__(self) -> None:
        self.states: list[ResourceState] = [{"urn": STACK, "type": STACK_TYPE}]

    def component(self, kind: str, name: str = NAME, parent: str = STACK) -> str:
        """A component; returns its URN."""
        path = "" if parent == STACK else parent.split("::")[2] + "$"
        urn = f"{START}{path}slipway:{kind}::{name}"
        self.states.append({"urn": urn, "type": f"slipway:{kind}", "parent": parent, "custom": False})
        return urn

    def resource(
        self, parent: str, kind: str, name: str, inputs: dict[str, Any] | None = None, **made_from: str | list[str]
    ) -> str:
        """A resource, with the URNs that its properties are made from."""
        urn = f"{START}{parent.split('::')[2]}${kind}::{name}"
        depends = {key: [urns] if isinstance(urns, str) else urns for key, urns in made_from.items()}
        state = {"urn": urn, "type": kind, "parent": parent, "custom": True, "inputs": inputs or {}}
        self.states.append(state | {"propertyDependencies": depends})
        return urn

    def allow(self, parent: str, name: str, port: int, target: str, source: str | None = None) -> None:
        """A security group's rule; from the internet without a source."""
        inputs = {"fromPort": port, "toPort": port} | ({} if source else {"cidrIpv4": "0.0.0.0/0"})
        made_from = {"securityGroupId": target} | ({"referencedSecurityGroupId": source} if source else {})
        self.resource(parent, RULE_TYPE, name, inputs, **made_from)


def small(tasks: int = 2, others: int = 1) -> Graph:
    """A load balancer before `tasks` that use a database, a queue and secrets, with `others` around."""
    graph = Graph()
    network = graph.component("ec2:VpcNetwork")
    graph.resource(network, "aws:ec2/vpc:Vpc", "vpc", {"cidrBlock": "10.0.0.0/16"})
    subnets = {
        ring: graph.resource(network, "aws:ec2/subnet:Subnet", f"{NAME}-{ring}-1", {"availabilityZone": "z-a"})
        for ring in ("public", "private", "isolated")
    }
    graph.resource(network, "aws:ec2/natGateway:NatGateway", "nat", subnetId=subnets["public"])
    balancer = graph.component("elb:ApplicationLoadBalancer")
    door = graph.resource(balancer, GROUP, "lb")
    graph.resource(balancer, "aws:lb/loadBalancer:LoadBalancer", "lb", subnets=subnets["public"])
    graph.allow(balancer, "https", 443, door)
    firewall = graph.component("wafv2:RegionalWebAcl")
    graph.resource(firewall, "aws:wafv2/webAclAssociation:WebAclAssociation", "waf", resourceArn=door)
    database = graph.component("rds:RdsDatabase")
    store = graph.resource(database, GROUP, "database")
    graph.resource(database, "aws:rds/subnetGroup:SubnetGroup", "database", subnetIds=subnets["isolated"])
    queue = graph.resource(graph.component("sqs:SqsQueue"), "aws:sqs/queue:Queue", "jobs")
    secret = graph.resource(graph.component("secretsmanager:Secrets"), "aws:secretsmanager/secret:Secret", "secret")
    for number in range(tasks):
        owner = graph.component("ecs:WebService", f"{NAME}-{number}")
        task = graph.component("ecs:FargateTaskDefinition", f"{NAME}-{number}", owner)
        graph.resource(
            task, "aws:ecs/taskDefinition:TaskDefinition", f"task-{number}", {"cpu": "512", "memory": "1024"}
        )
        graph.resource(task, "aws:iam/rolePolicy:RolePolicy", f"task-{number}", policy=[secret, *[queue][number:]])
        group = graph.resource(owner, GROUP, f"web-{number}")
        inputs = {"desiredCount": 3}
        service = graph.resource(
            owner, "aws:ecs/service:Service", f"web-{number}", inputs, networkConfiguration=subnets["private"]
        )
        graph.allow(owner, f"in-{number}", 8000, group, door)
        graph.allow(owner, f"store-{number}", 5433, store, group)
        graph.resource(
            graph.component("appautoscaling:ServiceAutoscaling", f"{NAME}-{number}", owner),
            "aws:appautoscaling/target:Target",
            f"scale-{number}",
            {"maxCapacity": 9},
            resourceId=service,
        )
    for number in range(others):
        graph.component("novelty:Novelty", f"{NAME}-new-{number}")
    return graph


def svg(graph: Graph) -> ElementTree.Element:
    return ElementTree.fromstring(draw_svg(build_diagram(graph.states)))  # noqa: S314 - written here


def boxes(root: ElementTree.Element) -> list[Rectangle]:
    found = []
    for rect in root.iterfind(f".//{SVG}rect[@class='box']"):
        x, y, width, height = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
        found.append((x, y, x + width, y + height))
    return found


def texts(root: ElementTree.Element) -> list[tuple[str, Rectangle]]:
    found = []
    for text in root.iter(f"{SVG}text"):
        x, y, size = (float(text.attrib[key]) for key in ("x", "y", "font-size"))
        found.append((text.text or "", (x, y - 0.75 * size, x + text_width(text.text or "", int(size)), y)))
    return found


def ways(root: ElementTree.Element) -> list[list[tuple[float, float]]]:
    """The corners of every arrow."""
    found = []
    for path in root.iterfind(f".//{SVG}path[@class='arrow']"):
        for way in path.attrib["d"].split("M")[1:]:
            corners = [point.split() for point in way.split("L")]
            found.append([(float(x), float(y)) for x, y in corners])
    return found


def overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def by_title(graph: Graph) -> dict[str, tuple[str, ...]]:
    return {box.title: box.facts for box in build_diagram(graph.states).boxes}


def of_kind(found: Diagram, kind: str) -> list[Arrow]:
    return [arrow for arrow in found.arrows if arrow.kind == kind]


def test_every_component_is_in_the_picture_also_one_that_nobody_knew() -> None:
    words = {text for text, _ in texts(svg(small()))}
    assert words >= {
        "Internet",
        "WAF",
        "Load balancer",
        "Network",
        "0 (web)",
        "1 (web)",
        "Database",
        "Queue",
        "Secrets",
    }
    assert "New 0 (novelty)" in words


def test_what_is_not_in_the_graph_is_not_in_the_picture() -> None:
    graph = Graph()
    graph.component("novelty:Novelty")
    assert [box.title for box in build_diagram(graph.states).boxes] == ["Novelty"]
    assert "VPC" not in {text for text, _ in texts(svg(graph))}


def test_a_box_tells_its_size_from_the_inputs_of_its_children() -> None:
    found = by_title(small())
    assert found["0 (web)"] == ("3 tasks", "scales to 9", "0.5 vCPU", "1 GB")
    assert found["Network"] == ("1 zone", "1 NAT gateway")
    assert found["New 0 (novelty)"] == ("0 resources",)


def test_every_rule_of_a_security_group_is_an_arrow_to_its_port() -> None:
    graph = small(tasks=3)
    rules = [state for state in graph.states if state["type"] == RULE_TYPE]
    found = build_diagram(graph.states)
    assert len(of_kind(found, RULE)) == len(rules) == 7
    titles = {box.key: box.title for box in found.boxes}
    assert {(titles[a.source], titles[a.target], a.label) for a in of_kind(found, RULE)} >= {
        ("Internet", "Load balancer", "443"),
        ("Load balancer", "0 (web)", "8000"),
        ("2 (web)", "Database", "5433"),
    }
    assert len(ways(svg(graph))) == len(found.arrows)
    assert {"443", "8000", "5433"} <= {text for text, _ in texts(svg(graph))}


def test_a_policy_is_an_arrow_and_what_every_task_may_use_is_one() -> None:
    found = build_diagram(small(tasks=3).states)
    titles = {box.key: box.title for box in found.boxes} | {EVERY_TASK: EVERY_TASK}
    assert sorted((titles[a.source], titles[a.target]) for a in of_kind(found, POLICY)) == [
        ("0 (web)", "Queue"),
        (EVERY_TASK, "Secrets"),
    ]


def test_a_range_of_addresses_is_the_network_or_a_box_outside() -> None:
    graph = small()
    network = next(s["urn"] for s in graph.states if s["type"] == "slipway:ec2:VpcNetwork")
    endpoints = graph.component("ec2:VpcEndpoints", parent=network)
    group = graph.resource(endpoints, GROUP, "endpoints")
    for block in ("10.0.0.0/16", "192.0.2.0/24"):
        inputs = {"cidrIpv4": block, "fromPort": 443, "toPort": 443}
        graph.resource(endpoints, RULE_TYPE, block, inputs, securityGroupId=group)
    found = build_diagram(graph.states)
    assert {a.source for a in of_kind(found, RULE) if a.target == endpoints} == {network, "192.0.2.0/24"}


@pytest.mark.parametrize(("tasks", "others"), [(1, 0), (2, 1), (4, 7), (5, 5), (13, 23)])
def test_nothing_lies_on_anything_else_however_much_there_is(tasks: int, others: int) -> None:
    root = svg(small(tasks, others))
    width, height = (float(root.attrib[key]) for key in ("width", "height"))
    rectangles = boxes(root)
    insides = [(x + 1, y + 1, right - 1, bottom - 1) for x, y, right, bottom in rectangles]
    assert len(rectangles) == tasks + others + 7
    assert not [pair for pair in combinations(rectangles, 2) if overlap(*pair)]
    words = texts(root)
    assert not [(a, b) for (a, one), (b, two) in combinations(words, 2) if overlap(one, two)]
    assert all(x >= 0 and y >= 0 and right <= width and bottom <= height for _, (x, y, right, bottom) in words)
    for way in ways(root):
        for (x1, y1), (x2, y2) in pairwise(way):
            assert x1 == x2 or y1 == y2
            piece = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
            around = (piece[0] - 0.1, piece[1] - 0.1, piece[2] + 0.1, piece[3] + 0.1)
            assert not [word for word, place in words if overlap(around, place)]
            # It may touch the box that it starts or ends at, and no more.
            assert not [box for box in insides if overlap(piece, box)]


@pytest.mark.parametrize("title", ["Connect (one off task)", "Cleanup (scheduled)", "Service discovery", "Web"])
def test_a_title_fits_its_box_in_a_wide_bold_font(title: str) -> None:
    inside = BOX_WIDTH - 2 * PADDING
    assert BOLD_WIDTH * text_width(title, title_size(title, inside)) <= inside


def test_two_arrows_do_not_run_on_one_line_unless_they_end_as_one() -> None:
    root = svg(small(13, 3))
    pieces: list[tuple[str, tuple[Any, ...]]] = []
    for path in root.iterfind(f".//{SVG}path[@class='arrow']"):
        for way in path.attrib["d"].split("M")[1:]:
            points = [tuple(map(int, point.split())) for point in way.split("L")]
            pieces += [(path.attrib["d"], tuple(sorted(pair))) for pair in pairwise(points)]
    for (one, (a, b)), (other, (c, d)) in combinations(pieces, 2):
        if one != other and a[0] == b[0] and c[0] == d[0] and abs(a[0] - c[0]) < 5:
            assert b[1] <= c[1] or d[1] <= a[1]
        if one != other and a[1] == b[1] and c[1] == d[1] and abs(a[1] - c[1]) < 5:
            assert b[0] <= c[0] or d[0] <= a[0]


def test_text_is_escaped() -> None:
    graph = small()
    graph.component("novelty:Novelty", f"{NAME}-<b>&\"'")
    drawn = draw_svg(build_diagram(graph.states))
    assert "<b>" not in drawn
    assert any(text.startswith("<b>&\"'") for text, _ in texts(ElementTree.fromstring(drawn)))  # noqa: S314


def test_a_long_name_is_cut_and_told_in_full_in_the_title() -> None:
    graph = small()
    graph.component("novelty:Novelty", f"{NAME}-{'long-' * 20}end")
    root = svg(graph)
    assert any(text.endswith("…") for text, _ in texts(root))
    assert any("long end (novelty)" in (title.text or "") for title in root.iter(f"{SVG}title"))


def test_the_same_graph_in_another_order_is_the_same_bytes() -> None:
    graph = small(4, 4)
    first = draw_svg(build_diagram(graph.states))
    shuffle = random.Random(1).shuffle  # noqa: S311
    shuffle(graph.states)
    for state in graph.states:
        for urns in state.get("propertyDependencies", {}).values():
            shuffle(urns)
    assert draw_svg(build_diagram(graph.states)) == first


def test_no_secret_and_nothing_unknown_lands_in_the_picture() -> None:
    graph = small()
    cache = graph.component("elasticache:RedisCache")
    inputs = {
        "authToken": "hunter2",
        "nodeType": {PULUMI_SIGNATURE_KEY: "1b47061264138c4ac30d75fd1eb44270", "value": "hunter3"},
        "engine": "[secret]",
        "engineVersion": "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "numCacheClusters": 2,
    }
    graph.resource(cache, "aws:elasticache/replicationGroup:ReplicationGroup", "cache", inputs)
    drawn = draw_svg(build_diagram(graph.states))
    assert by_title(graph)["Cache"] == ("2 nodes",)
    assert not re.search(r"hunter|secret\]|04da6b54", drawn, re.IGNORECASE)


def test_it_is_a_picture_that_says_what_it_shows_and_loads_nothing() -> None:
    root = svg(small())
    assert root.findtext(f"{SVG}title") == "Architecture of stack test"
    assert "Load balancer may connect to port 8000 of 0 (web)" in (root.findtext(f"{SVG}desc") or "")
    assert not list(root.iter(f"{SVG}script")) + list(root.iter(f"{SVG}image")) + list(root.iter(f"{SVG}style"))
    assert "http" not in re.sub(r'xmlns="[^"]+"', "", draw_svg(build_diagram(small().states)))
