"""Target-tracking autoscaling of an ECS service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

TargetTracking = aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationArgsDict
"""Configuration of a target-tracking policy."""
SCALE_OUT_COOLDOWN_SECONDS = 60
"""Pause after tasks were added: short, for clients wait."""
SCALE_IN_COOLDOWN_SECONDS = 300
"""Cooldown after scaling in: long, because load comes in waves."""


@dataclass(frozen=True)
class ServiceAutoscalingArgs:
    """Inputs of `ServiceAutoscaling`."""

    cluster_name: pulumi.Input[str]
    service_name: pulumi.Input[str]
    min_tasks: int
    max_tasks: int
    targets: Mapping[str, TargetTracking]
    """Policy name -> its target (`cpu_target`, ...); the policy that asks for the most tasks wins."""


class ServiceAutoscaling(pulumi.ComponentResource):
    """Creates a scalable target and a policy for each target. Free but for the alarms that AWS creates for them."""

    def __init__(self, name: str, args: ServiceAutoscalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:appautoscaling:ServiceAutoscaling", name, None, opts)
        target = aws.appautoscaling.Target(
            f"{name}-scaling",
            service_namespace="ecs",
            scalable_dimension="ecs:service:DesiredCount",
            resource_id=pulumi.Output.format("service/{0}/{1}", args.cluster_name, args.service_name),
            min_capacity=args.min_tasks,
            max_capacity=args.max_tasks,
            opts=pulumi.ResourceOptions(parent=self),
        )
        for label, target_tracking in args.targets.items():
            aws.appautoscaling.Policy(
                f"{name}-{label}",
                policy_type="TargetTrackingScaling",
                service_namespace=target.service_namespace,
                scalable_dimension=target.scalable_dimension,
                resource_id=target.resource_id,
                target_tracking_scaling_policy_configuration=target_tracking,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})


def cpu_target(percent: float) -> TargetTracking:
    """Returns a target of the service's average CPU in percent."""
    return {
        "target_value": percent,
        "scale_out_cooldown": SCALE_OUT_COOLDOWN_SECONDS,
        "scale_in_cooldown": SCALE_IN_COOLDOWN_SECONDS,
        "predefined_metric_specification": {"predefined_metric_type": "ECSServiceAverageCPUUtilization"},
    }


def request_target(
    requests: float, load_balancer: pulumi.Input[str], target_group: pulumi.Input[str]
) -> TargetTracking:
    """Returns a target of requests a minute for each task; load balancer and target group by their ARNs' suffixes."""
    return {
        "target_value": requests,
        "scale_out_cooldown": SCALE_OUT_COOLDOWN_SECONDS,
        "scale_in_cooldown": SCALE_IN_COOLDOWN_SECONDS,
        "predefined_metric_specification": {
            "predefined_metric_type": "ALBRequestCountPerTarget",
            "resource_label": pulumi.Output.format("{0}/{1}", load_balancer, target_group),
        },
    }


def backlog_target(
    messages: float, queue: pulumi.Input[str], cluster: pulumi.Input[str], service: pulumi.Input[str]
) -> TargetTracking:
    """Returns a target of waiting messages for each running task, as AWS recommends for a queue's workers.

    https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-target-tracking-metric-math.html
    """
    return {
        "target_value": messages,
        "scale_out_cooldown": SCALE_OUT_COOLDOWN_SECONDS,
        "scale_in_cooldown": SCALE_IN_COOLDOWN_SECONDS,
        "customized_metric_specification": {
            "metrics": [
                {
                    "id": "waiting",
                    "metric_stat": {
                        "stat": "Average",
                        "metric": {
                            "namespace": "AWS/SQS",
                            "metric_name": "ApproximateNumberOfMessagesVisible",
                            "dimensions": [{"name": "QueueName", "value": queue}],
                        },
                    },
                    "return_data": False,
                },
                {
                    "id": "tasks",
                    "metric_stat": {
                        "stat": "Average",
                        "metric": {
                            "namespace": "ECS/ContainerInsights",
                            "metric_name": "RunningTaskCount",
                            "dimensions": [
                                {"name": "ClusterName", "value": cluster},
                                {"name": "ServiceName", "value": service},
                            ],
                        },
                    },
                    "return_data": False,
                },
                {"id": "backlog", "expression": "waiting / tasks", "return_data": True},
            ]
        },
    }
