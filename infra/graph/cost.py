"""`slipway cost STACK`: what a stack costs a month when nobody uses it, from its resource graph and a price table.

Each line is of resources that the stack makes: what it does not have is not billed, and what has a price by the hour
or the month cannot be forgotten (`FREE` lists what has none). What depends on use is not in the total but told with its
unit price. Files, images and autoscaled tasks are left out, and so is what an account has free.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.app_process import Spot
from infra.components.collector import NAME as COLLECTOR
from infra.errors import SlipwayError
from infra.settings import ROOT

PRICES = Path(__file__).with_name("prices.yaml")
ALARMS_OF_A_POLICY = 2
"""AWS makes them for autoscaling by a target: one to scale out, one to scale in."""
PAID_BY_USE = {
    "aws:lb/loadBalancer:LoadBalancer": [
        ("load balancer capacity", "load_balancer_unit_hour", "unit and hour"),
        ("traffic to the internet", "internet_gb", "GB"),
    ],
    "aws:ec2/natGateway:NatGateway": [("traffic through NAT gateways", "nat_gateway_gb", "GB")],
    "aws:ec2/vpcEndpoint:VpcEndpoint Interface": [
        ("traffic through interface endpoints", "interface_endpoint_gb", "GB"),
    ],
    "aws:cloudwatch/logGroup:LogGroup": [("logs written", "log_gb", "GB")],
    "aws:amp/workspace:Workspace": [
        ("samples to Amazon Managed Prometheus", "managed_prometheus_ten_million_samples", "10 million"),
        ("samples that it keeps", "managed_prometheus_gb_month", "GB and month"),
    ],
    "aws:wafv2/webAcl:WebAcl": [("requests that the WAF looks at", "waf_million_requests", "million")],
    "aws:sqs/queue:Queue": [("requests to queues", "sqs_million_requests", "million")],
    "aws:backup/plan:Plan": [
        ("copies of the database's backups elsewhere", "rds_backup_gb_month", "GB and month"),
        ("the way of a copy to another region", "region_transfer_gb", "GB"),
    ],
    "aws:s3/bucket:Bucket": [("files", "s3_gb_month", "GB and month")],
    "aws:ecr/repository:Repository": [("images", "ecr_gb_month", "GB and month")],
}
"""By resource type: what it is called, its price, its unit."""


@dataclass(frozen=True)
class Resource:
    """One resource of the graph, as far as the bill looks at it."""

    type: str
    name: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """One line of the bill, in USD a month."""

    what: str
    how_many: float
    each: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.how_many * self.each


@dataclass(frozen=True)
class UnitPrice:
    """What comes on top with use, in USD."""

    what: str
    price: float
    unit: str


Prices = dict[str, Any]


def prices() -> Prices:
    """The price table."""
    found: Prices = yaml.safe_load(PRICES.read_text())
    return found


def lines(graph: Iterable[Resource]) -> list[Line]:
    """The bill of an idle stack. Raises `SlipwayError` for a size that the table does not have."""
    resources = list(graph)
    table = prices()
    found: dict[tuple[str, float], float] = defaultdict(float)
    for resource in resources:
        for line in PRICED.get(resource.type, _nothing)(resource, table, resources):
            found[line.what, line.each] += line.how_many
    return [Line(what, how_many, each) for (what, each), how_many in found.items() if how_many]


def with_use(graph: Iterable[Resource]) -> list[UnitPrice]:
    """What a stack that is used costs on top, for each unit."""
    table, resources = prices(), list(graph)
    types = {f"{resource.type} {resource.inputs.get('vpcEndpointType', '')}".strip() for resource in resources}
    found = [
        UnitPrice(what, table[key], unit)
        for kind, told in PAID_BY_USE.items()
        if kind in types
        for what, key, unit in told
    ]
    if any(resource.type == IMAGE and resource.name.endswith(f"-{COLLECTOR}") for resource in resources):
        found.append(UnitPrice("traces that X-Ray keeps", table["xray_million_traces"], "million"))
    return found


def _nothing(resource: Resource, table: Prices, graph: list[Resource]) -> list[Line]:
    return []


def _service(resource: Resource, table: Prices, graph: list[Resource]) -> list[Line]:
    """Its tasks, by the definition that bears its name."""
    (task,) = [r.inputs for r in graph if r.type == TASK_DEFINITION and r.inputs["family"] == resource.name]
    fargate = table["fargate"][task["runtimePlatform"]["cpuArchitecture"]]
    cpu, memory = int(task["cpu"]), int(task["memory"])
    hour = cpu / 1024 * fargate["vcpu_hour"] + memory / 1024 * fargate["gb_hour"]
    each = table["hours"] * hour
    label = resource.name.rsplit("-", 1)[-1]
    tasks = resource.inputs["desiredCount"]
    spot = _spot(resource.inputs["capacityProviderStrategies"])
    on_demand = spot.on_demand(tasks) if spot else tasks
    found = [Line(f"{label} tasks, {cpu} CPU units", on_demand, each)] if on_demand or not spot else []
    if spot:
        cheaper = each * table["fargate_spot"]
        found.append(Line(f"{label} tasks on Spot, {cpu} CPU units", tasks - on_demand, cheaper))
    if tasks and _counted(graph):  # a service without a running task has no metrics
        found += _metrics(table["container_insights"]["service"] + table["container_insights"]["task_family"], table)
    return found


def _spot(strategies: list[dict[str, Any]]) -> Spot | None:
    """What the strategies of a service were made of."""
    weights = {each["capacityProvider"]: each for each in strategies}
    if "FARGATE_SPOT" not in weights:
        return None
    fixed = weights.get("FARGATE", {})
    return Spot(base=fixed.get("base", 0), weight=weights["FARGATE_SPOT"]["weight"] if fixed.get("weight") else 0)


def _cluster(resource: Resource, table: Prices, graph: list[Resource]) -> list[Line]:
    return _metrics(table["container_insights"]["cluster"], table) if _counted(graph) else []


def _counted(graph: list[Resource]) -> bool:
    settings = [s for r in graph if r.type == CLUSTER for s in r.inputs.get("settings", [])]
    return {"name": "containerInsights", "value": "enabled"} in settings


def _metrics(number: int, table: Prices) -> list[Line]:
    return [Line("Container Insights metrics", number, table["metric_month"])]


def _balancer(resource: Resource, table: Prices, graph: list[Resource]) -> list[Line]:
    return [
        Line("load balancer", 1, table["hours"] * table["load_balancer_hour"]),
        Line("public IPv4 addresses", len(resource.inputs["subnets"]), table["hours"] * table["public_ipv4_hour"]),
    ]


def _endpoint(resource: Resource, table: Prices, graph: list[Resource]) -> list[Line]:
    if resource.inputs["vpcEndpointType"] != "Interface":
        return []
    hour = table["hours"] * table["interface_endpoint_hour"]
    return [Line("interface endpoints, in each zone", len(resource.inputs["subnetIds"]), hour)]


def _database(resource: Resource, table: Prices, graph: list[Resource]) -> list[Line]:
    size = resource.inputs["instanceClass"]
    # Not twice the price of one: AWS has a price for the pair.
    pair = bool(resource.inputs.get("multiAz"))
    zones, label = ("multi_az", "Multi-AZ") if pair else ("single_az", "Single-AZ")
    storage = resource.inputs["allocatedStorage"]
    found = [
        Line(f"database, {size}, {label}", 1, table["hours"] * _priced(table, "rds_hour", size)[zones]),
        Line(f"database storage, GB, {label}", storage, table["rds_gb_month"][zones]),
    ]
    if resource.inputs.get("manageMasterUserPassword"):
        found.append(Line("secrets", 1, table["secret_month"]))
    return found


def _cache(resource: Resource, table: Prices, graph: list[Resource]) -> list[Line]:
    size = resource.inputs["nodeType"]
    hour = table["hours"] * _priced(table, "elasticache_hour", size)
    return [Line(f"cache, {size}", resource.inputs["numCacheClusters"], hour)]


def _priced(table: Prices, kind: str, size: str) -> Any:
    if size not in table[kind]:
        raise SlipwayError(f"infra/graph/prices.yaml has no price for {size}.", f"Add it under {kind}.")
    return table[kind][size]


def _firewall(resource: Resource, table: Prices, graph: list[Resource]) -> list[Line]:
    return [
        Line("WAF web ACL", 1, table["waf_acl_month"]),
        Line("WAF rules", len(resource.inputs["rules"]), table["waf_rule_month"]),  # a group counts as one
    ]


def _alarm(resource: Resource, table: Prices, graph: list[Resource]) -> list[Line]:
    queries = [query for query in resource.inputs.get("metricQueries") or [] if query.get("metric")]
    return [Line("alarms, for each metric that they read", len(queries) or 1, table["alarm_month"])]


def _policy(resource: Resource, table: Prices, graph: list[Resource]) -> list[Line]:
    given = resource.inputs["targetTrackingScalingPolicyConfiguration"]
    custom = (given.get("customizedMetricSpecification") or {}).get("metrics") or []
    read = len([metric for metric in custom if metric.get("metricStat")]) or 1
    return [Line("alarms, for each metric that they read", ALARMS_OF_A_POLICY * read, table["alarm_month"])]


def _fixed(what: str, key: str, unit: str = "") -> Callable[[Resource, Prices, list[Resource]], list[Line]]:
    def line(resource: Resource, table: Prices, graph: list[Resource]) -> list[Line]:
        return [Line(what, 1, table[key] * (table["hours"] if unit == "hour" else 1))]

    return line


TASK_DEFINITION = "aws:ecs/taskDefinition:TaskDefinition"
CLUSTER = "aws:ecs/cluster:Cluster"
IMAGE = "docker-build:index:Image"
PRICED: dict[str, Callable[[Resource, Prices, list[Resource]], list[Line]]] = {
    "aws:ecs/service:Service": _service,
    CLUSTER: _cluster,
    "aws:ec2/natGateway:NatGateway": _fixed("NAT gateways", "nat_gateway_hour", "hour"),
    "aws:ec2/eip:Eip": _fixed("public IPv4 addresses", "public_ipv4_hour", "hour"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "aws:lb/loadBalancer:LoadBalancer": _balancer,
    "aws:wafv2/webAcl:WebAcl": _firewall,
    "aws:rds/instance:Instance": _database,
    "aws:elasticache/replicationGroup:ReplicationGroup": _cache,
    "aws:cloudwatch/metricAlarm:MetricAlarm": _alarm,
    "aws:appautoscaling/policy:Policy": _policy,
    "aws:kms/key:Key": _fixed("KMS key", "kms_key_month"),
    "aws:secretsmanager/secret:Secret": _fixed("secrets", "secret_month"),
    "aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace": _fixed("DNS zones", "hosted_zone_month"),
}
FREE = (
    "aws:acm/", "aws:amp/", "aws:backup/", "aws:budgets/",
    "aws:iam/", "aws:route53/record:Record", "aws:scheduler/", "aws:sns/", "aws:sqs/",
    "aws:s3/", "aws:ecr/", "aws:cloudwatch/logGroup:LogGroup", "aws:cloudwatch/event",
    "aws:appautoscaling/target:Target", "aws:vpc/",
    "aws:ecs/taskDefinition:TaskDefinition", "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders",
    "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:ec2/route", "aws:ec2/internetGateway:InternetGateway",
    "aws:ec2/securityGroup:SecurityGroup", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    "aws:ec2/flowLog:FlowLog",
    "aws:lb/listener", "aws:lb/targetGroup:TargetGroup", "aws:kms/alias:Alias", "aws:wafv2/webAclAssociation",
    "aws:wafv2/webAclLogging", "aws:rds/subnetGroup:SubnetGroup", "aws:rds/parameterGroup:ParameterGroup",
    "aws:elasticache/subnetGroup:SubnetGroup", "aws:elasticache/parameterGroup:ParameterGroup",
    "aws:secretsmanager/secretVersion:SecretVersion", "aws:servicediscovery/service:Service", "docker-build:",
)  # fmt: skip
"""Types, or what they begin with, that cost nothing while nobody uses them."""


def region_of(stack: str, root: Path = ROOT) -> str:
    """The region that a stack file names; empty where it names none."""
    given = yaml.safe_load((root / "stacks" / f"Pulumi.{stack}.yaml").read_text()).get("config") or {}
    return str(given.get("aws:region", ""))


def as_json(stack: str, graph: Iterable[Resource], region: str) -> dict[str, Any]:
    """What `slipway cost STACK --json` prints; USD."""
    resources = list(graph)
    table = prices()
    found = lines(resources)
    budget = next((float(r.inputs["limitAmount"]) for r in resources if r.type == "aws:budgets/budget:Budget"), 0)
    return {
        "stack": stack,
        "stack_region": region,
        "region": table["region"],
        "prices_of": table["date"],
        "lines": [
            {"what": x.what, "how_many": x.how_many, "each": round(x.each, 3), "total": round(x.total, 2)}
            for x in found
        ],
        "total": round(sum(line.total for line in found), 2),
        "with_use": [{"what": x.what, "price": x.price, "unit": x.unit} for x in with_use(resources)],
        "monthly_budget": budget,
    }


def notes(told: dict[str, Any]) -> list[str]:
    """What a reader of the bill has to know about it, a sentence each."""
    found = []
    if told["stack_region"] not in ("", told["region"]):
        found.append(f"The prices are of {told['region']}. The stack is in {told['stack_region']}: they differ there.")
    if 0 < told["monthly_budget"] < told["total"]:
        found.append(
            f"monthlyBudgetUsd is {told['monthly_budget']:g}: less than the {told['total']:.2f} that it costs idle."
        )
    return found
