"""Prometheus and Alertmanager: they scrape every task and send alerts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.alarms import create_metric_alarm
from slipway.components.cloudwatch_alarm import running_tasks_alarms
from slipway.components.ecs_service import create_ecs_service
from slipway.components.iam_roles import Statement
from slipway.components.outputs import ClusterOutputs, EnvironmentOutputs, TaskDefinitionOutputs, TaskPlacement
from slipway.components.security_group import allow_connections, create_egress_security_group
from slipway.components.task_definition import ContainerDefinition, FargateTaskDefinition, FargateTaskDefinitionArgs
from slipway.config import constants

CPU = 256
"""CPU units."""
MEMORY = 1024
"""MiB: a series takes about 2 KiB, and a stack of ten tasks has 5,000 of them."""
PORT = 9090
REMOTE_WRITE_PATH = "api/v1/remote_write"
"""Path of remote write below a workspace's endpoint:
https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-APIReference-RemoteWrite.html."""
MAX_DATA_MB = 14_000
"""Maximum size of its data on a Fargate task's 20 GiB disk, of which the images take one."""


@dataclass(frozen=True)
class PrometheusServiceArgs:
    """Inputs of `PrometheusService`."""

    stack: str
    """`<project>-<stack>` whose alerts are sent; previews are scraped without alerts."""
    environment_outputs: EnvironmentOutputs
    image: pulumi.Input[str]
    alertmanager_image: pulumi.Input[str]
    targets: Mapping[str, pulumi.Input[str]]
    """Process -> security group of its tasks, which answer Prometheus."""
    port: int
    """Metrics port of those tasks."""
    exporters: Mapping[str, ContainerDefinition]
    """Stores -> its exporter, a container of Prometheus's task."""
    topic_arn: pulumi.Input[str]
    """SNS topic of alerts, encrypted with the environment's key."""
    service_registry_arn: pulumi.Input[str] | None = None
    """Cloud Map service that its task registers with; None: none."""
    retention_days: int = 15
    managed: bool = False
    """Whether it also writes to a workspace of Amazon Managed Prometheus, which is created."""
    protect: bool = True
    """Whether Pulumi refuses to delete that workspace."""
    architecture: str = "X86_64"
    log_retention_days: int = 30


