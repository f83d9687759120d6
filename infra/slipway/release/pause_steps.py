"""Stops what a stack pays for by the hour, and starts it again: tasks, autoscaling, schedules, database, alarms.

The image of the off-hours task has this file alone and boto3, so it imports nothing of the kit. Every step may run
twice: what a pause has changed is in tags, and a pause or a resume that was cut off is run again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

PAUSED_TAG = "slipway:paused"
"""Tag of a paused cluster: since when, and by whom."""
FORMER_TASKS_TAG = "slipway:paused-tasks"
"""Tag of a paused ECS service: its number of tasks before, and its autoscaling's minimum, `-` for none."""
OFF_HOURS = "off-hours"
"""How the mark of a pause by the off-hours task begins, and what the names of its schedules contain."""
SCALABLE_DIMENSION = "ecs:service:DesiredCount"
SUSPENDED_PROCESSES = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
DESCRIBE_SERVICES_LIMIT = 10
"""Services that DescribeServices takes at once."""
ALARM_ACTIONS_LIMIT = 100
"""Alarms that DisableAlarmActions takes at once."""
SCHEDULE_KEYS = (
    "Name",
    "GroupName",
    "Description",
    "StartDate",
    "EndDate",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "KmsKeyArn",
    "FlexibleTimeWindow",
    "Target",
    "ActionAfterCompletion",
)
"""What UpdateSchedule takes of what GetSchedule answers."""
POLL_SECONDS = 5.0
DATABASE_TIMEOUT_SECONDS = 3600.0
"""RDS needs minutes to stop or to start; it says nothing of a limit."""

ALREADY_STOPPED = ("stopped", "stopping")


