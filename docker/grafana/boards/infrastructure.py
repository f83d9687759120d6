"""What only AWS sees, from CloudWatch."""

from __future__ import annotations

from grafana_foundation_sdk.builders import cloudwatch, dashboard, timeseries
from grafana_foundation_sdk.models.cloudwatch import MetricEditorMode, MetricQueryType, QueryMode
from grafana_foundation_sdk.models.common import VisibilityMode
from grafana_foundation_sdk.models.dashboard import DataSourceRef

CLOUDWATCH = DataSourceRef(type_val="cloudwatch", uid="${datasource}")


def metric(
    title: str, what: str, unit: str, of: str, name: str, *dimensions: str, statistic: str = "Average"
) -> timeseries.Panel:
    """A panel with a metric of CloudWatch's, a line for each set of dimensions that the region has."""
    query = (
        cloudwatch.MetricsQuery()
        .query_mode(QueryMode.METRICS)
        .metric_query_type(MetricQueryType.SEARCH)
        .metric_editor_mode(MetricEditorMode.BUILDER)
        .region("default")
        .namespace(f"AWS/{of}")
        .metric_name(name)
        .statistic(statistic)
        .dimensions(dict.fromkeys(dimensions, "*"))
        .match_exact(True)
        .label(" ".join(f"${{PROP('Dim.{each}')}}" for each in dimensions))
        .ref_id("A")
        .datasource(CLOUDWATCH)
    )
    panel = timeseries.Panel().title(title).description(what).unit(unit).datasource(CLOUDWATCH).span(12).height(8)
    return panel.min(0).show_points(VisibilityMode.NEVER).with_target(query)


INFRASTRUCTURE = (
    dashboard.Dashboard("Infrastructure")
    .uid("slipway-infrastructure")
    .tags(["slipway"])
    .refresh("1m")
    .time("now-3h", "now")
    .timezone("utc")
    .readonly()
    .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("cloudwatch"))
)
for shown in (
    metric("Processor of tasks", "By service", "percent", "ECS", "CPUUtilization", "ClusterName", "ServiceName"),
    metric("Memory of tasks", "By service", "percent", "ECS", "MemoryUtilization", "ClusterName", "ServiceName"),
    metric(
        "5xx of the load balancer itself",
        "No task was there to answer, or one closed its connection",
        "short",
        "ApplicationELB",
        "HTTPCode_ELB_5XX_Count",
        "LoadBalancer",
        statistic="Sum",
    ),
    metric(
        "Targets that fail their check",
        "By target group",
        "short",
        "ApplicationELB",
        "UnHealthyHostCount",
        "LoadBalancer",
        "TargetGroup",
        statistic="Maximum",
    ),
    metric("Processor of databases", "By instance", "percent", "RDS", "CPUUtilization", "DBInstanceIdentifier"),
    metric("Free disk of databases", "By instance", "bytes", "RDS", "FreeStorageSpace", "DBInstanceIdentifier"),
    metric("Engine of caches", "By node", "percent", "ElastiCache", "EngineCPUUtilization", "CacheClusterId"),
    metric("Free memory of caches", "By node", "bytes", "ElastiCache", "FreeableMemory", "CacheClusterId"),
):
    INFRASTRUCTURE = INFRASTRUCTURE.with_panel(shown)
