"""Grafana behind the load balancer, with a login."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from slipway.components import prometheus_service
from slipway.components.alarms import create_metric_alarm
from slipway.components.cdn import OriginHeader
from slipway.components.cloudwatch_alarm import running_tasks_alarms
from slipway.components.iam_roles import Statement
from slipway.components.outputs import EnvironmentOutputs, SecretReference, TaskPlacement
from slipway.components.security_group import allow_connections
from slipway.components.task_definition import ContainerDefinition, FargateTaskDefinitionArgs
from slipway.components.web_service import WebService, WebServiceArgs
from slipway.config import constants

CPU = 256
"""CPU units: Grafana recommends one core, of which a few users need little
(https://grafana.com/docs/grafana/latest/setup-grafana/installation/)."""
MEMORY = 512
"""MiB, Grafana's recommended minimum."""
START_SECONDS = 180
"""Time that a start may take before a failed check counts: it runs all its SQLite migrations on a quarter of a vCPU,
which was not timed on Fargate; a longer wait costs nothing."""
PORT = 3000
URL_PATH = "/grafana"

CLOUDWATCH_READ_STATEMENTS: list[Statement] = [
    {
        "Effect": "Allow",
        "Action": ["cloudwatch:GetMetricData", "cloudwatch:ListMetrics", "ec2:DescribeRegions"],
        "Resource": "*",  # none of the three supports a narrower one
    }
]

GRAFANA_ENVIRONMENT = {
    "GF_SERVER_HTTP_PORT": str(PORT),
    "GF_SERVER_SERVE_FROM_SUB_PATH": "true",
    # Login: the administrator, and users that the administrator adds; over TLS.
    "GF_AUTH_ANONYMOUS_ENABLED": "false",
    "GF_USERS_ALLOW_SIGN_UP": "false",
    "GF_SECURITY_COOKIE_SECURE": "true",
    "GF_SECURITY_COOKIE_SAMESITE": "strict",
    "GF_SECURITY_STRICT_TRANSPORT_SECURITY": "true",
    # No telemetry, no downloads.
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_NEWS_NEWS_FEED_ENABLED": "false",
    "GF_SECURITY_DISABLE_GRAVATAR": "true",
    "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    "GF_PLUGINS_PLUGIN_ADMIN_ENABLED": "false",
    # Alertmanager sends alerts.
    "GF_UNIFIED_ALERTING_ENABLED": "false",
    "GF_AWS_ALLOWED_AUTH_PROVIDERS": "default",
    # Everything is in the image; written files are lost with the task. The entry point creates one folder, no parents.
    "GF_PATHS_PROVISIONING": "/etc/slipway/provisioning",
    "GF_PATHS_DATA": constants.SCRATCH_PATH,
    "GF_PATHS_PLUGINS": f"{constants.SCRATCH_PATH}/plugins",
    "GF_PATHS_LOGS": f"{constants.SCRATCH_PATH}/log",
    "GF_LOG_MODE": "console",
    "GF_LOG_CONSOLE_FORMAT": "json",
}
"""https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/."""


@dataclass(frozen=True)
class GrafanaServiceArgs:
    """Inputs of `GrafanaService`."""

    environment_outputs: EnvironmentOutputs
    image: pulumi.Input[str]
    domain: str
    """Domain of the environment: the login needs TLS."""
    password: SecretReference
    """Password of the user `admin`."""
    prometheus_host: str
    prometheus_security_group_id: pulumi.Input[str]
    topic_arn: pulumi.Input[str]
    """SNS topic that is notified when it does not run."""
    origin_header: OriginHeader | None = None
    """The header that it requires of CloudFront. None: it takes any client's requests."""
    architecture: str = "X86_64"
    log_retention_days: int = 30


class GrafanaService(pulumi.ComponentResource):
    """Creates a service of one stateless task at /grafana of the environment's domain; dashboards are in its image.

    Provisions: a `WebService`, security group rules to Prometheus, an alarm for when it does not run. Its role reads
    CloudWatch metrics. Costs 9.01 USD a month (us-east-1, x86), and Container Insights of its service.
    """

    web_service: WebService

    def __init__(self, name: str, args: GrafanaServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:monitoring:GrafanaService", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        environment_outputs = args.environment_outputs
        self.web_service = WebService(
            name,
            WebServiceArgs(
                place=TaskPlacement(environment_outputs.network, environment_outputs.cluster),
                load_balancer=environment_outputs.load_balancer,
                label="grafana",
                task=_task(args),
                health_path=f"{URL_PATH}/api/health",
                priority=constants.GRAFANA_RULE_PRIORITY,
                paths=(URL_PATH, f"{URL_PATH}/*"),
                hosts=(args.domain,),
                origin_header=args.origin_header,
                tasks=1,
                max_tasks=1,
                start_seconds=START_SECONDS,
            ),
            opts=child,
        )
        allow_connections(
            f"{name}-to-prometheus",
            source=self.web_service.security_group_id,
            target=args.prometheus_security_group_id,
            port=prometheus_service.PORT,
            description="Grafana queries Prometheus",
            parent=self,
        )
        for alarm in running_tasks_alarms("grafana", environment_outputs.cluster, self.web_service.service_name, 1):
            create_metric_alarm(f"{name}-tasks", alarm, actions=[args.topic_arn], opts=child)
        self.register_outputs({"serviceName": self.web_service.service_name})


def _task(args: GrafanaServiceArgs) -> FargateTaskDefinitionArgs:
    grafana = ContainerDefinition(
        name="grafana",
        image=args.image,
        environment=GRAFANA_ENVIRONMENT
        | {
            "GF_SERVER_ROOT_URL": f"https://{args.domain}{URL_PATH}/",
            "PROMETHEUS_URL": f"http://{args.prometheus_host}:{prometheus_service.PORT}",
            "AWS_REGION": pulumi.Output.from_input(args.environment_outputs.cluster.arn).apply(
                lambda arn: arn.split(":")[3]
            ),
        },
        secrets={"GF_SECURITY_ADMIN_PASSWORD": args.password},
        port=PORT,
        health_check=constants.container_health_check(PORT, f"{URL_PATH}/api/health", START_SECONDS),
    )
    return FargateTaskDefinitionArgs(
        [grafana],
        repository_arn=args.environment_outputs.registry.arn,
        key_arn=args.environment_outputs.key_arn,
        statements=CLOUDWATCH_READ_STATEMENTS,
        cpu=CPU,
        memory=MEMORY,
        architecture=args.architecture,
        log_retention_days=args.log_retention_days,
    )
