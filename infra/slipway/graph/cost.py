"""`slipway cost STACK`: a stack's monthly cost without traffic, from its resource graph and a price table.

Each line belongs to resources of the stack, and no type with an hourly or monthly price is forgotten (`FREE` lists the
others). Usage is not in the total, but listed with unit prices. Excluded are files, images, autoscaled tasks and an
account's free tier.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slipway.components.otel_collector import CONTAINER_NAME as COLLECTOR
from slipway.config.app_spec.process import SpotStrategy
from slipway.config.errors import SlipwayError
from slipway.config.stack_config import read_stack_config

PRICES_FILE = Path(__file__).with_name("prices.yaml")
ALARMS_PER_SCALING_POLICY = 2
"""AWS creates them for target tracking: one to scale out, one to scale in."""
USAGE_PRICES = {
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
    "aws:cloudfront/distribution:Distribution": [
        ("requests to CloudFront", "cloudfront_ten_thousand_requests", "10,000"),
        ("traffic from CloudFront to visitors", "cloudfront_gb", "GB"),
    ],
    "aws:wafv2/webAcl:WebAcl": [("requests inspected by the WAF", "waf_million_requests", "million")],
    "aws:sqs/queue:Queue": [("requests to queues", "sqs_million_requests", "million")],
    "aws:backup/plan:Plan": [
        ("copies of the database's backups in another region", "rds_backup_gb_month", "GB and month"),
        ("transfer of a copy to another region", "region_transfer_gb", "GB"),
    ],
    "aws:s3/bucket:Bucket": [("files", "s3_gb_month", "GB and month")],
    "aws:ecr/repository:Repository": [("images", "ecr_gb_month", "GB and month")],
}
"""Resource type -> label, price, unit."""


@dataclass(frozen=True)
class PricedResource:
    """The parts of a resource that determine its price."""

    type: str
    name: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class CostLine:
    """One line of the estimate, in USD a month."""

    what: str
    how_many: float
    each: float
    stops: bool = False
    """Whether it costs nothing while the stack is paused."""

    @property
    def total(self) -> float:
        """Returns the line's total."""
        return self.how_many * self.each


@dataclass(frozen=True)
class UnitPrice:
    """A price of usage, in USD."""

    what: str
    price: float
    unit: str


PriceTable = dict[str, Any]


def load_prices() -> PriceTable:
    """Returns the price table."""
    found: PriceTable = yaml.safe_load(PRICES_FILE.read_text())
    return found


def calculate_idle_cost(graph: Iterable[PricedResource]) -> list[CostLine]:
    """Returns the cost of an idle stack, the largest line first. Raises `SlipwayError` for a size without a price."""
    resources = list(graph)
    table = load_prices()
    found: dict[tuple[str, float, bool], float] = defaultdict(float)
    for resource in resources:
        for line in COST_FUNCTIONS.get(resource.type, _nothing)(resource, table, resources):
            found[line.what, line.each, line.stops] += line.how_many
    lines = [CostLine(what, how_many, each, stops) for (what, each, stops), how_many in found.items() if how_many]
    return sorted(lines, key=lambda line: (-line.total, line.what))


def list_usage_prices(graph: Iterable[PricedResource]) -> list[UnitPrice]:
    """Returns the unit prices of a stack's usage."""
    table, resources = load_prices(), list(graph)
    types = {f"{resource.type} {resource.inputs.get('vpcEndpointType', '')}".strip() for resource in resources}
    found = [
        UnitPrice(what, table[key], unit)
        for kind, estimate in USAGE_PRICES.items()
        if kind in types
        for what, key, unit in estimate
    ]
    if any(resource.type == IMAGE_TYPE and resource.name.endswith(f"-{COLLECTOR}") for resource in resources):
        found.append(UnitPrice("traces that X-Ray keeps", table["xray_million_traces"], "million"))
    return found


def _nothing(resource: PricedResource, table: PriceTable, graph: list[PricedResource]) -> list[CostLine]:
    return []


