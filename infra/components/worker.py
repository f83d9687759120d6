"""The worker: the app's image taking jobs from the queue, on Fargate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import contract
from infra.components.cluster import Cluster
from infra.components.network import Network
from infra.components.security_group import Store, allow_https_out, allow_stores
from infra.components.task import Task, TaskArgs


@dataclass(frozen=True)
class WorkerArgs:
    """Inputs of `Worker`."""

    network: Network
    cluster: Cluster
    task: TaskArgs
    stores: Sequence[Store] = ()
    """The database and cache that it may reach."""
    tasks: int = 1
    spot: bool = True
    """On Fargate Spot, at about a third of the price: a job that is cut off is another worker's."""
    after: Sequence[pulumi.Resource] = ()
    """What has to be there first: the web service, whose creation migrates the database."""


class Worker(pulumi.ComponentResource):
    """An ECS service without a load balancer that runs Celery.

    Provisions: a task definition with its log group and roles, security group (in: nothing; out: its stores and
    HTTPS), service with circuit breaker and rollback. Costs as a web task; on Spot about 70 % less.
    """

    service_name: pulumi.Output[str]
    log_group_name: pulumi.Output[str]
    security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: WorkerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:worker:Worker", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        task = Task(f"{name}-worker", "worker", args.task.but(command=contract.WORKER_COMMAND), opts=child)
        group = aws.ec2.SecurityGroup(
            f"{name}-worker",
            description="Worker tasks: reached by nobody, reach AWS over HTTPS",
            vpc_id=args.network.vpc_id,
            opts=child,
        )
        rules = [allow_https_out(f"{name}-worker", source=group.id, parent=self)]
        rules += allow_stores(f"{name}-worker", "Worker tasks", source=group.id, stores=args.stores, parent=self)
        provider = "FARGATE_SPOT" if args.spot else "FARGATE"
        service = aws.ecs.Service(
            f"{name}-worker",
            cluster=args.cluster.arn,
            task_definition=task.arn,
            desired_count=args.tasks,
            capacity_provider_strategies=[{"capacity_provider": provider, "weight": 1}],
            platform_version="LATEST",
            network_configuration={
                "subnets": args.network.private_subnet_ids,
                "security_groups": [group.id],
                "assign_public_ip": False,
            },
            deployment_circuit_breaker={"enable": True, "rollback": True},
            deployment_minimum_healthy_percent=100,
            deployment_maximum_percent=200,
            enable_ecs_managed_tags=True,
            propagate_tags="SERVICE",
            wait_for_steady_state=True,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*task.ready, *rules, *args.after],
                custom_timeouts=pulumi.CustomTimeouts(create="15m", update="15m", delete="10m"),
            ),
        )
        self.service_name = service.name
        self.log_group_name = task.log_group_name
        self.security_group_id = group.id
        self.register_outputs({"serviceName": self.service_name})
