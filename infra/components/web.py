"""A process behind the load balancer, on Fargate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra import contract, naming
from infra.app_process import Spot
from infra.components.alarm import Alarm, too_few_tasks
from infra.components.alarms import metric_alarm
from infra.components.scaling import Scaling, ScalingArgs, cpu_target, request_target
from infra.components.security_group import allow, allow_https_out, allow_stores
from infra.components.service import ecs_service, metrics_tags
from infra.components.task import Task, TaskArgs
from infra.foundation import LoadBalancerFacts, Place, TaskFacts


@dataclass(frozen=True)
class WebArgs:
    """Inputs of `Web`."""

    place: Place
    load_balancer: LoadBalancerFacts
    label: str
    """What the process is called: the name of its container and of its alarms."""
    task: TaskArgs
    """Of its containers the first is the one that serves, on its port."""
    health_path: str
    """What the load balancer asks to see whether a task may have requests."""
    priority: int
    """Of its rule among those of the load balancer, 1 to 50000; the lowest that fits wins."""
    paths: Sequence[str] = ("/*",)
    """Patterns of the paths that it is for ..."""
    hosts: Sequence[str] = ()
    """... and of the names; empty for any."""
    rollout: contract.Rollout = contract.ROLLOUTS["fast"]
    tasks: int = 2
    max_tasks: int = 2
    """Where it is more than `tasks`, CPU and requests decide how many run."""
    metrics_port: int | None = None
    """Where its tasks answer Prometheus; None: nowhere."""
    spot: Spot | None = None
    hooks: pulumi.ResourceHookBinding | None = None
    """What has to hold before the service changes."""
    after: Sequence[pulumi.Resource] = ()
    """What those need."""


class Web(pulumi.ComponentResource):
    """An ECS service with a rule of the load balancer.

    Provisions: a task definition with its log group and roles, security group (in: the load balancer; out: its stores,
    and HTTPS to pull and to AWS's endpoints), target group, listener rule, service with circuit breaker and rollback,
    autoscaling where `max_tasks` is more than `tasks`.
    Costs on Fargate (us-east-1, x86), each task and month: 29.55 USD a vCPU and 3.24 USD a GB.
    """

    task: TaskFacts
    service: aws.ecs.Service
    service_name: pulumi.Output[str]
    service_arn: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    alarms: list[Alarm]

    def __init__(self, name: str, args: WebArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:web:Web", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        serving = args.task.containers[0]
        if serving.port is None:
            raise ValueError(f"{name}: the container {serving.name} has no port to serve on")
        self.task = task = Task(name, args.task, opts=child).facts
        group, rules = self._security_group(name, args, serving.port)
        targets = target_group(name, args.place, args.health_path, args.rollout, parent=self)
        rule = aws.lb.ListenerRule(
            f"{name}-rule",
            listener_arn=args.load_balancer.listener_arn,
            priority=args.priority,
            conditions=_conditions(args),
            actions=[{"type": "forward", "target_group_arn": targets.arn}],
            opts=child,
        )
        scaled = args.max_tasks > args.tasks
        service = ecs_service(
            name,
            place=args.place,
            task=task,
            security_group_id=group.id,
            tasks=args.tasks,
            scaled=scaled,
            spot=args.spot,
            # The rule first: ECS refuses a target group that no listener uses.
            after=[rule, *rules, *args.after],
            parent=self,
            hooks=args.hooks,
            tags=metrics_tags(args.label, args.metrics_port),
            load_balancers=[
                {"target_group_arn": targets.arn, "container_name": serving.name, "container_port": serving.port}
            ],
            **_rolled_back_by(name, args, targets, parent=self),
            health_check_grace_period_seconds=contract.START_GRACE_SECONDS,
        )
        if scaled:
            requests = contract.requests_per_task(args.task.cpu)
            Scaling(
                name,
                ScalingArgs(
                    cluster_name=args.place.cluster.name,
                    service_name=service.name,
                    least=args.tasks,
                    most=args.max_tasks,
                    targets={
                        "cpu": cpu_target(contract.WEB_CPU_TARGET_PERCENT),
                        "requests": request_target(requests, args.load_balancer.arn_suffix, targets.arn_suffix),
                    },
                ),
                opts=child,
            )
        self.security_group_id = group.id
        self.service, self.service_name, self.service_arn = service, service.name, service.id
        self.alarms = _alarms(args, service, targets)
        self.register_outputs({"serviceName": self.service_name})

    def _security_group(
        self, name: str, args: WebArgs, port: int
    ) -> tuple[aws.ec2.SecurityGroup, list[pulumi.Resource]]:
        group = aws.ec2.SecurityGroup(
            name,
            description=f"{args.label} tasks: reached by the load balancer, reach AWS over HTTPS",
            vpc_id=args.place.network.vpc_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        rules = allow(
            f"{name}-from-lb",
            source=args.load_balancer.security_group_id,
            target=group.id,
            port=port,
            why="Requests and health checks from the load balancer",
            parent=self,
        )
        rules.append(allow_https_out(name, source=group.id, parent=self))
        rules += allow_stores(name, f"{args.label} tasks", source=group.id, stores=args.place.stores, parent=self)
        return group, rules


def target_group(
    name: str, place: Place, health_path: str, rollout: contract.Rollout, *, parent: pulumi.Resource
) -> aws.lb.TargetGroup:
    """The targets of a service, and how the load balancer looks at them."""
    return aws.lb.TargetGroup(
        naming.short(name),
        vpc_id=place.network.vpc_id,
        target_type="ip",
        port=contract.TARGET_PORT,
        protocol="HTTP",
        deregistration_delay=rollout.deregistration_delay,
        health_check={
            "path": health_path,
            "interval": contract.HEALTH_INTERVAL_SECONDS,
            "timeout": contract.HEALTH_TIMEOUT_SECONDS,
            "healthy_threshold": contract.HEALTHY_THRESHOLD,
            "unhealthy_threshold": contract.UNHEALTHY_THRESHOLD,
            "matcher": "200",
        },
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _conditions(args: WebArgs) -> list[aws.lb.ListenerRuleConditionArgsDict]:
    found: list[aws.lb.ListenerRuleConditionArgsDict] = [{"path_pattern": {"values": list(args.paths)}}]
    if args.hosts:
        found.append({"host_header": {"values": list(args.hosts)}})
    return found


def _rolled_back_by(name: str, args: WebArgs, targets: aws.lb.TargetGroup, parent: pulumi.Resource) -> dict[str, Any]:
    """Alarms that end a rollout, where the profile has them: as a share of all answers, so that load alone is none."""
    if not args.rollout.alarms:
        return {}
    errors = metric_alarm(f"{name}-rollback", _errors(args, targets), opts=pulumi.ResourceOptions(parent=parent))
    return {"alarms": {"enable": True, "rollback": True, "alarm_names": [errors.name]}}


def _errors(args: WebArgs, targets: aws.lb.TargetGroup) -> Alarm:
    return Alarm(
        f"{args.label}-errors",
        f"Over 1 % of the answers of {args.label} are 5xx",
        "AWS/ApplicationELB",
        "HTTPCode_Target_5XX_Count",
        _answers(args, targets),
        statistic="Sum",
        over=1,  # percent
        share_of="RequestCount",
    )


def _answers(args: WebArgs, targets: aws.lb.TargetGroup) -> dict[str, pulumi.Input[str]]:
    return {"LoadBalancer": args.load_balancer.arn_suffix, "TargetGroup": targets.arn_suffix}


def _alarms(args: WebArgs, service: aws.ecs.Service, targets: aws.lb.TargetGroup) -> list[Alarm]:
    answers = _answers(args, targets)

    def alarm(name: str, why: str, metric: str, statistic: str, over: float, **more: Any) -> Alarm:
        return Alarm(
            f"{args.label}-{name}", why, "AWS/ApplicationELB", metric, answers, statistic=statistic, over=over, **more
        )

    return [
        _errors(args, targets),
        alarm(
            "latency", f"One answer in a hundred of {args.label} takes over a second", "TargetResponseTime", "p99", 1.0
        ),
        alarm("unhealthy", f"Tasks of {args.label} fail their health check", "UnHealthyHostCount", "Maximum", 0),
        *too_few_tasks(args.label, args.place.cluster, service.name, args.tasks),
    ]