@dataclass(frozen=True)
class PausableStack:
    """A stack's cluster, and the clients of its account and region."""

    client: Callable[[str], Any]
    """Service -> a boto3 client."""
    cluster: str
    """ARN."""
    name: str
    """`<project>-<stack>`, the tag `stack` of its resources."""
    say: Callable[[str], None] = print
    sleep: Callable[[float], None] = time.sleep

    def pause(self, mark: str) -> None:
        """Stop it. The mark comes first, so that a pause that is cut off can be seen, continued and undone."""
        ecs = self.client("ecs")
        ecs.tag_resource(resourceArn=self.cluster, tags=[{"key": PAUSED_TAG, "value": mark[:256]}])
        self._set_alarm_actions(enabled=False)
        self._set_schedules(enabled=False)
        for service in self._services():
            self._stop_service(service)
        for identifier, status in self._databases().items():
            if status not in ALREADY_STOPPED:
                self._await_database(identifier, {"available", *ALREADY_STOPPED})
                self.client("rds").stop_db_instance(DBInstanceIdentifier=identifier)
                self.say(f"The database {identifier} is stopping.")

    def resume(self) -> None:
        """Start the database and, when it is available, the tasks as they were. The mark and the alarms stay."""
        for identifier in self._databases():
            status = self._await_database(identifier, {"available", "stopped"})
            if status == "stopped":
                self.client("rds").start_db_instance(DBInstanceIdentifier=identifier)
                self.say(f"The database {identifier} is starting: AWS takes some minutes.")
                self._await_database(identifier, {"available"})
        for service in self._services():
            self._start_service(service)

    def finish_resume(self) -> None:
        """Take the mark away, once it serves: schedules run and alarms are heard again."""
        self._set_schedules(enabled=True)
        self._set_alarm_actions(enabled=True)
        self.client("ecs").untag_resource(resourceArn=self.cluster, tagKeys=[PAUSED_TAG])

    def find_mark(self) -> str:
        """Since when it is paused, and by whom; empty where it is not."""
        return self.cluster_tags().get(PAUSED_TAG, "")

    def cluster_tags(self) -> dict[str, str]:
        """Tags of the cluster; empty where it is gone."""
        clusters = self.client("ecs").describe_clusters(clusters=[self.cluster], include=["TAGS"])["clusters"]
        return tags_of(clusters[0]) if clusters else {}

    def stop_databases_again(self) -> None:
        """Stop databases that AWS has started by itself: it does so after seven days."""
        for identifier, status in self._databases().items():
            if status == "available":
                self.client("rds").stop_db_instance(DBInstanceIdentifier=identifier)
                self.say(f"AWS had started the database {identifier}: it is stopping again.")

    def running_tasks(self) -> tuple[int, int]:
        """Number of tasks of all services, and the number that they should have."""
        services = self._services()
        return sum(each["runningCount"] for each in services), sum(each["desiredCount"] for each in services)

    def _services(self) -> list[Any]:
        """All services of the cluster with their tags: monitoring and previews, too."""
        ecs = self.client("ecs")
        pages = ecs.get_paginator("list_services").paginate(cluster=self.cluster)
        arns = [arn for page in pages for arn in page["serviceArns"]]
        return [
            service
            for start in range(0, len(arns), DESCRIBE_SERVICES_LIMIT)
            for service in ecs.describe_services(
                cluster=self.cluster, services=arns[start : start + DESCRIBE_SERVICES_LIMIT], include=["TAGS"]
            )["services"]
            if service["status"] == "ACTIVE"
        ]

    def _stop_service(self, service: Any) -> None:
        """Hold its autoscaling and stop its tasks. The tag is set once: a second pause would record 0 tasks."""
        name, ecs = service["serviceName"], self.client("ecs")
        target = find_scalable_target(self.client, self.cluster, name)
        if FORMER_TASKS_TAG not in tags_of(service):
            smallest = target["MinCapacity"] if target else "-"
            value = f"{service['desiredCount']} {smallest}"
            ecs.tag_resource(resourceArn=service["serviceArn"], tags=[{"key": FORMER_TASKS_TAG, "value": value}])
        if target:
            self._hold_autoscaling(name, smallest=0, held=True)
        ecs.update_service(cluster=self.cluster, service=name, desiredCount=0)
        self.say(f"{name}: its tasks are stopping.")

    def _start_service(self, service: Any) -> None:
        former = tags_of(service).get(FORMER_TASKS_TAG)
        if former is None:
            return
        name, ecs = service["serviceName"], self.client("ecs")
        tasks, _, smallest = former.partition(" ")
        ecs.update_service(cluster=self.cluster, service=name, desiredCount=int(tasks))
        if smallest.isdigit():
            self._hold_autoscaling(name, smallest=int(smallest), held=False)
        ecs.untag_resource(resourceArn=service["serviceArn"], tagKeys=[FORMER_TASKS_TAG])
        self.say(f"{name}: {tasks} tasks are starting.")

    def _hold_autoscaling(self, service: str, *, smallest: int, held: bool) -> None:
        """A minimum of 0 as well: whether a suspended target still keeps its minimum is not documented."""
        suspended = dict.fromkeys(SUSPENDED_PROCESSES, held)
        change_scalable_target(self.client, self.cluster, service, MinCapacity=smallest, SuspendedState=suspended)

    def _databases(self) -> dict[str, str]:
        """Identifier -> status of the RDS instances that have the stack's tag."""
        pages = self.client("rds").get_paginator("describe_db_instances").paginate()
        return {
            instance["DBInstanceIdentifier"]: instance["DBInstanceStatus"]
            for page in pages
            for instance in page["DBInstances"]
            if {"Key": "stack", "Value": self.name} in (instance.get("TagList") or [])
        }

    def _await_database(self, identifier: str, statuses: set[str]) -> str:
        """Wait until RDS says one of `statuses`, and return it. Raises `TimeoutError`."""
        waited = 0.0
        last_status = ""
        while True:
            status = self._databases()[identifier]
            if status in statuses:
                return status
            if waited >= DATABASE_TIMEOUT_SECONDS:
                raise TimeoutError(f"the database {identifier} is {status} after {waited:.0f} s")
            if status != last_status:
                last_status = status
                self.say(f"The database {identifier} is {status}.")
            self.sleep(POLL_SECONDS)
            waited += POLL_SECONDS

    def _set_alarm_actions(self, *, enabled: bool) -> None:
        cloudwatch = self.client("cloudwatch")
        names = [arn.partition(":alarm:")[2] for arn in self._tagged("cloudwatch:alarm") if OFF_HOURS not in arn]
        change = cloudwatch.enable_alarm_actions if enabled else cloudwatch.disable_alarm_actions
        for start in range(0, len(names), ALARM_ACTIONS_LIMIT):
            change(AlarmNames=names[start : start + ALARM_ACTIONS_LIMIT])

    def _set_schedules(self, *, enabled: bool) -> None:
        """Of the cluster's tasks; the off-hours task's own continue."""
        scheduler = self.client("scheduler")
        for summary in list(self._schedules()):
            schedule = scheduler.get_schedule(GroupName=summary["GroupName"], Name=summary["Name"])
            # UpdateSchedule sets what it is not given to its default.
            request = {key: schedule[key] for key in SCHEDULE_KEYS if schedule.get(key) is not None}
            scheduler.update_schedule(**request, State="ENABLED" if enabled else "DISABLED")

    def _schedules(self) -> Iterator[Any]:
        for page in self.client("scheduler").get_paginator("list_schedules").paginate(NamePrefix=self.name):
            for schedule in page["Schedules"]:
                if schedule["Target"]["Arn"] == self.cluster and OFF_HOURS not in schedule["Name"]:
                    yield schedule

    def _tagged(self, resource_type: str) -> list[str]:
        """ARNs of the stack's resources of a type."""
        pages = (
            self.client("resourcegroupstaggingapi")
            .get_paginator("get_resources")
            .paginate(TagFilters=[{"Key": "stack", "Values": [self.name]}], ResourceTypeFilters=[resource_type])
        )
        return [entry["ResourceARN"] for page in pages for entry in page["ResourceTagMappingList"]]


def find_scalable_target(client: Callable[[str], Any], cluster: str, service: str) -> Any:
    """Returns the scalable target of a service of the cluster (ARN); None where it does not autoscale."""
    targets = client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="ecs", ResourceIds=[_resource_id(cluster, service)], ScalableDimension=SCALABLE_DIMENSION
    )["ScalableTargets"]
    return next(iter(targets), None)


def change_scalable_target(client: Callable[[str], Any], cluster: str, service: str, **changes: Any) -> None:
    """Sets what RegisterScalableTarget is given of a service's scalable target; the rest stays."""
    client("application-autoscaling").register_scalable_target(
        ServiceNamespace="ecs",
        ResourceId=_resource_id(cluster, service),
        ScalableDimension=SCALABLE_DIMENSION,
        **changes,
    )


def tags_of(described: Any) -> dict[str, str]:
    """Returns the tags in ECS's description of a cluster or a service."""
    return {tag["key"]: tag["value"] for tag in described.get("tags") or []}


def _resource_id(cluster: str, service: str) -> str:
    return f"service/{cluster.rsplit('/', 1)[-1]}/{service}"
