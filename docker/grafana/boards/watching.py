"""What is watched, previews and their cost among it, and what watching takes."""

from __future__ import annotations

from panels import HTTP, board, lines

PREVIEW_USD_A_DAY = 0.10
"""Of a task on Spot with its secret and log group: infra/previews/bill.py on the reference app's."""
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
