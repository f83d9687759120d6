"""The dashboards as code: `make dashboards` writes dashboards/*.json, which Grafana imports.

Every query is run against a live Prometheus by tests/local/test_monitoring.py, and none of them may come back empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from grafana_foundation_sdk.builders import cloudwatch, common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.cloudwatch import MetricEditorMode, MetricQueryType, QueryMode
from grafana_foundation_sdk.models.common import VisibilityMode
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableRefresh

FOLDER = Path(__file__).with_name("dashboards")
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
CLOUDWATCH = DataSourceRef(type_val="cloudwatch", uid="${datasource}")
CHOSEN = 'stack="$stack", process=~"$process"'
HTTP = "http_request_duration_seconds"
NO_PROBES = f'{CHOSEN}, route!~"/(livez|readyz)"'

PREVIEW_USD_A_DAY = 0.10
"""Of a task on Spot with its secret and log group: infra/previews/bill.py on the reference app's."""

Query = tuple[str, str]
"""An expression, and what its lines are called."""


def _queries(queries: Sequence[Query]) -> list[prometheus.Dataquery]:
    return [
        prometheus.Dataquery().expr(expr).legend_format(called).ref_id("ABCDEFG"[number]).datasource(SOURCE)
        for number, (expr, called) in enumerate(queries)
    ]


def lines(title: str, what: str, unit: str, *queries: Query, stacked: bool = False) -> timeseries.Panel:
    """A panel over time."""
    panel = timeseries.Panel().title(title).description(what).unit(unit).datasource(SOURCE).span(12).height(8).min(0)
    panel = panel.show_points(VisibilityMode.NEVER).fill_opacity(20 if stacked else 0)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode("normal"))
    for query in _queries(queries):
        panel = panel.with_target(query)
    return panel


def number(title: str, what: str, unit: str, expr: str) -> stat.Panel:
    """A panel with the value of now."""
    (query,) = _queries([(expr, "")])
    panel = stat.Panel().title(title).description(what).unit(unit).datasource(SOURCE).span(6).height(4)
    return panel.with_target(query.instant())


def board(
    name: str, title: str, *panels: timeseries.Panel | stat.Panel, by_process: bool = True
) -> dashboard.Dashboard:
    """A dashboard of the chosen stack, and where that says something of its chosen processes."""
    made = (
        dashboard.Dashboard(title)
        .uid(f"slipway-{name}")
        .tags(["slipway"])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("utc")
        .readonly()
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_label("stack", 'label_values(up{job="ecs"}, stack)'))
    )
    if by_process:
        processes = _label("process", 'label_values(up{job="ecs", stack="$stack"}, process)')
        made = made.with_variable(processes.include_all(True).multi(True).all_value(".+"))
    started = 'count by (process) (up{job="ecs", stack="$stack"} unless up{job="ecs", stack="$stack"} offset 1m)'
    made = made.annotation(
        dashboard.AnnotationQuery().name("New tasks").datasource(SOURCE).enable(True).icon_color("blue").expr(started)
    )
    for panel in panels:
        made = made.with_panel(panel)
    return made


def _label(name: str, query: str) -> dashboard.QueryVariable:
    made = dashboard.QueryVariable(name).label(name.capitalize()).query(query).datasource(SOURCE)
    return made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)


def quantile(share: float) -> str:
    """In seconds, by route."""
    return f"histogram_quantile({share}, sum by (route, le) (rate({HTTP}_bucket{{{NO_PROBES}}}[$__rate_interval])))"


