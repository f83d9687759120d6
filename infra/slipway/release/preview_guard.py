"""Refuses an update of an environment that would break its previews, which use its resources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slipway.config import names
from slipway.config.errors import SlipwayError
from slipway.release.aws_session import ClientFactory

TAGGING_SERVICE = "resourcegroupstaggingapi"
SERVICE_TYPE = "ecs:service"
RULE_TYPE = "elasticloadbalancing:listener-rule"
DESCRIBE_SERVICES_LIMIT = 10
"""Maximum of services in one call of DescribeServices."""
HTTPS_PORT = 443


@dataclass(frozen=True)
class PreviewSettings:
    """An environment's settings that its previews depend on."""

    enabled: bool
    """`previews`."""
    domain: str
    """`previewDomain`; empty: the load balancer's own name."""
    database_port: int
    """`previewDatabasePort`; 0: none."""
    limit: int
    """`previewLimit`."""


def check_previews_fit(aws: ClientFactory, project: str, base: str, settings: PreviewSettings) -> None:
    """Compares the resources that previews on the environment `base` use in AWS with new settings.

    Makes one call if there are no previews. Raises `SlipwayError` with every conflicting setting, and botocore's errors
    if a call fails.
    """
    tags = {"base": names.stack_name(project, base), "kind": "preview"}
    services = _list_preview_services(aws, tags)
    if not services:
        return
    stacks = sorted(stack.removeprefix(names.stack_name(project, "")) for stack in services)
    conflicts = _find_conflicts(aws, tags, services, settings)
    if not conflicts:
        return
    raise SlipwayError(
        f"{base} has {len(stacks)} previews ({', '.join(stacks)}), and this update would break them:\n"
        + "\n".join(f"  {conflict}" for conflict in conflicts),
        f"Restore the setting; or destroy them first: slipway preview destroy NAME --base {base}, or all of them: "
        f"slipway preview reap --base {base} --at 2100-01-01T00:00:00+00:00",
    )


def _find_conflicts(
    aws: ClientFactory, tags: dict[str, str], services: dict[str, Any], settings: PreviewSettings
) -> list[str]:
    """Returns a line for each setting that conflicts with the running previews."""
    if not settings.enabled:
        return ["previews is false: roles, security group and database task that they use would be deleted."]
    conflicts = []
    if settings.limit < len(services):
        conflicts.append(f"previewLimit is {settings.limit}, and {len(services)} previews exist.")
    domains = _find_domains(aws, tags, settings)
    if domains:
        new_domain = settings.domain or "empty"
        conflicts.append(f"previewDomain is {new_domain}, and their host names are below {', '.join(sorted(domains))}.")
    port = _find_database_port(aws, services)
    if port and port != settings.database_port:
        conflicts.append(
            f"previewDatabasePort is {settings.database_port}, and their security group allows port {port}: "
            "those with an external database would lose it."
        )
    return conflicts


def _list_preview_services(aws: ClientFactory, tags: dict[str, str]) -> dict[str, Any]:
    """Returns `<project>-<stack>` -> ECS service of each preview. AWS lists tags for a while after a deletion."""
    stacks = dict(_list_tagged(aws, SERVICE_TYPE, tags))
    by_cluster: dict[str, list[str]] = {}
    for arn in stacks:
        by_cluster.setdefault(arn.split("/")[1], []).append(arn)
    services: dict[str, Any] = {}
    for cluster, arns in by_cluster.items():
        for start in range(0, len(arns), DESCRIBE_SERVICES_LIMIT):
            batch = arns[start : start + DESCRIBE_SERVICES_LIMIT]
            described = aws.client("ecs").describe_services(cluster=cluster, services=batch)["services"]
            services |= {
                stacks[service["serviceArn"]]: service for service in described if service["status"] == "ACTIVE"
            }
    return services


def _list_tagged(aws: ClientFactory, resource_type: str, tags: dict[str, str]) -> list[tuple[str, str]]:
    """Returns ARN and tag `stack` of the resources of one type with these tags."""
    pages = (
        aws.client(TAGGING_SERVICE)
        .get_paginator("get_resources")
        .paginate(
            TagFilters=[{"Key": key, "Values": [value]} for key, value in tags.items()],
            ResourceTypeFilters=[resource_type],
        )
    )
    return [
        (entry["ResourceARN"], next(tag["Value"] for tag in entry["Tags"] if tag["Key"] == "stack"))
        for page in pages
        for entry in page["ResourceTagMappingList"]
    ]


def _find_domains(aws: ClientFactory, tags: dict[str, str], settings: PreviewSettings) -> set[str]:
    """Returns the domains of the previews' hosts that differ from the setting's."""
    elb = aws.client("elbv2")
    domains: set[str] = set()
    for arn, _ in _list_tagged(aws, RULE_TYPE, tags):
        try:
            rules = elb.describe_rules(RuleArns=[arn])["Rules"]
        except elb.exceptions.RuleNotFoundException:
            continue  # AWS lists tags for a while after a deletion
        hosts = {host for rule in rules for host in listener_rule_hosts(rule)}
        in_use = {host.partition(".")[2] for host in hosts}
        if settings.domain:
            domains |= in_use - {settings.domain}
        else:  # a load balancer's DNS name begins with its name
            name = _load_balancer_name(elb, arn)
            domains |= {domain for domain in in_use if not domain.startswith(name)}
    return domains


def listener_rule_hosts(rule: Any) -> list[str]:
    """Returns the host names in the conditions of a listener rule, as DescribeRules has it."""
    return [
        host
        for condition in rule["Conditions"]
        if condition.get("Field") == "host-header"
        for host in (condition.get("HostHeaderConfig") or {}).get("Values") or condition.get("Values") or []
    ]


def _load_balancer_name(elb: Any, rule_arn: str) -> str:
    """Returns the name of a listener rule's load balancer."""
    prefix, _, path = rule_arn.partition(":listener-rule/")
    arn = f"{prefix}:loadbalancer/{'/'.join(path.split('/')[:3])}"
    (load_balancer,) = elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"]
    return str(load_balancer["LoadBalancerName"])


def _find_database_port(aws: ClientFactory, services: dict[str, Any]) -> int:
    """Returns the port on the internet, other than HTTPS, that the previews' security group allows; 0: none."""
    groups = sorted(
        {
            group
            for service in services.values()
            for group in service["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"]
        }
    )
    rules = aws.client("ec2").describe_security_group_rules(Filters=[{"Name": "group-id", "Values": groups}])
    ports = {
        int(rule["FromPort"])
        for rule in rules["SecurityGroupRules"]
        if rule["IsEgress"] and rule.get("CidrIpv4") == "0.0.0.0/0" and rule["FromPort"] != HTTPS_PORT
    }
    return max(ports, default=0)
