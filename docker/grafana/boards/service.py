"""What users have: requests, errors, time, and how full the tasks are."""

from __future__ import annotations

from panels import CHOSEN, HTTP, NO_PROBES, board, lines, number


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
