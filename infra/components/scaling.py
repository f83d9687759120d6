"""Autoscaling of a service's tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

Tracking = aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationArgs
OUT_SECONDS, IN_SECONDS = 60, 300
"""Pauses after a step: quickly out, for somebody waits, and slowly in, for load comes in waves."""


@dataclass(frozen=True)
class ScalingArgs:
    """Inputs of `Scaling`."""

    cluster_name: pulumi.Input[str]
    service_name: pulumi.Input[str]
    least: int
    most: int
    targets: Mapping[str, Tracking]
    """Policy -> the target to hold (`cpu_target` and its like); the policy that asks for the most tasks wins."""


class Scaling(pulumi.ComponentResource):
    """A scalable target and a target-tracking policy for each value to hold. Free but for the alarms that AWS makes."""

    def __init__(self, name: str, args: ScalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:scaling:Scaling", name, None, opts)
        target = aws.appautoscaling.Target(
            f"{name}-scaling",
            service_namespace="ecs",
            scalable_dimension="ecs:service:DesiredCount",
            resource_id=pulumi.Output.format("service/{0}/{1}", args.cluster_name, args.service_name),
            min_capacity=args.least,
            max_capacity=args.most,
            opts=pulumi.ResourceOptions(parent=self),
        )
        for label, tracked in args.targets.items():
            aws.appautoscaling.Policy(
                f"{name}-{label}",
                policy_type="TargetTrackingScaling",
                service_namespace=target.service_namespace,
                scalable_dimension=target.scalable_dimension,
                resource_id=target.resource_id,
                target_tracking_scaling_policy_configuration=tracked,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})


def cpu_target(percent: float) -> Tracking:
    """The service's average CPU."""
    return _hold(percent, predefined_metric_specification={"predefined_metric_type": "ECSServiceAverageCPUUtilization"})


def request_target(requests: float, load_balancer: pulumi.Input[str], target_group: pulumi.Input[str]) -> Tracking:
    """Requests a minute for each task; load balancer and target group by their ARNs' suffixes."""
    return _hold(
        requests,
        predefined_metric_specification={
            "predefined_metric_type": "ALBRequestCountPerTarget",
            "resource_label": pulumi.Output.format("{0}/{1}", load_balancer, target_group),
        },
    )


def backlog_target(
    messages: float, queue: pulumi.Input[str], cluster: pulumi.Input[str], service: pulumi.Input[str]
) -> Tracking:
    """Waiting messages for each running task, as AWS recommends for a queue's workers.

    https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-target-tracking-metric-math.html
    """

    def metric(namespace: str, name: str, dimensions: Mapping[str, pulumi.Input[str]]) -> dict[str, Any]:
        return {
            "stat": "Average",
            "metric": {
                "namespace": namespace,
                "metric_name": name,
                "dimensions": [{"name": key, "value": value} for key, value in dimensions.items()],
            },
        }

    running = metric("ECS/ContainerInsights", "RunningTaskCount", {"ClusterName": cluster, "ServiceName": service})
    waiting = metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": queue})
    return _hold(
        messages,
        customized_metric_specification={
            "metrics": [
                {"id": "waiting", "metric_stat": waiting, "return_data": False},
                {"id": "tasks", "metric_stat": running, "return_data": False},
                {"id": "backlog", "expression": "waiting / tasks", "return_data": True},
            ]
        },
    )


def _hold(value: float, **specification: Any) -> Tracking:
    return Tracking(target_value=value, scale_out_cooldown=OUT_SECONDS, scale_in_cooldown=IN_SECONDS, **specification)
