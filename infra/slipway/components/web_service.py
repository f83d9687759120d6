"""An ECS service behind the load balancer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from slipway.components.alarms import create_metric_alarm
from slipway.components.autoscaling import TargetTracking, cpu_target, request_target
from slipway.components.cdn import OriginHeader
from slipway.components.cloudwatch_alarm import Alarm, running_tasks_alarms
from slipway.components.outputs import LoadBalancerOutputs, TaskDefinitionOutputs
from slipway.components.process_service import ProcessServiceArgs, create_process_service
from slipway.components.security_group import allow_connections, allow_https_egress, allow_store_access
from slipway.components.target_group import DEFAULT_LIMITS, HealthCheckLimits, create_target_group
from slipway.components.task_definition import FargateTaskDefinition
from slipway.config import constants

UNREACHABLE_HOST = "attachment.invalid"
"""A host name that does not exist (RFC 2606)."""


@dataclass(frozen=True, kw_only=True)
class WebServiceArgs(ProcessServiceArgs):
    """Inputs of `WebService`."""

    load_balancer: LoadBalancerOutputs
    health_path: str
    """Path of the load balancer's health check."""
    priority: int
    """Priority of its listener rule, 1 to 50000; the lowest that matches wins."""
    attachment_priority: int | None = None
    """Priority of a rule that no request matches. With it requests come when `route_requests` is called: a service of
    certain paths gets them from tasks of another one, which have to serve them until its own tasks do. None: the
    listener rule is there before the service."""
    paths: Sequence[str] = ("/*",)
    """Path patterns of its listener rule ..."""
    hosts: Sequence[str] = ()
    """... and host names; empty: any."""
    origin_header: OriginHeader | None = None
    """The header that it requires of CloudFront. None: it takes any client's requests."""
    ignore_deregistration_delay: bool = False
    """Whether the program changes it: to a shorter one after the rollout, for old tasks' requests are promised more."""
    rollout: constants.DeployProfile = constants.DEPLOY_PROFILES["fast"]
    health_limits: HealthCheckLimits = DEFAULT_LIMITS
    """When the load balancer calls a task unhealthy."""
    start_seconds: int = constants.HEALTH_CHECK_GRACE_SECONDS
    """Seconds after a task's start in which ECS ignores failed health checks."""
    tasks: int = 2
    max_tasks: int = 2
    target_group_hooks: pulumi.ResourceHookBinding | None = None
    """Hooks that run before the target group changes, which old and new tasks share."""


