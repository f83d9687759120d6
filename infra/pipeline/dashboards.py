"""`slipway dashboards`: where a stack's dashboards and metrics are, and who gets in; of `local` a page of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.asking import Json
from infra.consoles import out
from infra.errors import SlipwayError

USER = "admin"
"""Grafana's first, whose password the kit generates."""
MINUTES = 60


def dashboards(
    stack: Annotated[str, typer.Argument(help="A deployed stack.")] = "local",
    minutes: Annotated[int, typer.Option(min=1, max=1440, help="How far back; of `local`.")] = MINUTES,
    file: Annotated[
        Path | None, typer.Option("--out", help="The page of `local`; else .slipway/dashboards.html.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say where a stack's Grafana and Prometheus are and how to get in; of `local` draw all panels as one page."""
    from infra.local.session import STACK
    from infra.release.stack import outputs_of

    if stack == STACK:
        _page(file, minutes, as_json)
        return
    if file or minutes != MINUTES:
        raise SlipwayError(
            "--out and --minutes are of the page that is drawn for the stack local.", f"slipway dashboards {stack}"
        )
    found = addresses(stack, outputs_of(stack))
    if as_json:
        sys.stdout.write(json.dumps({"stack": stack, **found}, indent=2) + "\n")
        return
    for line in told(stack, found):
        out.print(line, markup=False)


def addresses(stack: str, outputs: Mapping[str, Any]) -> dict[str, str]:
    """What the stack's output `monitoring` has (infra/monitoring.py), and how its password is read.

    Raises `SlipwayError` where nothing watches the stack, and for a preview, which is watched by its environment.
    """
    if guest := outputs.get("preview"):
        raise SlipwayError(
            f"{stack} is a preview: what watches {guest['base']} watches it too, under its own name.",
            f"slipway dashboards {guest['base']}; in a dashboard choose the stack that ends with {stack}",
        )
    if "monitoring" not in outputs:
        raise SlipwayError(
            f"Nothing watches the stack {stack}.",
            f"pulumi config set monitoring true -s {stack}; metricsPort in stacks/app.yaml; pulumi up -s {stack}",
        )
    found = {what: where for what, where in outputs["monitoring"].items() if what != "logGroups"}
    if "password" in found:
        region = found["password"].split(":")[3]
        found["readPassword"] = (
            f"aws secretsmanager get-secret-value --region {region} --secret-id {found['password']}"
            " --query SecretString --output text"
        )
    return found


def told(stack: str, found: Mapping[str, str]) -> list[str]:
    """The same for a person."""
    if "grafana" in found:
        lines = [
            f"Grafana     {found['grafana']}",
            f"user        {USER}",
            f"password    `value` in the secret {found['password']}:",
            f"            {found['readPassword']}",
            f"Prometheus  {found['prometheus']}, which Grafana alone reaches: ask it there, under Explore",
        ]
    else:
        lines = [
            "Grafana     none: `grafana` is not true in this stack. It needs `domain`, for a login is served over TLS:",
            f"            pulumi config set grafana true -s {stack}; pulumi up -s {stack}",
            "Prometheus  runs, and nobody reaches it: its alerts go to the alarms' topic",
        ]
    if "workspace" in found:
        lines.append(f"kept in     {found['workspace']}, for a role with aps:QueryMetrics (Amazon Managed Prometheus)")
    return lines


def _page(file: Path | None, minutes: int, as_json: bool) -> None:
    from infra.local.dashboards import draw, prometheus_url
    from infra.local.paths import project, run_dir
    from infra.local.session import STACK, open_session

    prometheus = prometheus_url(open_session())
    page = draw(prometheus, f"{project()}-{STACK}", minutes)
    target = file or run_dir() / "dashboards.html"
    target.write_text(page.html, encoding="utf-8")
    said = {"page": str(target), "prometheus": prometheus, "queries": page.queries}
    if as_json:
        sys.stdout.write(json.dumps({**said, "empty": page.empty, "failed": page.failed}, indent=2) + "\n")
        return
    out.print(f"{target}: {page.queries} queries to {prometheus}", markup=False)
    for label, titles in (("no data", page.empty), ("failed", page.failed)):
        for title in titles:
            out.print(f"  {label}: {title}", markup=False)
