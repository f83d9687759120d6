"""What of a preview is still in AWS, whatever its state says: found by tag over all services, and taken away."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError

from infra.release.client import Aws

TAGGED = "resourcegroupstaggingapi"
GONE = {
    "ClusterNotFoundException",
    "ServiceNotFoundException",
    "RuleNotFound",
    "TargetGroupNotFound",
    "ResourceNotFoundException",  # Secrets Manager and CloudWatch Logs
}
"""How AWS says that something is not there (any more), or its cluster."""
GONE_IN_WORDS = {
    ("StopTask", "InvalidParameterException"): "was not found",
    ("DescribeTaskDefinition", "ClientException"): "Unable to describe task definition",
}
"""Where ECS has no code of its own for it: call and code, which refusals have as well, and what its message says."""
Look = Callable[[Aws, str], bool]
Remove = Callable[[Aws, str], object]


@dataclass(frozen=True)
class Leftover:
    """Something that costs, or stands in the way of the next one."""

    arn: str
    known: bool
    """Whether `remove` knows how to take it away."""

    @property
    def made_by_the_engine(self) -> bool:
        """Whether a state has it: tasks are ECS's, and former revisions of a task are nobody's any more."""
        return not any(mark in self.arn for mark in (":task/", ":task-definition/"))

    def json(self) -> dict[str, Any]:
        """For a program."""
        return asdict(self)


def _cluster(arn: str) -> str:
    return arn.split("/")[1]


def _service(aws: Aws, arn: str) -> bool:
    found = aws.client("ecs").describe_services(cluster=_cluster(arn), services=[arn])["services"]
    return any(each["status"] != "INACTIVE" for each in found)


def _task(aws: Aws, arn: str) -> bool:
    found = aws.client("ecs").describe_tasks(cluster=_cluster(arn), tasks=[arn])["tasks"]
    return any(each["lastStatus"] != "STOPPED" for each in found)


def _definition(aws: Aws, arn: str) -> bool:
    return bool(aws.client("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"]["status"] == "ACTIVE")


def _secret(aws: Aws, arn: str) -> bool:
    return "DeletedDate" not in aws.client("secretsmanager").describe_secret(SecretId=arn)


def _log_group(aws: Aws, arn: str) -> bool:
    name = _log_name(arn)
    found = aws.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return name in [each["logGroupName"] for each in found]


def _log_name(arn: str) -> str:
    return arn.split(":log-group:")[1].removesuffix(":*")


def _forget(aws: Aws, arn: str) -> None:
    aws.client("ecs").deregister_task_definition(taskDefinition=arn)
    aws.client("ecs").delete_task_definitions(taskDefinitions=[arn])


KINDS: dict[str, tuple[Look, Remove]] = {
    ":service/": (_service, lambda aws, arn: aws.client("ecs").delete_service(
        cluster=_cluster(arn), service=arn, force=True)),
    ":task/": (_task, lambda aws, arn: aws.client("ecs").stop_task(cluster=_cluster(arn), task=arn)),
    ":listener-rule/": (
        lambda aws, arn: bool(aws.client("elbv2").describe_rules(RuleArns=[arn])["Rules"]),
        lambda aws, arn: aws.client("elbv2").delete_rule(RuleArn=arn)),
    ":targetgroup/": (
        lambda aws, arn: bool(aws.client("elbv2").describe_target_groups(TargetGroupArns=[arn])["TargetGroups"]),
        lambda aws, arn: aws.client("elbv2").delete_target_group(TargetGroupArn=arn)),
    ":task-definition/": (_definition, _forget),
    ":secret:": (_secret, lambda aws, arn: aws.client("secretsmanager").delete_secret(
        SecretId=arn, ForceDeleteWithoutRecovery=True)),
    ":log-group:": (_log_group, lambda aws, arn: aws.client("logs").delete_log_group(logGroupName=_log_name(arn))),
}  # fmt: skip
"""What a preview makes, in the order in which it is taken away: whether it is there, and how it goes."""


def of_stack(aws: Aws, stack: str) -> list[Leftover]:
    """What is tagged with the stack `<project>-<preview>`, and still there."""
    found = [_leftover(arn) for arn, _ in _tagged(aws, {"stack": stack, "kind": "preview"})]
    return sorted((each for each in found if _there(aws, each)), key=_order)


def stacks_of(aws: Aws, base: str) -> set[str]:
    """The stacks, `<project>-<preview>`, of which anything on the environment `base` is still there."""
    found = _tagged(aws, {"base": base, "kind": "preview"})
    return {tags["stack"] for arn, tags in found if _there(aws, _leftover(arn))}


def remove(aws: Aws, leftovers: Iterable[Leftover]) -> list[Leftover]:
    """Take away what is known; what could not be, or is not known, is returned."""
    kept = []
    for each in leftovers:
        if not each.known:
            kept.append(each)
            continue
        try:
            _kind(each.arn)[1](aws, each.arn)
        except ClientError as error:
            if not gone(error):
                kept.append(each)
    return kept


def _tagged(aws: Aws, tags: dict[str, str]) -> Iterable[tuple[str, dict[str, str]]]:
    filters = [{"Key": key, "Values": [value]} for key, value in tags.items()]
    for page in aws.client(TAGGED).get_paginator("get_resources").paginate(TagFilters=filters):
        for each in page["ResourceTagMappingList"]:
            yield each["ResourceARN"], {tag["Key"]: tag["Value"] for tag in each["Tags"]}


def _kind(arn: str) -> tuple[Look, Remove]:
    return next(kind for mark, kind in KINDS.items() if mark in arn)


def _leftover(arn: str) -> Leftover:
    return Leftover(arn, any(mark in arn for mark in KINDS))


def _order(each: Leftover) -> int:
    return next((place for place, mark in enumerate(KINDS) if mark in each.arn), len(KINDS))


def _there(aws: Aws, each: Leftover) -> bool:
    """Tags are told of for a while after what they were on has gone."""
    if not each.known:
        return True
    try:
        return _kind(each.arn)[0](aws, each.arn)
    except ClientError as error:
        if gone(error):
            return False
        raise


def gone(error: ClientError) -> bool:
    """Whether AWS says that it is not there; a refusal is none of that."""
    code, words = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    said = GONE_IN_WORDS.get((error.operation_name, code))
    return code in GONE or (said is not None and said in words)
