"""Finds and deletes orphaned resources of a preview in AWS by tag, in all services, regardless of its state."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError

from slipway.release.aws_session import AwsSession

TAGGING_SERVICE = "resourcegroupstaggingapi"
NOT_FOUND_CODES = {
    "ClusterNotFoundException",
    "ServiceNotFoundException",
    "RuleNotFound",
    "TargetGroupNotFound",
    "ResourceNotFoundException",  # Secrets Manager and CloudWatch Logs
}
"""AWS's error codes for a missing resource, or a missing cluster."""
NOT_FOUND_MESSAGES = {
    ("StopTask", "InvalidParameterException"): "was not found",
    ("DescribeTaskDefinition", "ClientException"): "Unable to describe task definition",
}
"""ECS errors whose code is ambiguous: operation and code -> part of the message."""
ExistsCheck = Callable[[AwsSession, str], bool]
DeleteCall = Callable[[AwsSession, str], object]


@dataclass(frozen=True)
class OrphanedResource:
    """A resource that costs money or conflicts with the next preview."""

    arn: str
    known: bool
    """Whether `delete_orphans` can delete it."""

    @property
    def is_pulumi_managed(self) -> bool:
        """Whether Pulumi's state can contain it: ECS creates tasks, and old task definitions are in no state."""
        return not any(part in self.arn for part in (":task/", ":task-definition/"))

    def json(self) -> dict[str, Any]:
        """Returns the object of `--json`."""
        return asdict(self)


def _cluster_name(arn: str) -> str:
    return arn.split("/")[1]


def _service_exists(aws: AwsSession, arn: str) -> bool:
    services = aws.client("ecs").describe_services(cluster=_cluster_name(arn), services=[arn])["services"]
    return any(service["status"] != "INACTIVE" for service in services)


def _is_task_running(aws: AwsSession, arn: str) -> bool:
    tasks = aws.client("ecs").describe_tasks(cluster=_cluster_name(arn), tasks=[arn])["tasks"]
    return any(task["lastStatus"] != "STOPPED" for task in tasks)


def _is_task_definition_active(aws: AwsSession, arn: str) -> bool:
    return bool(aws.client("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"]["status"] == "ACTIVE")


def _secret_exists(aws: AwsSession, arn: str) -> bool:
    return "DeletedDate" not in aws.client("secretsmanager").describe_secret(SecretId=arn)


def _log_group_exists(aws: AwsSession, arn: str) -> bool:
    name = _log_group_name(arn)
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return name in [group["logGroupName"] for group in groups]


def _log_group_name(arn: str) -> str:
    return arn.split(":log-group:")[1].removesuffix(":*")


def _delete_task_definition(aws: AwsSession, arn: str) -> None:
    aws.client("ecs").deregister_task_definition(taskDefinition=arn)
    aws.client("ecs").delete_task_definitions(taskDefinitions=[arn])


RESOURCE_HANDLERS: dict[str, tuple[ExistsCheck, DeleteCall]] = {
    ":service/": (_service_exists, lambda aws, arn: aws.client("ecs").delete_service(
        cluster=_cluster_name(arn), service=arn, force=True)),
    ":task/": (_is_task_running, lambda aws, arn: aws.client("ecs").stop_task(cluster=_cluster_name(arn), task=arn)),
    ":listener-rule/": (
        lambda aws, arn: bool(aws.client("elbv2").describe_rules(RuleArns=[arn])["Rules"]),
        lambda aws, arn: aws.client("elbv2").delete_rule(RuleArn=arn)),
    ":targetgroup/": (
        lambda aws, arn: bool(aws.client("elbv2").describe_target_groups(TargetGroupArns=[arn])["TargetGroups"]),
        lambda aws, arn: aws.client("elbv2").delete_target_group(TargetGroupArn=arn)),
    ":task-definition/": (_is_task_definition_active, _delete_task_definition),
    ":secret:": (_secret_exists, lambda aws, arn: aws.client("secretsmanager").delete_secret(
        SecretId=arn, ForceDeleteWithoutRecovery=True)),
    ":log-group:": (_log_group_exists, lambda aws, arn: aws.client("logs").delete_log_group(
        logGroupName=_log_group_name(arn))),
}  # fmt: skip
"""Part of an ARN -> functions that check for and delete the resource; in order of deletion."""


def find_orphans(aws: AwsSession, stack: str) -> list[OrphanedResource]:
    """Returns the existing resources with the tags of the preview `<project>-<stack>`."""
    tagged = [_orphan_from_arn(arn) for arn, _ in _find_tagged_resources(aws, {"stack": stack, "kind": "preview"})]
    return sorted((orphan for orphan in tagged if _resource_exists(aws, orphan)), key=_deletion_order)


def find_stacks_with_orphans(aws: AwsSession, base: str) -> set[str]:
    """Returns the full names, `<project>-<stack>`, of the previews on `base` with resources in AWS."""
    tagged = _find_tagged_resources(aws, {"base": base, "kind": "preview"})
    return {tags["stack"] for arn, tags in tagged if _resource_exists(aws, _orphan_from_arn(arn))}


def delete_orphans(aws: AwsSession, leftovers: Iterable[OrphanedResource]) -> list[OrphanedResource]:
    """Deletes the leftovers; returns those of unknown types, and those that AWS did not delete."""
    remaining = []
    for each in leftovers:
        if not each.known:
            remaining.append(each)
            continue
        try:
            _handler_for(each.arn)[1](aws, each.arn)
        except ClientError as error:
            if not is_not_found(error):
                remaining.append(each)
    return remaining


def _find_tagged_resources(aws: AwsSession, tags: dict[str, str]) -> Iterable[tuple[str, dict[str, str]]]:
    filters = [{"Key": key, "Values": [value]} for key, value in tags.items()]
    for page in aws.client(TAGGING_SERVICE).get_paginator("get_resources").paginate(TagFilters=filters):
        for each in page["ResourceTagMappingList"]:
            yield each["ResourceARN"], {tag["Key"]: tag["Value"] for tag in each["Tags"]}


def _handler_for(arn: str) -> tuple[ExistsCheck, DeleteCall]:
    return next(handler for part, handler in RESOURCE_HANDLERS.items() if part in arn)


def _orphan_from_arn(arn: str) -> OrphanedResource:
    return OrphanedResource(arn, any(part in arn for part in RESOURCE_HANDLERS))


def _deletion_order(each: OrphanedResource) -> int:
    return next((place for place, part in enumerate(RESOURCE_HANDLERS) if part in each.arn), len(RESOURCE_HANDLERS))


def _resource_exists(aws: AwsSession, each: OrphanedResource) -> bool:
    """Whether it still exists: AWS lists tags for a while after the deletion of a resource."""
    if not each.known:
        return True
    try:
        return _handler_for(each.arn)[0](aws, each.arn)
    except ClientError as error:
        if is_not_found(error):
            return False
        raise


def is_not_found(error: ClientError) -> bool:
    """Whether an AWS error means that the resource does not exist."""
    code = error.response["Error"]["Code"]
    text = NOT_FOUND_MESSAGES.get((error.operation_name, code))
    is_in_message = text is not None and text in error.response["Error"].get("Message", "")
    return code in NOT_FOUND_CODES or is_in_message
