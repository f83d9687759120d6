"""An ECS on a clock of its own: what it answers is a table of moments, so that waits of minutes take no time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from botocore.exceptions import ClientError

EPOCH = datetime(2026, 3, 1, 12, tzinfo=UTC)
CLUSTER = "arn:aws:ecs:eu-central-1:111122223333:cluster/shop"
TARGETS = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/web/1"
NEVER = 10.0**9


class FakeClock:
    """Time passes only by `sleep`."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class FakeTask:
    """A task, and when what happens to it; seconds of the clock."""

    definition: str
    created: float = 0.0
    started: float | None = 1.0
    """None: it never starts."""
    stopped: float = NEVER
    exit_code: int | None = None
    stop_code: str = "EssentialContainerExited"
    reason: str = "Essential container in task exited"
    container_reason: str = ""
    health: str = "UNKNOWN"
    digest: str = "sha256:web"
    id: str = ""
    log: list[str] = field(default_factory=list)
    stopping: float = NEVER
    """ECS wants it to stop, and it still runs until `stopped`."""
    answers: float = 0.0
    """From which second on the load balancer finds it healthy, if it runs."""


@dataclass
class FakeDeployment:
    """A service deployment with its statuses: (from which second on, which)."""

    definition: str
    created: float
    statuses: list[tuple[float, str]]
    reason: str = ""
    listed: float = 0.0
    """From which second on ListServiceDeployments has it."""

    def status(self, now: float) -> str:
        return [status for since, status in self.statuses if since <= now][-1]

    def finished(self, now: float) -> float | None:
        since, status = [each for each in self.statuses if each[0] <= now][-1]
        return since if status in ("SUCCESSFUL", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED", "STOPPED") else None


class FakeEcs:
    """Clients of all services of an account with one ECS service, `web`."""

    def __init__(
        self,
        clock: FakeClock,
        deployments: list[FakeDeployment],
        tasks: list[FakeTask],
        *,
        desired: int = 1,
        balanced: bool = False,
        health_check: dict[str, Any] | None = None,
        skew: float = 0.0,
        on_update: Callable[[FakeEcs, str], None] | None = None,
    ) -> None:
        """`skew`: how far AWS's clock is ahead of this machine's. `on_update`: what an UpdateService does."""
        self.clock, self.deployments, self.tasks, self.desired = clock, deployments, tasks, desired
        self.balanced, self.health_check, self.skew, self.on_update = balanced, health_check, skew, on_update
        self.events: list[tuple[float, str]] = []
        self.alarms: dict[str, str] = {}
        self.errors: dict[str, list[str]] = {}
        """Operation -> the error codes of its next calls."""
        self.updates: list[str] = []
        self.has_date_header = True
        self.stuck = False
        """The service says FAILED and its newest deployment goes on being in progress."""
        self.releases: dict[str, str] = {}
        self.siblings: dict[str, list[FakeTask]] = {}
        self.run: list[FakeTask] = []
        """What RunTask starts, one after the other; `created` and so on count from then."""
        self.standalone: list[FakeTask] = []
        self.was_stopped: list[str] = []
        self.exceptions = type("Exceptions", (), {"ResourceNotFoundException": KeyError})

    def of(self, arn: str) -> FakeEcs:
        return self

    def client(self, service: str) -> FakeEcs:
        return self

    def at(self, seconds: float) -> datetime:
        return EPOCH + timedelta(seconds=seconds + self.skew)

    def _fail_if_due(self, operation: str) -> None:
        codes = self.errors.get(operation) or []
        if codes:
            code = codes.pop(0)
            raise ClientError({"Error": {"Code": code, "Message": "told so"}}, operation)

    @property
    def service_tasks(self) -> list[FakeTask]:
        return [task for task in self.tasks if task.created <= self.clock.now()]

    def describe_services(self, cluster: str, services: list[str]) -> Any:
        self._fail_if_due("DescribeServices")
        now = self.clock.now()
        running = [t for t in self.service_tasks if t.started is not None and t.started <= now < t.stopped]
        newest = next((each for each in self.deployments[::-1] if each.created <= now), None)
        status = newest.status(now) if newest else ""
        state = "IN_PROGRESS" if status in ("PENDING", "IN_PROGRESS") else "COMPLETED"
        primary = [{"status": "PRIMARY", "taskDefinition": newest.definition, "rolloutState": state}] if newest else []
        if self.stuck:
            primary = [{"status": "PRIMARY", "rolloutState": "FAILED"}]
        alarms = {"alarms": {"enable": True, "alarmNames": list(self.alarms)}} if self.alarms else {}
        headers = {"date": format_datetime(self.at(now), usegmt=True)} if self.has_date_header else {}
        described = {
            "serviceName": services[0],
            "runningCount": len(running),
            "desiredCount": self.desired,
            "deployments": primary,
            "deploymentConfiguration": alarms,
            "loadBalancers": self._targets(),
            "healthCheckGracePeriodSeconds": 60,
            "events": [{"createdAt": self.at(when), "message": text} for when, text in self.events if when <= now],
        }
        return {"services": [described], "ResponseMetadata": {"HTTPHeaders": headers}}

    def _targets(self) -> list[dict[str, Any]]:
        return [{"targetGroupArn": TARGETS, "containerPort": 8000}] if self.balanced else []

    def list_service_deployments(self, cluster: str, service: str, maxResults: int) -> Any:
        self._fail_if_due("ListServiceDeployments")
        now = self.clock.now()
        listed = []
        for number, each in enumerate(self.deployments):
            if max(each.created, each.listed) > now:
                continue
            finished = each.finished(now)
            listed.append(
                {
                    "serviceDeploymentArn": f"deployment/{number}",
                    "status": each.status(now),
                    "statusReason": each.reason,
                    "targetServiceRevisionArn": f"revision/{number}",
                    "createdAt": self.at(each.created),
                    "startedAt": self.at(each.created),
                    **({} if finished is None else {"finishedAt": self.at(finished)}),
                }
            )
        return {"serviceDeployments": listed[::-1][:maxResults]}

    def describe_service_revisions(self, serviceRevisionArns: list[str]) -> Any:
        numbers = {arn: int(arn.rpartition("/")[2]) for arn in serviceRevisionArns}
        revisions = [
            {
                "serviceRevisionArn": arn,
                "taskDefinition": self.deployments[number].definition,
                "loadBalancers": self._targets(),
            }
            for arn, number in numbers.items()
        ]
        return {"serviceRevisions": revisions}

    def get_paginator(self, call: str) -> Any:
        def paginate(cluster: str, serviceName: str, desiredStatus: str) -> Any:
            self._fail_if_due("ListTasks")
            tasks = self.siblings.get(serviceName, self.service_tasks)
            now = self.clock.now()
            stopped = desiredStatus == "STOPPED"
            return [{"taskArns": [self._arn(task) for task in tasks if (task.stopped <= now) == stopped]}]

        return type("Paginator", (), {"paginate": staticmethod(paginate)})()

    def _arn(self, task: FakeTask) -> str:
        everything = [*self.tasks, *self.standalone, *(task for tasks in self.siblings.values() for task in tasks)]
        return f"task/{task.id or everything.index(task)}"

    def describe_tasks(self, cluster: str, tasks: list[str]) -> Any:
        self._fail_if_due("DescribeTasks")
        everything = [*self.tasks, *self.standalone, *(task for group in self.siblings.values() for task in group)]
        return {"tasks": [self._described(task) for task in everything if self._arn(task) in tasks]}

    def _described(self, task: FakeTask) -> Any:
        now = self.clock.now()
        is_stopped = task.stopped <= now
        is_started = task.started is not None and task.started <= now
        container: dict[str, Any] = {"name": "web", "imageDigest": task.digest}
        if is_stopped and task.exit_code is not None:
            container["exitCode"] = task.exit_code
        if is_stopped and task.container_reason:
            container["reason"] = task.container_reason
        described: dict[str, Any] = {
            "taskArn": self._arn(task),
            "taskDefinitionArn": task.definition,
            "createdAt": self.at(task.created),
            "lastStatus": "STOPPED" if is_stopped else "RUNNING" if is_started else "PENDING",
            "desiredStatus": self._desired_status(task),
            "healthStatus": task.health,
            "startedBy": "slipway-release",
            "containers": [container],
            "attachments": [{"details": [{"name": "privateIPv4Address", "value": self._address(task)}]}],
        }
        if is_started:
            described["startedAt"] = self.at(task.started or 0.0)
        if is_stopped:
            described |= {
                "stoppedAt": self.at(task.stopped),
                "stopCode": task.stop_code,
                "stoppedReason": task.reason,
            }
        return described

    def describe_task_definition(self, taskDefinition: str) -> Any:
        release = self.releases.get(taskDefinition)
        container = {
            "name": "web",
            "image": "shop@sha256:web",
            "essential": True,
            "stopTimeout": 25,
            **({"healthCheck": self.health_check} if self.health_check else {}),
            **({"environment": [{"name": "RELEASE", "value": release}]} if release else {}),
            "logConfiguration": {"options": {"awslogs-group": "web", "awslogs-stream-prefix": "web"}},
        }
        described = {
            "taskDefinitionArn": taskDefinition,
            "family": taskDefinition.partition(":")[0],
            "containerDefinitions": [container],
        }
        return {"taskDefinition": described}

    def update_service(self, cluster: str, service: str, taskDefinition: str, forceNewDeployment: bool) -> Any:
        self.updates.append(taskDefinition)
        if self.on_update:
            self.on_update(self, taskDefinition)

    def describe_target_health(self, TargetGroupArn: str) -> Any:
        now = self.clock.now()
        running = [t for t in self.service_tasks if t.started is not None and t.started <= now < t.stopped]
        states = {self._address(task): "healthy" if task.answers <= now else "initial" for task in running}
        return {
            "TargetHealthDescriptions": [
                {"Target": {"Id": address, "Port": 8000}, "TargetHealth": {"State": state}}
                for address, state in states.items()
            ]
        }

    def _address(self, task: FakeTask) -> str:
        return f"address of {self._arn(task)}"

    def describe_target_groups(self, TargetGroupArns: list[str]) -> Any:
        group = {
            "TargetGroupArn": TARGETS,
            "HealthCheckPath": "/nowhere",
            "HealthCheckPort": "traffic-port",
            "HealthCheckIntervalSeconds": 10,
            "HealthCheckTimeoutSeconds": 5,
            "UnhealthyThresholdCount": 3,
            "Matcher": {"HttpCode": "200-299"},
        }
        return {"TargetGroups": [group]}

    def describe_alarms(self, AlarmNames: list[str], AlarmTypes: list[str]) -> Any:
        return {"MetricAlarms": [{"AlarmName": name, "StateValue": self.alarms[name]} for name in AlarmNames]}

    def get_log_events(self, logGroupName: str, logStreamName: str, **more: Any) -> Any:
        everything = [*self.tasks, *self.standalone]
        task = next(each for each in everything if self._arn(each).rpartition("/")[2] == logStreamName.split("/")[-1])
        lines = [] if more.get("nextToken") else task.log
        return {"events": [{"message": line} for line in lines], "nextForwardToken": "end"}

    def list_tasks(self, cluster: str, family: str, desiredStatus: str) -> Any:
        now = self.clock.now()
        return {
            "taskArns": [
                self._arn(task)
                for task in self.standalone
                if task.created <= now and self._desired_status(task) == desiredStatus
            ]
        }

    def _desired_status(self, task: FakeTask) -> str:
        return "STOPPED" if min(task.stopping, task.stopped) <= self.clock.now() else "RUNNING"

    def run_task(self, **given: Any) -> Any:
        self._fail_if_due("RunTask")
        if not self.run:
            return {"tasks": [], "failures": [{"reason": "RESOURCE:CPU", "detail": "no room"}]}
        task, now = self.run.pop(0), self.clock.now()
        task.created, task.stopped = task.created + now, task.stopped + now
        task.started = None if task.started is None else task.started + now
        self.standalone.append(task)
        return {"tasks": [self._described(task)]}

    def stop_task(self, cluster: str, task: str, reason: str) -> None:
        self.was_stopped.append(task)
        for each in self.standalone:
            if self._arn(each) == task:
                each.stopped = self.clock.now() + 5
                each.exit_code = 143
