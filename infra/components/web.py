"""The web service: the app's image behind the load balancer, on Fargate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import contract
from infra.components.cluster import Cluster
from infra.components.load_balancer import LoadBalancer
from infra.components.network import Network
from infra.components.security_group import Store, allow, allow_https_out, allow_stores
from infra.components.task import Task, TaskArgs

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

    network: Network
    load_balancer: LoadBalancer
    cluster: Cluster
    task: TaskArgs
    stores: Sequence[Store] = ()
    """The database and cache that it may reach."""
    tasks: int = 2
    hooks: pulumi.ResourceHookBinding | None = None
    """What has to hold before the service changes."""
    after: Sequence[pulumi.Resource] = ()
    """What those need: the migration's task definition."""


class Web(pulumi.ComponentResource):
    """An ECS service of the app.

    Provisions: a task definition with its log group and roles, security group (in: the load balancer; out: its stores,
    and HTTPS to pull and to AWS's endpoints), target group, listener rule, service with circuit breaker and rollback.
    Costs on Fargate (us-east-1, x86), each task and month: 29.55 USD a vCPU and 3.24 USD a GB.
    """

    service_name: pulumi.Output[str]
    task_definition_arn: pulumi.Output[str]
    log_group_name: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    target_group_arn: pulumi.Output[str]

    def __init__(self, name: str, args: WebArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:web:Web", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        task = Task(
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
            vpc_id=args.network.vpc_id,
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
        service = aws.ecs.Service(
            f"{name}-service",
            cluster=args.cluster.arn,
            task_definition=task.arn,
            desired_count=args.tasks,
            launch_type="FARGATE",
            platform_version="LATEST",
            network_configuration={
                "subnets": args.network.private_subnet_ids,
                "security_groups": [group.id],
                "assign_public_ip": False,
            },
            load_balancers=[
                {
                    "target_group_arn": targets.arn,
                    "container_name": "web",
                    "container_port": contract.WEB_PORT,
                }
            ],
            deployment_circuit_breaker={"enable": True, "rollback": True},
            deployment_minimum_healthy_percent=100,
            deployment_maximum_percent=200,
            health_check_grace_period_seconds=contract.START_GRACE_SECONDS,
            enable_ecs_managed_tags=True,
            propagate_tags="SERVICE",
            wait_for_steady_state=True,
            # The rule first: ECS refuses a target group that no listener uses. The roles' policies last:
            # a service that drains without them cannot stop.
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[rule, *task.ready, *rules, *args.after],
                hooks=args.hooks,
                custom_timeouts=pulumi.CustomTimeouts(create="15m", update="15m", delete="10m"),
            ),
        )
        self.service_name = service.name
        self.task_definition_arn = task.arn
        self.log_group_name = task.log_group_name
        self.security_group_id = group.id
        self.target_group_arn = targets.arn
        self.register_outputs({"serviceName": self.service_name})

    def _security_group(self, name: str, args: WebArgs) -> tuple[aws.ec2.SecurityGroup, list[pulumi.Resource]]:
        group = aws.ec2.SecurityGroup(
            f"{name}-web",
            description="Web tasks: reached by the load balancer, reach AWS over HTTPS",
            vpc_id=args.network.vpc_id,
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
        rules += allow_stores(f"{name}-web", "Web tasks", source=group.id, stores=args.stores, parent=self)
        return group, rules
