"""What dashboards of Prometheus's metrics are made of: panels over time and of now, for a chosen stack."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models.common import VisibilityMode
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableRefresh

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
CHOSEN = 'stack="$stack", process=~"$process"'
HTTP = "http_request_duration_seconds"
NO_PROBES = f'{CHOSEN}, route!~"/(livez|readyz)"'
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