class PrometheusService(pulumi.ComponentResource):
    """Creates one task with both, which discovers every task of the cluster through ECS, those of previews included.

    Provisions: task definition with its log group and roles, security group (ingress: none; egress: the tasks' metrics
    port, stores that have an exporter, HTTPS to AWS), service of one task at a time, and an alarm for when it does not
    run. Its data is on the task's disk and lost with the task, except for what it wrote to the workspace, which is
    encrypted with the environment's key and keeps 150 days. Costs 10.63 USD a month (us-east-1, x86), and Container
    Insights of its service; the workspace by the samples written.
    """

    task: TaskDefinitionOutputs
    service: aws.ecs.Service
    security_group_id: pulumi.Output[str]
    workspace_url: pulumi.Output[str] | None
    """Endpoint of its workspace of Amazon Managed Prometheus; None without one."""

    def __init__(self, name: str, args: PrometheusServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:monitoring:PrometheusService", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        environment_outputs = args.environment_outputs
        workspace = self._create_workspace(name, args) if args.managed else None
        self.workspace_url = workspace.prometheus_endpoint if workspace else None
        self.task = FargateTaskDefinition(name, self._task_args(args, workspace), opts=child).outputs
        stores = environment_outputs.stores(*args.exporters)
        group, rules = create_egress_security_group(
            name, "Prometheus", vpc_id=environment_outputs.network.vpc_id, stores=stores, parent=self
        )
        for label, target in args.targets.items():
            rules += allow_connections(
                f"{name}-to-{label}",
                source=group.id,
                target=target,
                port=args.port,
                description=f"Prometheus reads the metrics of {label}",
                parent=self,
            )
        self.security_group_id = group.id
        self.service = create_ecs_service(
            name,
            place=TaskPlacement(environment_outputs.network, environment_outputs.cluster),
            task=self.task,
            security_group_id=group.id,
            tasks=1,
            is_autoscaled=False,
            one_at_a_time=True,  # two would send each alert twice
            depends_on=rules,
            parent=self,
            service_registry_arn=args.service_registry_arn,
        )
        for alarm in running_tasks_alarms("prometheus", environment_outputs.cluster, self.service.name, 1):
            create_metric_alarm(f"{name}-tasks", alarm, actions=[args.topic_arn], opts=child)
        self.register_outputs({"serviceName": self.service.name})

    def _create_workspace(self, name: str, args: PrometheusServiceArgs) -> aws.amp.Workspace:
        opts = pulumi.ResourceOptions(parent=self, protect=args.protect)
        return aws.amp.Workspace(name, alias=args.stack, kms_key_arn=args.environment_outputs.key_arn, opts=opts)

    def _task_args(self, args: PrometheusServiceArgs, workspace: aws.amp.Workspace | None) -> FargateTaskDefinitionArgs:
        region = aws.get_region_output(opts=pulumi.InvokeOutputOptions(parent=self)).region
        alertmanager = ContainerDefinition(
            name="alertmanager",
            image=args.alertmanager_image,
            environment={"TOPIC_ARN": args.topic_arn, "AWS_REGION": region},
        )
        prometheus = ContainerDefinition(
            name="prometheus",
            image=args.image,
            environment={
                "AWS_REGION": region,
                "CLUSTER_ARN": args.environment_outputs.cluster.arn,
                "STACK": args.stack,
                "RETENTION": f"{args.retention_days}d",
                "RETENTION_SIZE": f"{MAX_DATA_MB}MB",
                "STORES": " ".join(args.exporters),
                **_remote_write_environment(workspace),
            },
            health_check=constants.container_health_check(PORT, "/-/ready"),
            wait_for_start=alertmanager.name,
        )
        return FargateTaskDefinitionArgs(
            [prometheus, alertmanager, *args.exporters.values()],
            repository_arn=args.environment_outputs.registry.arn,
            key_arn=args.environment_outputs.key_arn,
            statements=[
                *_discovery_statements(args.environment_outputs.cluster),
                *_alert_statements(args),
                *_remote_write_statements(workspace, args.environment_outputs.key_arn),
            ],
            cpu=CPU,
            memory=MEMORY,
            architecture=args.architecture,
            log_retention_days=args.log_retention_days,
        )


def _discovery_statements(cluster: ClusterOutputs) -> list[Statement]:
    """Returns the statements of its discovery: ECS lists support no resource, but the cluster as a condition."""
    in_cluster = {"ArnEquals": {"ecs:cluster": cluster.arn}}
    return [
        # Its first request tests its credentials, a DescribeClusters without a name: that means `default`.
        {
            "Effect": "Allow",
            "Action": "ecs:DescribeClusters",
            "Resource": [cluster.arn, cluster.sibling_arn("default")],
        },
        {
            "Effect": "Allow",
            "Action": [
                "ecs:ListServices",
                "ecs:ListTasks",
                "ecs:DescribeServices",
                "ecs:DescribeTasks",
                "ecs:DescribeContainerInstances",
            ],
            "Resource": "*",
            "Condition": in_cluster,
        },
        # EC2 supports no narrower resource for descriptions.
        {"Effect": "Allow", "Action": "ec2:DescribeNetworkInterfaces", "Resource": "*"},
    ]


def _alert_statements(args: PrometheusServiceArgs) -> list[Statement]:
    return [
        {"Effect": "Allow", "Action": "sns:Publish", "Resource": args.topic_arn},
        {
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": args.environment_outputs.key_arn,
            "Condition": {"StringLike": {"kms:ViaService": "sns.*.amazonaws.com"}},
        },
    ]


def _remote_write_environment(workspace: aws.amp.Workspace | None) -> dict[str, pulumi.Input[str]]:
    """Returns the remote write URL for start.sh; a workspace's endpoint ends with a slash."""
    return {"REMOTE_WRITE": pulumi.Output.concat(workspace.prometheus_endpoint, REMOTE_WRITE_PATH)} if workspace else {}


def _remote_write_statements(workspace: aws.amp.Workspace | None, key_arn: pulumi.Input[str]) -> list[Statement]:
    """Returns the statements that allow writing samples, neither reading nor deleting them.

    With the key through that service alone: AWS does not document whether a workspace of the same account needs it.
    """
    if not workspace:
        return []
    return [
        {"Effect": "Allow", "Action": "aps:RemoteWrite", "Resource": workspace.arn},
        {
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": key_arn,
            "Condition": {"StringLike": {"kms:ViaService": "aps.*.amazonaws.com"}},
        },
    ]
