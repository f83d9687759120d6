"""The web service: the app's image behind the load balancer, on Fargate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra import contract
from infra.components.alarm import Alarm, too_few_tasks
from infra.components.load_balancer import LoadBalancer
from infra.components.scaling import Scaling, ScalingArgs, cpu_target, request_target
from infra.components.security_group import allow, allow_https_out, allow_stores
from infra.components.service import Place, ecs_service
from infra.components.task import Task, TaskArgs
from infra.settings import Settings

HEALTH_CHECK = {
    "command": ["CMD", "python", "-m", "app.healthcheck"],
    "interval": 5,
    "timeout": 5,
    "retries": 3,
    "startPeriod": contract.START_GRACE_SECONDS,
}


@dataclass(frozen=True)
class WebArgs:
    """Inputs of `Web`."""

    place: Place
    load_balancer: LoadBalancer
    task: TaskArgs
    tasks: int = 2
    max_tasks: int = 2
    """Where it is more than `tasks`, CPU and requests decide how many run."""
    hooks: pulumi.ResourceHookBinding | None = None
    """What has to hold before the service changes."""
    after: Sequence[pulumi.Resource] = ()
    """What those need: the migration's task definition."""

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        place: Place,
        load_balancer: LoadBalancer,
        task: TaskArgs,
        hooks: pulumi.ResourceHookBinding | None,
        after: Sequence[pulumi.Resource],
    ) -> WebArgs:
        """As a stack's settings have it."""
        return cls(place, load_balancer, task, settings.web_tasks, settings.web_max_tasks, hooks, after)


class Web(pulumi.ComponentResource):
    """An ECS service of the app.

    Provisions: a task definition with its log group and roles, security group (in: the load balancer; out: its stores,
    and HTTPS to pull and to AWS's endpoints), target group, listener rule, service with circuit breaker and rollback,
    autoscaling where `max_tasks` is more than `tasks`.
    Costs on Fargate (us-east-1, x86), each task and month: 29.55 USD a vCPU and 3.24 USD a GB.
    """

    task: Task
    service_name: pulumi.Output[str]
    service_arn: pulumi.Output[str]
    alarms: list[Alarm]

    def __init__(self, name: str, args: WebArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:web:Web", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.task = task = Task(
            name,
            "web",
            args.task.but(
                container={
                    "portMappings": [{"containerPort": contract.WEB_PORT, "protocol": "tcp"}],
                    "healthCheck": HEALTH_CHECK,
                }
            ),
            opts=child,
        )
        group, rules = self._security_group(name, args)
        targets = aws.lb.TargetGroup(
            f"{name}-web",
            vpc_id=args.place.network.vpc_id,
            target_type="ip",
            port=contract.WEB_PORT,
            protocol="HTTP",
            deregistration_delay=contract.DEREGISTRATION_DELAY_SECONDS,
            health_check={
                "path": contract.READY_PATH,
                "interval": contract.HEALTH_INTERVAL_SECONDS,
                "timeout": contract.HEALTH_TIMEOUT_SECONDS,
                "healthy_threshold": contract.HEALTHY_THRESHOLD,
                "unhealthy_threshold": contract.UNHEALTHY_THRESHOLD,
                "matcher": "200",
            },
            opts=child,
        )
        rule = aws.lb.ListenerRule(
            f"{name}-rule",
            listener_arn=args.load_balancer.listener_arn,
            priority=1000,
            conditions=[{"path_pattern": {"values": ["/*"]}}],
            actions=[{"type": "forward", "target_group_arn": targets.arn}],
            opts=child,
        )
        scaled = args.max_tasks > args.tasks
        service = ecs_service(
            f"{name}-service",
            place=args.place,
            task=task,
            security_group_id=group.id,
            tasks=args.tasks,
            scaled=scaled,
            # The rule first: ECS refuses a target group that no listener uses.
            after=[rule, *rules, *args.after],
            parent=self,
            hooks=args.hooks,
            launch_type="FARGATE",
            load_balancers=[
                {"target_group_arn": targets.arn, "container_name": "web", "container_port": contract.WEB_PORT}
            ],
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
        self.service_name, self.service_arn = service.name, service.id
        self.alarms = _alarms(args, service, targets)
        self.register_outputs({"serviceName": self.service_name})

    def _security_group(self, name: str, args: WebArgs) -> tuple[aws.ec2.SecurityGroup, list[pulumi.Resource]]:
        group = aws.ec2.SecurityGroup(
            f"{name}-web",
            description="Web tasks: reached by the load balancer, reach AWS over HTTPS",
            vpc_id=args.place.network.vpc_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        rules = allow(
            f"{name}-lb-to-web",
            source=args.load_balancer.security_group_id,
            target=group.id,
            port=contract.WEB_PORT,
            why="Requests and health checks from the load balancer",
            parent=self,
        )
        rules.append(allow_https_out(f"{name}-web", source=group.id, parent=self))
        rules += allow_stores(f"{name}-web", "Web tasks", source=group.id, stores=args.place.stores, parent=self)
        return group, rules


def _alarms(args: WebArgs, service: aws.ecs.Service, targets: aws.lb.TargetGroup) -> list[Alarm]:
    answers = {"LoadBalancer": args.load_balancer.arn_suffix, "TargetGroup": targets.arn_suffix}

    def alarm(name: str, why: str, metric: str, statistic: str, over: float, **more: Any) -> Alarm:
        return Alarm(f"web-{name}", why, "AWS/ApplicationELB", metric, answers, statistic=statistic, over=over, **more)

    return [
        alarm(
            "errors",
            "Over 1 % of the app's answers are 5xx",
            "HTTPCode_Target_5XX_Count",
            "Sum",
            1,  # percent
            share_of="RequestCount",
        ),
        alarm("latency", "One answer in a hundred takes over a second", "TargetResponseTime", "p99", 1.0),
        alarm("unhealthy", "Tasks fail their health check", "UnHealthyHostCount", "Maximum", 0),
        *too_few_tasks("web", args.place.cluster, service.name, args.tasks),
    ]