SERVICE = board(
    "service",
    "Service",
    number(
        "Requests",
        "Answers a second, health checks left out",
        "reqps",
        f"sum(rate({HTTP}_count{{{NO_PROBES}}}[$__rate_interval]))",
    ),
    number(
        "Errors",
        "Share of the answers that are 5xx; the budget is 0.1 %",
        "percentunit",
        f'(sum(rate({HTTP}_count{{{CHOSEN}, status=~"5.."}}[$__rate_interval])) or vector(0))'
        f" / sum(rate({HTTP}_count{{{NO_PROBES}}}[$__rate_interval]))",
    ),
    number(
        "Slowest in a hundred",
        "99th percentile of all answers",
        "s",
        f"histogram_quantile(0.99, sum by (le) (rate({HTTP}_bucket{{{NO_PROBES}}}[$__rate_interval])))",
    ),
    number("Tasks", "Tasks that answer", "short", f'count(up{{job="ecs", {CHOSEN}}} == 1)'),
    lines(
        "Answers by status",
        "Answers a second",
        "reqps",
        (f"sum by (status) (rate({HTTP}_count{{{NO_PROBES}}}[$__rate_interval]))", "{{status}}"),
        stacked=True,
    ),
    lines(
        "Answers by route",
        "Answers a second, the ten busiest routes",
        "reqps",
        (
            f"topk(10, sum by (method, route) (rate({HTTP}_count{{{NO_PROBES}}}[$__rate_interval])))",
            "{{method}} {{route}}",
        ),
    ),
    lines("Time by route, middle", "Half of the answers are quicker", "s", (quantile(0.5), "{{route}}")),
    lines("Time by route, 99 %", "One answer in a hundred is slower", "s", (quantile(0.99), "{{route}}")),
    lines(
        "Requests in flight",
        "Of each task: over 50 they wait for each other",
        "short",
        (f"sum by (process, instance) (http_requests_in_flight{{{CHOSEN}}})", "{{process}} {{instance}}"),
    ),
)
STORES = [
    lines(
        "Connections of the database",
        "By state, against what it allows",
        "short",
        ('sum by (state) (pg_stat_activity_count{stack="$stack"}) > 0', "{{state}}"),
        ('max(pg_settings_max_connections{stack="$stack"})', "at most"),
    ),
    lines(
        "Transactions",
        "A second, by database",
        "ops",
        ('sum by (datname) (rate(pg_stat_database_xact_commit{stack="$stack"}[$__rate_interval])) > 0', "{{datname}}"),
        ('sum(rate(pg_stat_database_xact_rollback{stack="$stack"}[$__rate_interval]))', "rolled back"),
    ),
    lines(
        "Blocks from the database's memory",
        "Share of what it read that it did not have to fetch; under 95 % it wants more memory",
        "percentunit",
        (
            'sum(rate(pg_stat_database_blks_hit{stack="$stack"}[$__rate_interval])) / ('
            'sum(rate(pg_stat_database_blks_hit{stack="$stack"}[$__rate_interval]))'
            ' + sum(rate(pg_stat_database_blks_read{stack="$stack"}[$__rate_interval])))',
            "from memory",
        ),
    ),
    lines(
        "Longest transaction",
        "One that lasts holds its locks, and keeps the database from cleaning up",
        "s",
        ('max by (datname) (pg_stat_activity_max_tx_duration{stack="$stack"})', "{{datname}}"),
    ),
    lines(
        "Locks",
        "Held, by kind: an `accessexclusivelock` lets nobody at its table",
        "short",
        ('sum by (mode) (pg_locks_count{stack="$stack"}) > 0', "{{mode}}"),
        stacked=True,
    ),
    lines(
        "Memory of Redis",
        "Used, against what it may use",
        "bytes",
        ('sum(redis_memory_used_bytes{stack="$stack"})', "used"),
        ('sum(redis_memory_max_bytes{stack="$stack"}) > 0', "at most"),
    ),
    lines(
        "Keys of Redis",
        "A second: asked for and there or not, at their end, thrown out before it",
        "ops",
        ('sum(rate(redis_keyspace_hits_total{stack="$stack"}[$__rate_interval]))', "there"),
        ('sum(rate(redis_keyspace_misses_total{stack="$stack"}[$__rate_interval]))', "not there"),
        ('sum(rate(redis_expired_keys_total{stack="$stack"}[$__rate_interval]))', "expired"),
        ('sum(rate(redis_evicted_keys_total{stack="$stack"}[$__rate_interval]))', "evicted"),
    ),
    lines("Clients of Redis", "Connected", "short", ('sum(redis_connected_clients{stack="$stack"})', "clients")),
]
DATA = board(
    "data",
    "Data",
    number(
        "Cache hits",
        "Share of the cacheable answers that came from the cache",
        "percentunit",
        '(sum(rate(cache_lookups_total{stack="$stack", result="hit"}[$__rate_interval])) or vector(0))'
        ' / sum(rate(cache_lookups_total{stack="$stack"}[$__rate_interval]))',
    ),
    number(
        "Database connections",
        "Share of the pools that is in use",
        "percentunit",
        'sum(db_connections_in_use{stack="$stack"}) / sum(db_connections_max{stack="$stack"})',
    ),
    lines(
        "Database connections by task",
        "Checked out, against what the pools may open",
        "short",
        ('sum by (process, instance) (db_connections_in_use{stack="$stack"})', "{{process}} {{instance}}"),
        ('max(sum by (instance) (db_connections_max{stack="$stack"}))', "at most"),
    ),
    lines(
        "Cache lookups",
        "By result: `unavailable` is a cache that does not answer",
        "ops",
        ('sum by (result) (rate(cache_lookups_total{stack="$stack"}[$__rate_interval]))', "{{result}}"),
        stacked=True,
    ),
    lines(
        "Rate limit",
        "Checks by result: refused is a 429, unavailable counted without Redis",
        "ops",
        ('sum by (result) (rate(rate_limit_checks_total{stack="$stack"}[$__rate_interval]))', "{{result}}"),
        stacked=True,
    ),
    *STORES,
    by_process=False,
)
JOBS = board(
    "jobs",
    "Jobs",
    number(
        "Dead in the last hour",
        "Given up: dead letters",
        "short",
        'sum(increase(jobs_total{stack="$stack", outcome="dead"}[1h])) or vector(0)',
    ),
    number(
        "Tries that fail",
        "Of the tries in the last hour",
        "percentunit",
        '(sum(increase(jobs_total{stack="$stack", outcome=~"retried|dead"}[1h])) or vector(0))'
        ' / sum(increase(jobs_total{stack="$stack", outcome=~"done|retried|dead"}[1h]))',
    ),
    lines(
        "Jobs by outcome",
        "A second: sent by the web, done, tried again or dead in the worker",
        "ops",
        (
            'sum by (exported_job, outcome) (rate(jobs_total{stack="$stack"}[$__rate_interval]))',
            "{{exported_job}} {{outcome}}",
        ),
    ),
    lines(
        "Time of a job, 95 %",
        "One run in twenty takes longer",
        "s",
        (
            "histogram_quantile(0.95, sum by (exported_job, le) "
            '(rate(job_duration_seconds_bucket{stack="$stack"}[$__rate_interval])))',
            "{{exported_job}}",
        ),
    ),
    by_process=False,
)
WATCHING = board(
    "watching",
    "What is watched",
    lines(
        "Tasks by process",
        "That answer",
        "short",
        ('sum by (process, zone) (up{job="ecs", stack="$stack"})', "{{process}} {{zone}}"),
        stacked=True,
    ),
    lines(
        "Alerts",
        "Pending and firing",
        "short",
        ("count by (alertname, alertstate) (ALERTS) or vector(0)", "{{alertname}} {{alertstate}}"),
    ),
    lines(
        "Previews",
        "Tasks that answer, by preview",
        "short",
        ('sum by (stack) (up{job="ecs", alerts!="yes"})', "{{stack}}"),
        stacked=True,
    ),
    lines(
        "Cost of previews",
        f"USD a day: {PREVIEW_USD_A_DAY:.2f} for each that answers, as `slipway preview list` has it, exactly",
        "currencyUSD",
        (
            f'count(count by (stack) (up{{job="ecs", alerts!="yes"}})) * {PREVIEW_USD_A_DAY} or vector(0)',
            "all previews",
        ),
    ),
    lines(
        "Requests to previews",
        "A second, health checks left out",
        "reqps",
        (
            f'sum by (stack) (rate({HTTP}_count{{alerts!="yes", route!~"/(livez|readyz)"}}[$__rate_interval]))',
            "{{stack}}",
        ),
    ),
    lines("Series", "What Prometheus has in memory", "short", ("prometheus_tsdb_head_series", "series")),
    lines(
        "Memory of Prometheus",
        "Of the task's 1 GiB",
        "bytes",
        ('process_resident_memory_bytes{process="prometheus"}', "resident"),
    ),
    by_process=False,
)


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
BOARDS = {"infrastructure": INFRASTRUCTURE, "service": SERVICE, "data": DATA, "jobs": JOBS, "watching": WATCHING}


def generated() -> dict[str, str]:
    """File name -> its text."""
    encode = JSONEncoder(sort_keys=True, indent=2).encode
    return {f"{name}.json": encode(made.build()) + "\n" for name, made in BOARDS.items()}


if __name__ == "__main__":
    for name, text in generated().items():
        (FOLDER / name).write_text(text)