def _service(resource: PricedResource, table: PriceTable, graph: list[PricedResource]) -> list[CostLine]:
    """Returns the cost of a service's tasks, from the task definition of its name."""
    (task,) = [r.inputs for r in graph if r.type == TASK_DEFINITION_TYPE and r.inputs["family"] == resource.name]
    fargate = table["fargate"][task["runtimePlatform"]["cpuArchitecture"]]
    cpu, memory = int(task["cpu"]), int(task["memory"])
    hour = cpu / 1024 * fargate["vcpu_hour"] + memory / 1024 * fargate["gb_hour"]
    each = table["hours"] * hour
    label = resource.name.rsplit("-", 1)[-1]
    tasks = resource.inputs["desiredCount"]
    spot = _spot(resource.inputs["capacityProviderStrategies"])
    on_demand = spot.on_demand(tasks) if spot else tasks
    found = [CostLine(f"{label} tasks, {cpu} CPU units", on_demand, each, stops=True)] if on_demand or not spot else []
    if spot:
        cheaper = each * table["fargate_spot"]
        found.append(CostLine(f"{label} tasks on Spot, {cpu} CPU units", tasks - on_demand, cheaper, stops=True))
    if resource.inputs["networkConfiguration"].get("assignPublicIp"):
        address = table["hours"] * table["public_ipv4_hour"]
        found.append(CostLine("public IPv4 addresses of tasks", tasks, address, stops=True))
    if tasks and _counted(graph):  # a service without a running task has no metrics
        found += _metrics(table["container_insights"]["service"] + table["container_insights"]["task_family"], table)
    return found


def _spot(strategies: list[dict[str, Any]]) -> SpotStrategy | None:
    """Returns the Spot settings behind a service's capacity provider strategies."""
    weights = {each["capacityProvider"]: each for each in strategies}
    if "FARGATE_SPOT" not in weights:
        return None
    fixed = weights.get("FARGATE", {})
    return SpotStrategy(
        base=fixed.get("base", 0), weight=weights["FARGATE_SPOT"]["weight"] if fixed.get("weight") else 0
    )


def _cluster(resource: PricedResource, table: PriceTable, graph: list[PricedResource]) -> list[CostLine]:
    return _metrics(table["container_insights"]["cluster"], table) if _counted(graph) else []


def _counted(graph: list[PricedResource]) -> bool:
    settings = [s for r in graph if r.type == CLUSTER_TYPE for s in r.inputs.get("settings", [])]
    return {"name": "containerInsights", "value": "enabled"} in settings


def _metrics(number: int, table: PriceTable) -> list[CostLine]:
    return [CostLine("Container Insights metrics", number, table["metric_month"])]


def _balancer(resource: PricedResource, table: PriceTable, graph: list[PricedResource]) -> list[CostLine]:
    return [
        CostLine("load balancer", 1, table["hours"] * table["load_balancer_hour"]),
        CostLine("public IPv4 addresses", len(resource.inputs["subnets"]), table["hours"] * table["public_ipv4_hour"]),
    ]


def _endpoint(resource: PricedResource, table: PriceTable, graph: list[PricedResource]) -> list[CostLine]:
    if resource.inputs["vpcEndpointType"] != "Interface":
        return []
    hour = table["hours"] * table["interface_endpoint_hour"]
    return [CostLine("interface endpoints, in each zone", len(resource.inputs["subnetIds"]), hour)]


def _database(resource: PricedResource, table: PriceTable, graph: list[PricedResource]) -> list[CostLine]:
    size = resource.inputs["instanceClass"]
    # AWS has a separate price for Multi-AZ, which is not twice the price of one instance.
    pair = bool(resource.inputs.get("multiAz"))
    zones, label = ("multi_az", "Multi-AZ") if pair else ("single_az", "Single-AZ")
    storage = resource.inputs["allocatedStorage"]
    found = [
        CostLine(f"database, {size}, {label}", 1, table["hours"] * _priced(table, "rds_hour", size)[zones], stops=True),
        CostLine(f"database storage, GB, {label}", storage, table["rds_gb_month"][zones]),
    ]
    if resource.inputs.get("manageMasterUserPassword"):
        found.append(CostLine("secrets", 1, table["secret_month"]))
    return found


def _cache(resource: PricedResource, table: PriceTable, graph: list[PricedResource]) -> list[CostLine]:
    size = resource.inputs["nodeType"]
    hour = table["hours"] * _priced(table, "elasticache_hour", size)
    return [CostLine(f"cache, {size}", resource.inputs["numCacheClusters"], hour)]


