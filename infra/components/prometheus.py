"""Prometheus and Alertmanager: what reads the metrics of every task, and tells people when they are bad."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import contract
from infra.components.alarm import too_few_tasks
from infra.components.alarms import metric_alarm
from infra.components.roles import Statement
from infra.components.security_group import allow, reaching_group
from infra.components.service import ecs_service
from infra.components.task import Container, Task, TaskArgs
from infra.foundation import ClusterFacts, Foundation, Place, TaskFacts

CPU, MEMORY = 256, 1024
"""CPU units and MiB: about 2 KiB a series in memory, and a stack of ten tasks has 5,000 of them."""
PORT = 9090
REMOTE_WRITE = "api/v1/remote_write"
"""What takes samples, below the endpoint of a workspace:
https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-APIReference-RemoteWrite.html."""
DISK_MB = 14_000
"""What its data may take of a Fargate task's 20 GiB, of which the images take one."""


@dataclass(frozen=True)
class PrometheusArgs:
    """Inputs of `Prometheus`."""

    stack: str
    """Whose alerts are told: `<project>-<stack>`; previews are watched, and wake nobody."""
    foundation: Foundation
    image: pulumi.Input[str]
    alertmanager_image: pulumi.Input[str]
    targets: Mapping[str, pulumi.Input[str]]
    """What answers it -> the security group of its tasks."""
    port: int
    """Where those answer."""
    exporters: Mapping[str, Container]
    """Store -> the container that measures it, in Prometheus's own task."""
    topic_arn: pulumi.Input[str]
    """Who is told of alerts: an SNS topic, encrypted with the foundation's key."""
    registry_arn: pulumi.Input[str] | None = None
    """The service of Cloud Map that its task is found by; None: nobody asks it."""
    retention_days: int = 15
    managed: bool = False
    """Whether it writes to a workspace of Amazon Managed Prometheus too, of its own."""
    protect: bool = True
    """Whether Pulumi refuses to delete that workspace, which holds data."""
    architecture: str = "X86_64"
    log_retention_days: int = 30


class Prometheus(pulumi.ComponentResource):
    """One task with both, which finds every task of the cluster by ECS's own discovery, previews included.

    Provisions: task definition with its log group and roles, security group (in: nothing; out: the tasks' metrics port,
    the stores that have an exporter, and HTTPS to AWS), service of one task at a time, and an alarm for when it does
    not run. Its data is on the task's own disk and goes with the task, but for what it wrote to its workspace, which is
    encrypted with the foundation's key and keeps 150 days. Costs 10.63 USD a month (us-east-1, x86), and what Container
    Insights takes; the workspace by what is written to it.
    """

    task: TaskFacts
    service: aws.ecs.Service
    security_group_id: pulumi.Output[str]
    workspace_url: pulumi.Output[str] | None
    """Where its workspace of Amazon Managed Prometheus is asked; None without one."""

    def __init__(self, name: str, args: PrometheusArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:monitoring:Prometheus", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        foundation = args.foundation
        workspace = self._workspace(name, args) if args.managed else None
        self.workspace_url = workspace.prometheus_endpoint if workspace else None
        self.task = Task(name, self._task(args, workspace), opts=child).facts
        stores = foundation.stores(*args.exporters)
        group, rules = reaching_group(name, "Prometheus", vpc_id=foundation.network.vpc_id, stores=stores, parent=self)
        for label, target in args.targets.items():
            why = f"Prometheus reads the metrics of {label}"
            rules += allow(f"{name}-to-{label}", source=group.id, target=target, port=args.port, why=why, parent=self)
        self.security_group_id = group.id
        self.service = ecs_service(
            name,
            place=Place(foundation.network, foundation.cluster),
            task=self.task,
            security_group_id=group.id,
            tasks=1,
            scaled=False,
            one_at_a_time=True,  # two would tell of each alert twice
            after=rules,
            parent=self,
            service_registries={"registry_arn": args.registry_arn} if args.registry_arn else None,
        )
        for alarm in too_few_tasks("prometheus", foundation.cluster, self.service.name, 1):
            metric_alarm(f"{name}-tasks", alarm, actions=[args.topic_arn], opts=child)
        self.register_outputs({"serviceName": self.service.name})

    def _workspace(self, name: str, args: PrometheusArgs) -> aws.amp.Workspace:
        opts = pulumi.ResourceOptions(parent=self, protect=args.protect)
        return aws.amp.Workspace(name, alias=args.stack, kms_key_arn=args.foundation.key_arn, opts=opts)

    def _task(self, args: PrometheusArgs, workspace: aws.amp.Workspace | None) -> TaskArgs:
        region = aws.get_region_output(opts=pulumi.InvokeOutputOptions(parent=self)).region
        alertmanager = Container(
            name="alertmanager",
            image=args.alertmanager_image,
            environment={"TOPIC_ARN": args.topic_arn, "AWS_REGION": region},
        )
        prometheus = Container(
            name="prometheus",
            image=args.image,
            environment={
                "AWS_REGION": region,
                "CLUSTER_ARN": args.foundation.cluster.arn,
                "STACK": args.stack,
                "RETENTION": f"{args.retention_days}d",
                "RETENTION_SIZE": f"{DISK_MB}MB",
                "STORES": " ".join(args.exporters),
                **_written_to(workspace),
            },
            health_check=contract.health_check(PORT, "/-/ready"),
            beside=alertmanager.name,
        )
        return TaskArgs(
            [prometheus, alertmanager, *args.exporters.values()],
            registry_arn=args.foundation.registry.arn,
            key_arn=args.foundation.key_arn,
            statements=[*_finds_tasks(args.foundation.cluster), *_tells(args), *_writes(workspace)],
            cpu=CPU,
            memory=MEMORY,
            architecture=args.architecture,
            log_retention_days=args.log_retention_days,
        )


def _finds_tasks(cluster: ClusterFacts) -> list[Statement]:
    """What its discovery asks. ECS takes no resource for lists, but the cluster as a condition."""
    in_cluster = {"ArnEquals": {"ecs:cluster": cluster.arn}}
    return [
        {"Effect": "Allow", "Action": "ecs:DescribeClusters", "Resource": cluster.arn},
        {
            "Effect": "Allow",
            "Action": ["ecs:ListServices", "ecs:ListTasks", "ecs:DescribeServices", "ecs:DescribeTasks"],
            "Resource": "*",
            "Condition": in_cluster,
        },
        # EC2 knows no narrower resource for descriptions.
        {"Effect": "Allow", "Action": "ec2:DescribeNetworkInterfaces", "Resource": "*"},
    ]


def _tells(args: PrometheusArgs) -> list[Statement]:
    return [
        {"Effect": "Allow", "Action": "sns:Publish", "Resource": args.topic_arn},
        {
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": args.foundation.key_arn,
            "Condition": {"StringLike": {"kms:ViaService": "sns.*.amazonaws.com"}},
        },
    ]


def _written_to(workspace: aws.amp.Workspace | None) -> dict[str, pulumi.Input[str]]:
    """Where start.sh has it write to; a workspace's endpoint ends with a slash."""
    return {"REMOTE_WRITE": pulumi.Output.concat(workspace.prometheus_endpoint, REMOTE_WRITE)} if workspace else {}


def _writes(workspace: aws.amp.Workspace | None) -> list[Statement]:
    """Samples go in; what is there it can neither read nor delete."""
    return [{"Effect": "Allow", "Action": "aps:RemoteWrite", "Resource": workspace.arn}] if workspace else []
