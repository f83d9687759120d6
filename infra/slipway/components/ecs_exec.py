"""ECS Exec: what a task needs so that AWS's SSM agent runs in its containers, and where its sessions are logged.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html. AWS's guide says that the agent needs a
writable root file system; aws/containers-roadmap #1359 reports that three writable folders are enough.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from slipway.components.iam_roles import Statement
from slipway.components.outputs import ClusterOutputs

WRITABLE_PATHS = {"agents": "/managed-agents", "state": "/var/lib/amazon", "log": "/var/log/amazon"}
"""Folders that the agent writes to, by what they are for. Each container has its own: it has an agent of its own."""


def exec_volumes(container: str) -> list[aws.ecs.TaskDefinitionVolumeArgsDict]:
    """Returns the volumes of one container."""
    return [{"name": _volume_name(container, purpose)} for purpose in WRITABLE_PATHS]


def exec_mount_points(container: str) -> list[dict[str, str]]:
    """Returns the mount points of one container."""
    return [
        {"sourceVolume": _volume_name(container, purpose), "containerPath": path}
        for purpose, path in WRITABLE_PATHS.items()
    ]


def exec_statements(cluster: ClusterOutputs, key_arn: pulumi.Input[str]) -> list[Statement]:
    """Returns what the task role needs: the agent's channels, and to log sessions under the stack's key."""
    return [
        {
            "Effect": "Allow",
            "Action": [
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
            ],
            "Resource": "*",  # AWS allows no resource on them
        },
        {"Effect": "Allow", "Action": "logs:DescribeLogGroups", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            "Resource": pulumi.Output.format("{0}:*", cluster.exec_log_group_arn),
        },
        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key_arn},
    ]


def exec_configuration(
    log_group: pulumi.Input[str], key_arn: pulumi.Input[str]
) -> aws.ecs.ClusterConfigurationArgsDict:
    """Returns the cluster's configuration: sessions are encrypted with the key, and logged to the group."""
    return {
        "execute_command_configuration": {
            "kms_key_id": key_arn,
            "logging": "OVERRIDE",
            "log_configuration": {
                "cloud_watch_encryption_enabled": True,
                "cloud_watch_log_group_name": log_group,
            },
        }
    }


def _volume_name(container: str, purpose: str) -> str:
    return f"{container}-exec-{purpose}"
