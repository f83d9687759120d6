"""`slipway dashboards`: the panels of docker/grafana with live numbers, as one page, where there is no Grafana."""

from __future__ import annotations

import html
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from slipway.config.errors import SlipwayError
from slipway.config.project import kit_path, project_name
from slipway_local import local_stack
from slipway_local.session import LOCAL_STACK, Session
from slipway_local.status import aws_client

DASHBOARDS = "docker/grafana/dashboards"
QUERY_STEP_SECONDS = 15
"""As often as Prometheus asks."""
RATE_INTERVAL = "1m"
"""Grafana's $__rate_interval at that step: four times as long."""
UNITS = {
    "percentunit": ("%", 100),
    "s": ("s", 1),
    "percent": ("%", 1),
    "currencyUSD": ("USD", 1),
    "reqps": ("/s", 1),
    "ops": ("/s", 1),
    "bytes": ("MiB", 1 / 2**20),
}
"""Grafana's name -> ours, and by what a value is multiplied."""
PAGE_CSS = """
body { font: 15px system-ui, sans-serif; margin: 1.5rem; color: #1c2733; background: #f4f6f8 }
section { display: grid; grid-template-columns: repeat(24, 1fr); gap: .75rem; align-items: start }
article { background: #fff; border: 1px solid #d8dfe6; border-radius: 6px; padding: .6rem .8rem; min-width: 0 }
h3 { margin: 0; font-size: 1rem } p { margin: .1rem 0 .3rem; color: #5b6b7b; font-size: .85rem }
.number { font-size: 2rem } .nothing { color: #8a97a5 } .error { color: #b3261e }
"""


@dataclass
class DashboardPage:
    """The rendered page."""

    html: str = ""
    queries: int = 0
    empty_panels: list[str] = field(default_factory=list)
    """Panels without any data."""
    failed_panels: list[str] = field(default_factory=list)
    """Panels whose query Prometheus refuses, with its words."""


def find_prometheus_url(session: Session) -> str:
    """Returns the URL of the local stack's Prometheus. Raises `SlipwayError` where there is none."""
    outputs = local_stack.read_outputs()
    service = f"{project_name()}-{LOCAL_STACK}-prometheus"
    ecs = aws_client(session, "ecs")
    arns = ecs.list_tasks(cluster=outputs["cluster"])["taskArns"] if "cluster" in outputs else []
    tasks = ecs.describe_tasks(cluster=outputs["cluster"], tasks=arns)["tasks"] if arns else []
    for task in tasks:
        details = {each["name"]: each["value"] for a in task["attachments"] for each in a["details"]}
        if task["group"].startswith(f"service:{service}") and "privateIPv4Address" in details:
            return f"http://{details['privateIPv4Address']}:9090"
    raise SlipwayError(
        "No Prometheus runs in the stack local.",
        'Switch it on: eval "$(slipway env)"; pulumi config set monitoring true -s local; slipway up',
    )


def render_dashboards(prometheus: str, stack: str, minutes: int) -> DashboardPage:
    """All dashboards of a stack (`<project>-<stack>`), over the last minutes."""
    from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]  # plotly has no types

    page = DashboardPage()
    parts = [
        part
        for file in sorted(kit_path(DASHBOARDS).glob("*.json"))
        for part in _render_dashboard(file.read_text(), prometheus, stack, minutes, page)
    ]
    page.html = (
        f"<!doctype html><meta charset=utf-8><title>{stack}</title><style>{PAGE_CSS}</style>"
        f"<script>{get_plotlyjs()}</script><h1>{stack}, {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC</h1>"
        + "".join(parts)
    )
    return page


def _render_dashboard(text: str, prometheus: str, stack: str, minutes: int, page: DashboardPage) -> Iterator[str]:
    board = json.loads(text)
    yield f"<h2>{html.escape(board['title'])}</h2>"
    (source,) = (each["query"] for each in board["templating"]["list"] if each["type"] == "datasource")
    if source != "prometheus":
        yield f'<p class="nothing">Of {source}, which this machine has not.</p>'
        return
    yield "<section>"
    for panel in board["panels"]:
        title = f"{board['title']}: {panel['title']}"
        try:
            series = list(_query_series(prometheus, panel, stack, minutes, page))
            body = _render_panel(panel, series)
            if not series:
                page.empty_panels.append(title)
        except SlipwayError as error:
            body = f'<p class="error">{html.escape(error.message)}</p>'
            page.failed_panels.append(f"{title}: {error.message}")
        yield (
            f'<article style="grid-column: span {panel["gridPos"]["w"]}"><h3>{html.escape(panel["title"])}</h3>'
            f"<p>{html.escape(panel['description'])}</p>{body}</article>"
        )
    yield "</section>"


def expand_variables(expr: str, stack: str) -> str:
    """As Grafana asks it, with its variables in."""
    return expr.replace("$__rate_interval", RATE_INTERVAL).replace("$stack", stack).replace("$process", ".+")


def _query_series(
    prometheus: str, panel: Any, stack: str, minutes: int, page: DashboardPage
) -> Iterator[tuple[str, list[Any]]]:
    """Name and values of each line."""
    now = time.time()
    for target in panel["targets"]:
        page.queries += 1
        query = {"query": expand_variables(target["expr"], stack), "start": now - minutes * 60, "end": now}
        for found in _query_prometheus(prometheus, "query_range", **query, step=QUERY_STEP_SECONDS)["result"]:
            name = target["legendFormat"]
            for label, value in found["metric"].items():
                name = name.replace(f"{{{{{label}}}}}", value)
            yield name, [(float(at), float(value)) for at, value in found["values"]]


def _query_prometheus(prometheus: str, path: str, **query: Any) -> Any:
    url = f"{prometheus}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - an address of the local AWS's
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        reason = json.load(error).get("error", error)
        fix = f"Correct that panel in {DASHBOARDS}."
        raise SlipwayError(f"Prometheus refused the query: {reason}", fix) from None
    except OSError as error:
        fix = "Whether its task runs: slipway status"
        raise SlipwayError(f"Prometheus does not answer at {prometheus}: {error}", fix) from None


def _render_panel(panel: Any, series: list[tuple[str, list[Any]]]) -> str:
    import plotly.graph_objects as go  # type: ignore[import-untyped]  # plotly has no types

    unit, factor = UNITS.get(panel["fieldConfig"]["defaults"]["unit"], ("", 1))
    if not series:
        return '<p class="nothing">no data</p>'
    if panel["type"] == "stat":
        return f'<div class="number">{series[0][1][-1][1] * factor:.4g} {unit}</div>'
    figure = go.Figure()
    stacked = panel["fieldConfig"]["defaults"].get("custom", {}).get("stacking", {}).get("mode") == "normal"
    for name, values in series:
        at = [time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment)) for moment, _ in values]
        line = {"stackgroup": "all"} if stacked else {}
        figure.add_scatter(x=at, y=[value * factor for _, value in values], name=name, mode="lines", **line)
    figure.update_layout(
        height=280, margin={"l": 45, "r": 10, "t": 10, "b": 30}, template="plotly_white", showlegend=True,
        legend={"orientation": "h", "y": -0.2}, yaxis={"rangemode": "tozero", "ticksuffix": f" {unit}"},
    )  # fmt: skip
    return str(figure.to_html(full_html=False, include_plotlyjs=False, config={"displayModeBar": False}))
