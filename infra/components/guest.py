"""A service on what somebody else has made: roles, a security group, a load balancer, a registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import contract
from infra.app_process import Spot
from infra.components.service import ecs_service, metrics_tags
from infra.components.task import TaskArgs, task_definition
from infra.components.web import target_group
from infra.foundation import Place, PreviewFacts, TaskFacts


@dataclass(frozen=True)
class GuestArgs:
    """Inputs of `Guest`."""

    place: Place
    listener_arn: pulumi.Input[str]
    host: pulumi.Input[str]
    """The name that it answers to."""
    priority: int
    """Of its rule among those of the load balancer."""
    prefix: str
    """What the name of its log group begins with: the execution role reaches no other."""
    shared: PreviewFacts
    """Whose roles and security group it has."""
    task: TaskArgs
    """Of its containers the first is the one that serves, on its port."""
    health_path: str
    release: TaskArgs | None = None
    """What runs once before new code serves; None: nothing."""
    rollout: contract.Rollout = contract.ROLLOUTS["fast"]
    tasks: int = 1
    metrics_port: int | None = None
    """Where it answers Prometheus; None: nowhere."""
    spot: Spot | None = None


class Guest(pulumi.ComponentResource):
    """Log group, task definitions, target group, a rule by the host's name, service. Nothing of it takes long on AWS.

    Costs on Fargate (us-east-1, x86), each task and month: 29.55 USD a vCPU and 3.24 USD a GB; on Spot about 70 % less.
    """

    task: TaskFacts
    release_arn: pulumi.Output[str] | None = None
    """Of the release step's task definition."""
    log_groups: dict[str, pulumi.Output[str]]
    """Container, or `release` -> its log group: one for all."""

    def __init__(self, name: str, args: GuestArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:guest:Guest", name, None, opts)
        self._name, self._args = name, args
        child = pulumi.ResourceOptions(parent=self)
        serving, shared = args.task.containers[0], args.shared
        logs = aws.cloudwatch.LogGroup(
            f"{args.prefix}/{name}",
            retention_in_days=args.task.log_retention_days,
            kms_key_id=args.task.key_arn,
            opts=child,
        )
        made = {
            "log_group": logs.name,
            "execution_role_arn": shared.execution_role_arn,
            "task_role_arn": shared.task_role_arn,
        }
        tasks: Mapping[str, TaskArgs | None] = {f"{name}-{serving.name}": args.task, f"{name}-release": args.release}
        definitions = [task_definition(n, task, **made, parent=self) for n, task in tasks.items() if task]
        self.task = TaskFacts(
            arn=definitions[0].arn,
            family=f"{name}-{serving.name}",
            family_arn=definitions[0].arn_without_revision,
            log_group_name=logs.name,
            log_group_arn=logs.arn,
            role_arns=[shared.execution_role_arn, shared.task_role_arn],
            ready=definitions,
        )
        self.release_arn = definitions[1].arn if args.release else None
        containers = [container for task in tasks.values() if task for container in task.containers]
        self.log_groups = {container.name: logs.name for container in containers}

    def serve(self, *, hooks: pulumi.ResourceHookBinding | None, after: Sequence[pulumi.Resource]) -> aws.ecs.Service:
        """The service, behind its rule: made and changed `after` those, and when `hooks` let it."""
        name, args, child = self._name, self._args, pulumi.ResourceOptions(parent=self)
        serving = args.task.containers[0]
        targets = target_group(name, args.place, args.health_path, args.rollout, parent=self)
        rule = aws.lb.ListenerRule(
            f"{name}-rule",
            listener_arn=args.listener_arn,
            priority=args.priority,
            conditions=[{"host_header": {"values": [args.host]}}],
            actions=[{"type": "forward", "target_group_arn": targets.arn}],
            opts=child,
        )
        service = ecs_service(
            f"{name}-{serving.name}",
            place=args.place,
            task=self.task,
            security_group_id=args.shared.security_group_id,
            tasks=args.tasks,
            scaled=False,
            spot=args.spot,
            after=[rule, *after],
            parent=self,
            hooks=hooks,
            tags=metrics_tags(serving.name, args.metrics_port),
            load_balancers=[
                {"target_group_arn": targets.arn, "container_name": serving.name, "container_port": serving.port}
            ],
            health_check_grace_period_seconds=contract.START_GRACE_SECONDS,
        )
        self.register_outputs({"serviceName": service.name})
        return service
