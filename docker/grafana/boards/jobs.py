"""What is done later: jobs, how long they take, and which fail."""

from __future__ import annotations

from panels import board, lines, number

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