class WebService(pulumi.ComponentResource):
    """Creates an ECS service with a rule of the load balancer's listener.

    Provisions: a task definition with its log group and roles, security group (ingress: the load balancer; egress: its
    stores and HTTPS), target group, listener rule, service with circuit breaker and rollback, autoscaling where
    `max_tasks` exceeds `tasks`. Costs on Fargate (us-east-1, x86), each task and month: 29.55 USD a vCPU and 3.24 USD a
    GB.

    Raises:
        ValueError: The first container has no port.
    """

    task: TaskDefinitionOutputs
    service: aws.ecs.Service
    service_name: pulumi.Output[str]
    service_arn: pulumi.Output[str]
    target_group_arn: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    alarms: list[Alarm]

    def __init__(self, name: str, args: WebServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:ecs:WebService", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        serving, port = args.task.serving_container(name)
        task = FargateTaskDefinition(name, args.task, opts=child).outputs
        group, rules = self._create_security_group(name, args, port)
        target_group = create_target_group(
            name,
            args.place,
            args.health_path,
            args.rollout,
            limits=args.health_limits,
            parent=self,
            hooks=args.target_group_hooks,
            ignore_changes=["deregistrationDelay"] if args.ignore_deregistration_delay else (),
        )
        self._name = name
        self._args = args
        self.target_group_arn = target_group.arn
        # ECS refuses a target group that no listener uses.
        rule = (
            self._create_attachment_rule(args.attachment_priority) if args.attachment_priority else self._create_rule()
        )
        service = create_process_service(
            name,
            args,
            task=task,
            security_group_id=group.id,
            # The listener rule first: ECS refuses a target group that no listener uses.
            depends_on=[rule, *rules],
            scaling_targets=lambda _: _scaling_targets(args, target_group),
            parent=self,
            load_balancers=[
                {"target_group_arn": target_group.arn, "container_name": serving.name, "container_port": port}
            ],
            rollback_alarm_names=_create_rollback_alarms(name, args, target_group, parent=self),
            health_check_grace_seconds=args.start_seconds,
        )
        self.security_group_id = group.id
        self.task = task
        self.service = service
        self.service_name = service.name
        self.service_arn = service.id
        self.alarms = _alarms(args, service, target_group)
        self.register_outputs({"serviceName": self.service_name})

    def route_requests(self, rollouts: Sequence[pulumi.Output[Any]]) -> None:
        """Creates or changes the listener rule of certain paths when `rollouts` are done.

        So requests move to tasks that serve them, and a removed service loses its rule before its tasks. Nothing to do
        without `attachment_priority`.
        """
        if self._args.attachment_priority:
            self._create_rule(rollouts)

    def _create_rule(self, rollouts: Sequence[pulumi.Output[Any]] = ()) -> aws.lb.ListenerRule:
        conditions = _listener_rule_conditions(self._args)
        # A preview waits for no rollout.
        after = pulumi.Output.all(*rollouts).apply(lambda _: conditions) if rollouts else None
        return aws.lb.ListenerRule(
            f"{self._name}-rule",
            listener_arn=self._args.load_balancer.listener_arn,
            priority=self._args.priority,
            conditions=conditions if after is None or pulumi.runtime.is_dry_run() else after,
            actions=[{"type": "forward", "target_group_arn": self.target_group_arn}],
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=self._args.origin_header.ready if self._args.origin_header else None
            ),
        )

    def _create_attachment_rule(self, priority: int) -> aws.lb.ListenerRule:
        return aws.lb.ListenerRule(
            f"{self._name}-attachment",
            listener_arn=self._args.load_balancer.listener_arn,
            priority=priority,
            conditions=[{"host_header": {"values": [UNREACHABLE_HOST]}}],
            actions=[{"type": "forward", "target_group_arn": self.target_group_arn}],
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _create_security_group(
        self, name: str, args: WebServiceArgs, port: int
    ) -> tuple[aws.ec2.SecurityGroup, list[pulumi.Resource]]:
        group = aws.ec2.SecurityGroup(
            name,
            description=f"{args.label} tasks: reached by the load balancer, reach AWS over HTTPS",
            vpc_id=args.place.network.vpc_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        rules = allow_connections(
            f"{name}-from-lb",
            source=args.load_balancer.security_group_id,
            target=group.id,
            port=port,
            description="Requests and health checks from the load balancer",
            parent=self,
        )
        rules.append(allow_https_egress(name, source=group.id, parent=self))
        rules += allow_store_access(name, f"{args.label} tasks", source=group.id, stores=args.place.stores, parent=self)
        return group, rules


def _scaling_targets(args: WebServiceArgs, target_group: aws.lb.TargetGroup) -> dict[str, TargetTracking]:
    return {
        "cpu": cpu_target(constants.WEB_CPU_TARGET_PERCENT),
        "requests": request_target(
            constants.requests_per_task(args.task.cpu), args.load_balancer.arn_suffix, target_group.arn_suffix
        ),
    }


def _listener_rule_conditions(args: WebServiceArgs) -> list[aws.lb.ListenerRuleConditionArgsDict]:
    conditions: list[aws.lb.ListenerRuleConditionArgsDict] = [{"path_pattern": {"values": list(args.paths)}}]
    if args.hosts:
        conditions.append({"host_header": {"values": list(args.hosts)}})
    if args.origin_header:
        conditions.append(args.origin_header.condition)
    return conditions


def _create_rollback_alarms(
    name: str, args: WebServiceArgs, target_group: aws.lb.TargetGroup, parent: pulumi.Resource
) -> list[pulumi.Output[str]]:
    """Creates the alarms that roll a deployment back, if its profile has them, and returns their names.

    They measure errors as a share of all responses, so that load does not raise them.
    """
    if not args.rollout.alarms:
        return []
    errors = create_metric_alarm(
        f"{name}-rollback", _error_rate_alarm(args, target_group), opts=pulumi.ResourceOptions(parent=parent)
    )
    return [errors.name]


def _error_rate_alarm(args: WebServiceArgs, target_group: aws.lb.TargetGroup) -> Alarm:
    return Alarm(
        f"{args.label}-errors",
        f"Over 1 % of the responses of {args.label} are 5xx",
        "AWS/ApplicationELB",
        "HTTPCode_Target_5XX_Count",
        _target_group_dimensions(args, target_group),
        statistic="Sum",
        greater_than=1,  # percent
        denominator_metric="RequestCount",
    )


def _target_group_dimensions(args: WebServiceArgs, target_group: aws.lb.TargetGroup) -> dict[str, pulumi.Input[str]]:
    return {"LoadBalancer": args.load_balancer.arn_suffix, "TargetGroup": target_group.arn_suffix}


def _alarms(args: WebServiceArgs, service: aws.ecs.Service, target_group: aws.lb.TargetGroup) -> list[Alarm]:
    latency = Alarm(
        f"{args.label}-latency",
        f"1 % of the responses of {args.label} take over a second",
        "AWS/ApplicationELB",
        "TargetResponseTime",
        _target_group_dimensions(args, target_group),
        statistic="p99",
        greater_than=1.0,  # seconds
    )
    unhealthy = Alarm(
        f"{args.label}-unhealthy",
        f"Tasks of {args.label} fail their health check",
        "AWS/ApplicationELB",
        "UnHealthyHostCount",
        _target_group_dimensions(args, target_group),
        statistic="Maximum",
        greater_than=0,
    )
    return [
        _error_rate_alarm(args, target_group),
        latency,
        unhealthy,
        *running_tasks_alarms(args.label, args.place.cluster, service.name, args.tasks),
    ]