def _priced(table: PriceTable, kind: str, size: str) -> Any:
    if size not in table[kind]:
        raise SlipwayError(f"infra/slipway/graph/prices.yaml has no price for {size}.", f"Add it under {kind}.")
    return table[kind][size]


def _firewall(resource: PricedResource, table: PriceTable, graph: list[PricedResource]) -> list[CostLine]:
    return [
        CostLine("WAF web ACL", 1, table["waf_acl_month"]),
        CostLine("WAF rules", len(resource.inputs["rules"]), table["waf_rule_month"]),  # a group counts as one
    ]


def _alarm(resource: PricedResource, table: PriceTable, graph: list[PricedResource]) -> list[CostLine]:
    queries = [query for query in resource.inputs.get("metricQueries") or [] if query.get("metric")]
    return [CostLine("alarms, for each metric that they read", len(queries) or 1, table["alarm_month"])]


def _policy(resource: PricedResource, table: PriceTable, graph: list[PricedResource]) -> list[CostLine]:
    given = resource.inputs["targetTrackingScalingPolicyConfiguration"]
    custom = (given.get("customizedMetricSpecification") or {}).get("metrics") or []
    read = len([metric for metric in custom if metric.get("metricStat")]) or 1
    return [CostLine("alarms, for each metric that they read", ALARMS_PER_SCALING_POLICY * read, table["alarm_month"])]


def _fixed(
    what: str, key: str, unit: str = ""
) -> Callable[[PricedResource, PriceTable, list[PricedResource]], list[CostLine]]:
    def line(resource: PricedResource, table: PriceTable, graph: list[PricedResource]) -> list[CostLine]:
        return [CostLine(what, 1, table[key] * (table["hours"] if unit == "hour" else 1))]

    return line


TASK_DEFINITION_TYPE = "aws:ecs/taskDefinition:TaskDefinition"
CLUSTER_TYPE = "aws:ecs/cluster:Cluster"
IMAGE_TYPE = "docker-build:index:Image"
COST_FUNCTIONS: dict[str, Callable[[PricedResource, PriceTable, list[PricedResource]], list[CostLine]]] = {
    "aws:ecs/service:Service": _service,
    CLUSTER_TYPE: _cluster,
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
FREE_TYPE_PREFIXES = (
    "aws:acm/", "aws:amp/", "aws:backup/", "aws:budgets/", "aws:cloudfront/",
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
"""Types, or prefixes of types, without an hourly or monthly price."""


def read_stack_region(stack: str, root: Path | None = None) -> str:
    """Returns the region of a stack file; empty if it has none."""
    return str(read_stack_config(stack, root).get("aws:region", ""))


def cost_as_json(stack: str, graph: Iterable[PricedResource], region: str) -> dict[str, Any]:
    """Returns the object of `slipway cost STACK --json`, in USD."""
    resources = list(graph)
    table = load_prices()
    found = calculate_idle_cost(resources)
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
        "with_use": [{"what": x.what, "price": x.price, "unit": x.unit} for x in list_usage_prices(resources)],
        "monthly_budget": budget,
    }


def off_hours_cost(graph: Iterable[PricedResource], running_share: float) -> dict[str, float]:
    """Returns the monthly cost of a stack that runs for this part of the time, and what that saves; USD.

    Metrics of Container Insights and of alarms are left as they are, though a stopped task sends none.
    """
    lines = calculate_idle_cost(graph)
    total = sum(line.total for line in lines)
    saved = (1 - running_share) * sum(line.total for line in lines if line.stops)
    return {"running_share": round(running_share, 3), "total": round(total - saved, 2), "saves": round(saved, 2)}


def cost_notes(estimate: dict[str, Any]) -> list[str]:
    """Returns notes on the estimate, a sentence each."""
    found = []
    if estimate["stack_region"] not in ("", estimate["region"]):
        found.append(
            f"The prices are of {estimate['region']}. The stack is in {estimate['stack_region']}, where they differ."
        )
    if 0 < estimate["monthly_budget"] < estimate["total"]:
        found.append(
            f"monthlyBudgetUsd is {estimate['monthly_budget']:g}: less than the idle cost of {estimate['total']:.2f}."
        )
    return found
