"""`slipway dashboards`: prints URLs and login of a stack's Grafana and Prometheus; for `local` it writes one page."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from slipway.cli.completion import complete_stacks
from slipway.cli.console import stdout_console
from slipway.cli.prompts import JsonOption
from slipway.config.errors import SlipwayError
from slipway.config.local_aws import LocalAws, find_local_aws
from slipway.config.project import run_dir

GRAFANA_USER = "admin"
"""Grafana's administrator. The kit generates the password."""
DEFAULT_MINUTES = 60
"""Time range of the page of `local`."""


def dashboards(
    stack: Annotated[str, typer.Argument(help="A deployed stack.", autocompletion=complete_stacks)] = "local",
    minutes: Annotated[int, typer.Option(min=1, max=1440, help="Time range of the page of `local`.")] = DEFAULT_MINUTES,
    file: Annotated[
        Path | None, typer.Option("--out", help="File of the page of `local`. Default: .slipway/dashboards.html.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print URLs and login of a stack's Grafana and Prometheus; for `local`, write all panels as one page."""
    from slipway.release.deployed_stack import read_stack_outputs

    local_aws = find_local_aws()
    if local_aws and stack == local_aws.stack:
        _write_local_page(local_aws, file, minutes, as_json)
        return
    if file or minutes != DEFAULT_MINUTES:
        raise SlipwayError("--out and --minutes apply to the stack `local` only.", f"slipway dashboards {stack}")
    monitoring = read_monitoring_outputs(stack, read_stack_outputs(stack))
    if as_json:
        sys.stdout.write(json.dumps({"stack": stack, **monitoring}, indent=2) + "\n")
        return
    for line in format_monitoring_outputs(stack, monitoring):
        stdout_console.print(line, markup=False)


def read_monitoring_outputs(stack: str, outputs: Mapping[str, Any]) -> dict[str, str]:
    """Returns the stack output `monitoring` (program/monitoring.py), and the command that reads Grafana's password.

    Raises:
        SlipwayError: the stack has no monitoring, or it is a preview, which its base environment monitors.
    """
    preview = outputs.get("preview")
    if preview:
        raise SlipwayError(
            f"{stack} is a preview: the monitoring of {preview['base']} covers it.",
            f"slipway dashboards {preview['base']}; in a dashboard choose the stack that ends with {stack}",
        )
    if "monitoring" not in outputs:
        raise SlipwayError(
            f"The stack {stack} has no monitoring.",
            f"pulumi config set monitoring true -s {stack}; metricsPort in stacks/app.yaml; pulumi up -s {stack}",
        )
    monitoring = {key: address for key, address in outputs["monitoring"].items() if key != "logGroups"}
    if "password" in monitoring:
        region = monitoring["password"].split(":")[3]
        monitoring["readPassword"] = (
            f"aws secretsmanager get-secret-value --region {region} --secret-id {monitoring['password']}"
            " --query SecretString --output text"
        )
    return monitoring


def format_monitoring_outputs(stack: str, monitoring: Mapping[str, str]) -> list[str]:
    """Returns the lines of the text output."""
    if "grafana" in monitoring:
        lines = [
            f"Grafana     {monitoring['grafana']}",
            f"user        {GRAFANA_USER}",
            f"password    `value` in the secret {monitoring['password']}:",
            f"            {monitoring['readPassword']}",
            f"Prometheus  {monitoring['prometheus']}, reachable from Grafana only: query it there, under Explore",
        ]
    else:
        lines = [
            "Grafana     none: `grafana` is not true in this stack. It needs `domain`, because the login requires TLS:",
            f"            pulumi config set grafana true -s {stack}; pulumi up -s {stack}",
            "Prometheus  runs without a public address: it sends alerts to the alarms' SNS topic",
        ]
    if "workspace" in monitoring:
        lines.append(
            f"stored in   {monitoring['workspace']}, for a role with aps:QueryMetrics (Amazon Managed Prometheus)"
        )
    return lines


def _write_local_page(local_aws: LocalAws, file: Path | None, minutes: int, as_json: bool) -> None:
    target = file or run_dir() / "dashboards.html"
    page = local_aws.write_dashboards(target, minutes)
    if as_json:
        sys.stdout.write(json.dumps({"page": str(target), **page}, indent=2) + "\n")
        return
    stdout_console.print(f"{target}: {page['queries']} queries to {page['prometheus']}", markup=False)
    for label, titles in (("no data", page["empty"]), ("failed", page["failed"])):
        for title in titles:
            stdout_console.print(f"  {label}: {title}", markup=False)
