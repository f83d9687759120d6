"""Grafana: what people look at, behind the load balancer and a login."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from infra import contract
from infra.components import prometheus
from infra.components.alarm import too_few_tasks
from infra.components.alarms import metric_alarm
from infra.components.roles import Statement
from infra.components.security_group import allow
from infra.components.task import Container, TaskArgs
from infra.components.web import Web, WebArgs
from infra.foundation import Foundation, Place, SecretValue

CPU, MEMORY = 256, 512
"""CPU units and MiB: Grafana's documents ask for 512 MB and one core at the least, of which a few people use little
(https://grafana.com/docs/grafana/latest/setup-grafana/installation/)."""
PORT = 3000
PATH = "/grafana"

READ_CLOUDWATCH: list[Statement] = [
    {
        "Effect": "Allow",
        "Action": ["cloudwatch:GetMetricData", "cloudwatch:ListMetrics", "ec2:DescribeRegions"],
        "Resource": "*",  # none of the three knows a narrower one
    }
]

SETTINGS = {
    "GF_SERVER_HTTP_PORT": str(PORT),
    "GF_SERVER_SERVE_FROM_SUB_PATH": "true",
    # Who gets in: the administrator, and whom that one lets in; over TLS.
    "GF_AUTH_ANONYMOUS_ENABLED": "false",
    "GF_USERS_ALLOW_SIGN_UP": "false",
    "GF_SECURITY_COOKIE_SECURE": "true",
    "GF_SECURITY_COOKIE_SAMESITE": "strict",
    "GF_SECURITY_STRICT_TRANSPORT_SECURITY": "true",
    # What it would tell others, or fetch from them.
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_NEWS_NEWS_FEED_ENABLED": "false",
    "GF_SECURITY_DISABLE_GRAVATAR": "true",
    "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    "GF_PLUGINS_PLUGIN_ADMIN_ENABLED": "false",
    # Alertmanager tells.
    "GF_UNIFIED_ALERTING_ENABLED": "false",
    "GF_AWS_ALLOWED_AUTH_PROVIDERS": "default",
    # Everything is in the image; what is written goes with the task. The image's start makes one folder, no parents.
    "GF_PATHS_PROVISIONING": "/etc/slipway/provisioning",
    "GF_PATHS_DATA": contract.SCRATCH_PATH,
    "GF_PATHS_PLUGINS": f"{contract.SCRATCH_PATH}/plugins",
    "GF_PATHS_LOGS": f"{contract.SCRATCH_PATH}/log",
    "GF_LOG_MODE": "console",
    "GF_LOG_CONSOLE_FORMAT": "json",
}
"""https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/."""


@dataclass(frozen=True)
class GrafanaArgs:
    """Inputs of `Grafana`."""

    foundation: Foundation
    image: pulumi.Input[str]
    domain: str
    """The environment's: a login is for TLS alone."""
    password: SecretValue
    """The administrator's, `admin`."""
    prometheus_host: str
    prometheus_security_group_id: pulumi.Input[str]
    topic_arn: pulumi.Input[str]
    """Who is told when it does not run."""
    architecture: str = "X86_64"
    log_retention_days: int = 30


class Grafana(pulumi.ComponentResource):
    """One task that keeps nothing, at /grafana of the environment's domain: a new one has the dashboards of its image.

    Provisions: what `Web` does, the way to Prometheus, and an alarm for when it does not run. Its role reads
    CloudWatch's metrics. Costs 9.01 USD a month (us-east-1, x86), and what Container Insights takes.
    """

    web: Web

    def __init__(self, name: str, args: GrafanaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:monitoring:Grafana", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        foundation = args.foundation
        self.web = Web(
            name,
            WebArgs(
                place=Place(foundation.network, foundation.cluster),
                load_balancer=foundation.load_balancer,
                label="grafana",
                task=_task(args),
                health_path=f"{PATH}/api/health",
                priority=contract.GRAFANA_PRIORITY,
                paths=(PATH, f"{PATH}/*"),
                hosts=(args.domain,),
                tasks=1,
                max_tasks=1,
            ),
            opts=child,
        )
        allow(
            f"{name}-to-prometheus",
            source=self.web.security_group_id,
            target=args.prometheus_security_group_id,
            port=prometheus.PORT,
            why="Grafana asks Prometheus",
            parent=self,
        )
        for alarm in too_few_tasks("grafana", foundation.cluster, self.web.service_name, 1):
            metric_alarm(f"{name}-tasks", alarm, actions=[args.topic_arn], opts=child)
        self.register_outputs({"serviceName": self.web.service_name})


def _task(args: GrafanaArgs) -> TaskArgs:
    grafana = Container(
        name="grafana",
        image=args.image,
        environment=SETTINGS
        | {
            "GF_SERVER_ROOT_URL": f"https://{args.domain}{PATH}/",
            "PROMETHEUS_URL": f"http://{args.prometheus_host}:{prometheus.PORT}",
            "AWS_REGION": pulumi.Output.from_input(args.foundation.cluster.arn).apply(lambda arn: arn.split(":")[3]),
        },
        secrets={"GF_SECURITY_ADMIN_PASSWORD": args.password},
        port=PORT,
        health_check=contract.health_check(PORT, f"{PATH}/api/health"),
    )
    return TaskArgs(
        [grafana],
        registry_arn=args.foundation.registry.arn,
        key_arn=args.foundation.key_arn,
        statements=READ_CLOUDWATCH,
        cpu=CPU,
        memory=MEMORY,
        architecture=args.architecture,
        log_retention_days=args.log_retention_days,
    )
