"""Settings of logs, alarms, metrics, traces and the budget."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from slipway.config.aws_limits import LOG_RETENTION_DAYS
from slipway.config.setting_sections.base import SettingSection, choices


def _check_log_retention(value: int) -> int:
    if value not in LOG_RETENTION_DAYS:
        raise ValueError(f"CloudWatch Logs allows {', '.join(map(str, LOG_RETENTION_DAYS))} days")
    return value


class MonitoringSettings(SettingSection):
    """Monitoring"""

    container_insights: bool = True
    """Whether CloudWatch Container Insights is on. Alarms of missing tasks and the workers' autoscaling need it."""
    log_retention_days: Annotated[int, AfterValidator(_check_log_retention), choices(LOG_RETENTION_DAYS)] = 30
    """Days that CloudWatch keeps logs."""
    alarm_email: Annotated[str, Field(pattern=r"^([^@\s]+@[^@\s]+\.[^@\s]+)?$")] = ""
    """E-mail address for alarms, in addition to other subscribers of the SNS topic. AWS asks it to confirm."""
    monthly_budget_usd: Annotated[int, Field(ge=0)] = 0
    """US dollars a month above which a budget alarm is sent. 0: no budget."""
    monitoring: bool = False
    """Whether Prometheus and Alertmanager run in the environment, for an app that has a metricsPort."""
    grafana: bool = False
    """Whether Grafana with the kit's dashboards runs at /grafana of the domain. Requires monitoring and domain."""
    managed_prometheus: bool = False
    """Whether Prometheus also writes to Amazon Managed Prometheus, which keeps metrics for 150 days. Requires
    monitoring."""
    metrics_retention_days: Annotated[int, Field(ge=1, le=90)] = 15
    """Days that Prometheus keeps metrics on its task's disk of 20 GiB."""
    tracing: bool = False
    """Whether an OpenTelemetry collector runs in the task of each web and worker process and sends traces to X-Ray.
    Previews have none."""

    @model_validator(mode="after")
    def _check_managed_prometheus(self) -> Self:
        if self.managed_prometheus and not self.monitoring:
            raise ValueError(
                "managedPrometheus is true and monitoring is false: there is no Prometheus that would write to it. "
                "Set monitoring to true"
            )
        return self
