"""A preview's ECS service, on roles, a security group and a load balancer that its environment owns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.ecs_service import SpotCapacity, create_ecs_service, metrics_tags
from slipway.components.outputs import PreviewSharedOutputs, RoleOutputs, TaskDefinitionOutputs, TaskPlacement
from slipway.components.target_group import DEFAULT_LIMITS, HealthCheckLimits, create_target_group
from slipway.components.task_definition import FargateTaskDefinitionArgs, create_task_definition
from slipway.config import constants


@dataclass(frozen=True)
class PreviewServiceArgs:
    """Inputs of `PreviewService`."""

    place: TaskPlacement
    listener_arn: pulumi.Input[str]
    host: pulumi.Input[str]
    """Host name of its listener rule."""
    priority: int
    """Priority of its listener rule."""
    log_group_prefix: str
    """Prefix of its log group: the execution role writes to no other."""
    shared: PreviewSharedOutputs
    """Roles and security group that it uses."""
    task: FargateTaskDefinitionArgs
    """The first container serves, on its port."""
    health_path: str
    release: FargateTaskDefinitionArgs | None = None
    """Release task, which runs once before new code serves; None: none."""
    rollout: constants.DeployProfile = constants.DEPLOY_PROFILES["fast"]
    health_limits: HealthCheckLimits = DEFAULT_LIMITS
    """When the load balancer calls a task unhealthy."""
    start_seconds: int = constants.HEALTH_CHECK_GRACE_SECONDS
    """How long ECS ignores failed health checks after a task has started."""
    tasks: int = 1
    metrics_port: int | None = None
    """Port on which it answers Prometheus; None: none."""
    spot: SpotCapacity | None = None
    target_group_hooks: pulumi.ResourceHookBinding | None = None
    """Hooks that run before the target group changes, which old and new tasks share."""


class PreviewService(pulumi.ComponentResource):
    """Creates a log group, task definitions, a target group, a listener rule by host, and the service.

    None of them takes long on AWS. Costs on Fargate (us-east-1, x86), each task and month: 29.55 USD a vCPU and
    3.24 USD a GB; on Spot about 70 % less.
    """

    task: TaskDefinitionOutputs
    release_task_definition_arn: pulumi.Output[str] | None = None
    log_groups: dict[str, pulumi.Output[str]]
    """Container -> its log group: one for all."""

    def __init__(self, name: str, args: PreviewServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:ecs:PreviewService", name, None, opts)
        self._name = name
        self._args = args
        self._log_group = aws.cloudwatch.LogGroup(
            f"{args.log_group_prefix}/{name}",
            retention_in_days=args.task.log_retention_days,
            kms_key_id=args.task.key_arn,
            opts=pulumi.ResourceOptions(parent=self),
        )
        family = f"{name}-{args.task.containers[0].name}"
        definitions = [self._create_task_definition(family, args.task)]
        containers = list(args.task.containers)
        if args.release:
            definitions.append(self._create_task_definition(f"{name}-release", args.release))
            containers += args.release.containers
            self.release_task_definition_arn = definitions[1].arn
        self.log_groups = {container.name: self._log_group.name for container in containers}
        self.task = TaskDefinitionOutputs(
            arn=definitions[0].arn,
            family=family,
            family_arn=definitions[0].arn_without_revision,
            log_group_name=self._log_group.name,
            log_group_arn=self._log_group.arn,
            execution_role=_role_outputs(args.shared.execution_role_arn),
            task_role=_role_outputs(args.shared.task_role_arn),
            has_exec=args.task.has_exec,
            ready=definitions,
        )

    def create_service(
        self, *, hooks: pulumi.ResourceHookBinding | None, depends_on: Sequence[pulumi.Resource]
    ) -> aws.ecs.Service:
        """Creates the service and its listener rule. It changes after `depends_on`, when `hooks` have succeeded.

        Raises:
            ValueError: The first container has no port.
        """
        name = self._name
        args = self._args
        serving, port = args.task.serving_container(name)
        target_group = create_target_group(
            name,
            args.place,
            args.health_path,
            args.rollout,
            limits=args.health_limits,
            parent=self,
            hooks=args.target_group_hooks,
        )
        rule = aws.lb.ListenerRule(
            f"{name}-rule",
            listener_arn=args.listener_arn,
            priority=args.priority,
            conditions=[{"host_header": {"values": [args.host]}}],
            actions=[{"type": "forward", "target_group_arn": target_group.arn}],
            opts=pulumi.ResourceOptions(parent=self),
        )
        service = create_ecs_service(
            self.task.family,
            place=args.place,
            task=self.task,
            security_group_id=args.shared.security_group_id,
            tasks=args.tasks,
            is_autoscaled=False,
            spot=args.spot,
            depends_on=[rule, *depends_on],
            parent=self,
            hooks=hooks,
            tags=metrics_tags(serving.name, args.metrics_port),
            load_balancers=[
                {"target_group_arn": target_group.arn, "container_name": serving.name, "container_port": port}
            ],
            health_check_grace_seconds=args.start_seconds,
        )
        self.register_outputs({"serviceName": service.name})
        return service

    def _create_task_definition(self, family: str, task: FargateTaskDefinitionArgs) -> aws.ecs.TaskDefinition:
        return create_task_definition(
            family,
            task,
            log_group=self._log_group.name,
            execution_role_arn=self._args.shared.execution_role_arn,
            task_role_arn=self._args.shared.task_role_arn,
            parent=self,
        )


def _role_outputs(role_arn: pulumi.Input[str]) -> RoleOutputs:
    name = pulumi.Output.from_input(role_arn).apply(lambda arn: arn.rpartition("/")[2])
    return RoleOutputs(name, role_arn)
