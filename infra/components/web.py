"""The web service: the app's image behind the load balancer, on Fargate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infra import contract
from infra.components.cluster import Cluster
from infra.components.load_balancer import LoadBalancer
from infra.components.network import Network
from infra.components.registry import Registry
from infra.components.roles import execution_role, task_role


@dataclass(frozen=True)
class WebArgs:
    """Inputs of `Web`."""

    network: Network
    load_balancer: LoadBalancer
    cluster: Cluster
    registry: Registry
    image: pulumi.Input[str]
    """The image by digest."""
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Plain variables; a secret does not belong here (ECS.8)."""
    cpu: int = 1024
    """CPU units."""
    memory: int = 2048
    """MiB."""
    architecture: str = "X86_64"
    tasks: int = 2
    log_retention_days: int = 30


class Web(pulumi.ComponentResource):
    """An ECS service of the app.

    Provisions: log group, execution and task role, security group (in: the load balancer; out: HTTPS to
    pull and to AWS's endpoints), task definition, target group, listener rule, service with
    circuit breaker and rollback. Costs on Fargate (us-east-1, x86), each task and month: 29.55 USD a vCPU
    and 3.24 USD a GB.
    """

    service_name: pulumi.Output[str]
    task_definition_arn: pulumi.Output[str]
    log_group_name: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    target_group_arn: pulumi.Output[str]

    def __init__(self, name: str, args: WebArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:web:Web", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        logs = aws.cloudwatch.LogGroup(f"{name}-logs", retention_in_days=args.log_retention_days, opts=child)
        execution = execution_role(
            name, repository_arn=args.registry.repository_arn, log_group_arn=logs.arn, parent=self
        )
        task = task_role(name, statements=[], parent=self)
        group = self._security_group(name, args)
        definition = aws.ecs.TaskDefinition(
            f"{name}-task",
            family=name,
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=str(args.cpu),
            memory=str(args.memory),
            runtime_platform={
                "operating_system_family": "LINUX",
                "cpu_architecture": args.architecture,
            },
            volumes=[{"name": "tmp"}],
            execution_role_arn=execution.arn,
            task_role_arn=task.arn,
            container_definitions=_containers(args, logs),
            opts=child,
        )
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
            task_definition=definition.arn,
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
                depends_on=[rule, execution, task],
                custom_timeouts=pulumi.CustomTimeouts(create="15m", update="15m", delete="10m"),
            ),
        )
        self.service_name = service.name
        self.task_definition_arn = definition.arn
        self.log_group_name = logs.name
        self.security_group_id = group.id
        self.target_group_arn = targets.arn
        self.register_outputs({"serviceName": self.service_name})

    def _security_group(self, name: str, args: WebArgs) -> aws.ec2.SecurityGroup:
        child = pulumi.ResourceOptions(parent=self)
        group = aws.ec2.SecurityGroup(
            f"{name}-web",
            description="Web tasks: reached by the load balancer, reach AWS over HTTPS",
            vpc_id=args.network.vpc_id,
            opts=child,
        )
        balancer = args.load_balancer.security_group_id
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-web-from-lb",
            security_group_id=group.id,
            referenced_security_group_id=balancer,
            description="Requests and health checks from the load balancer",
            ip_protocol="tcp",
            from_port=contract.WEB_PORT,
            to_port=contract.WEB_PORT,
            opts=child,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-lb-to-web",
            security_group_id=balancer,
            referenced_security_group_id=group.id,
            description="Requests and health checks to the web tasks",
            ip_protocol="tcp",
            from_port=contract.WEB_PORT,
            to_port=contract.WEB_PORT,
            opts=child,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-web-https",
            security_group_id=group.id,
            description="HTTPS: the registry, AWS endpoints, Sentry",
            cidr_ipv4="0.0.0.0/0",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            opts=child,
        )
        return group


def _containers(args: WebArgs, logs: aws.cloudwatch.LogGroup) -> pulumi.Output[str]:
    region = aws.get_region_output().region
    return pulumi.Output.json_dumps(
        [
            {
                "name": "web",
                "image": args.image,
                "essential": True,
                "user": contract.APP_USER,
                "readonlyRootFilesystem": True,
                "privileged": False,
                "linuxParameters": {
                    "initProcessEnabled": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                # Fargate has no tmpfs: a volume of the task's own is the writable place.
                "mountPoints": [{"sourceVolume": "tmp", "containerPath": contract.SCRATCH_PATH}],
                "portMappings": [{"containerPort": contract.WEB_PORT, "protocol": "tcp"}],
                "environment": [{"name": key, "value": value} for key, value in sorted(args.environment.items())],
                "healthCheck": {
                    "command": [
                        "CMD",
                        "python",
                        "-c",
                        "import urllib.request as r; "
                        f"r.urlopen('http://127.0.0.1:{contract.WEB_PORT}{contract.LIVE_PATH}', timeout=2)",
                    ],
                    "interval": 5,
                    "timeout": 5,
                    "retries": 3,
                    "startPeriod": contract.START_GRACE_SECONDS,
                },
                "stopTimeout": contract.STOP_TIMEOUT_SECONDS,
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {
                        "awslogs-group": logs.name,
                        "awslogs-region": region,
                        "awslogs-stream-prefix": "web",
                    },
                },
            }
        ]
    )
