"""Renders stacks/app.yaml of a detected app: as data, and as the text of the file."""

from __future__ import annotations

from typing import Any

import yaml

from slipway.cli.init.detect import DetectedApp
from slipway.cli.init.processes import FoundProcess
from slipway.cli.init.routes import HealthPaths
from slipway.cli.init.variables import MappedVariables
from slipway.config.schemas import APP_SCHEMA_FILE, UNCOMMITTED_FOLDER

SCHEMA = f"../{UNCOMMITTED_FOLDER}/{APP_SCHEMA_FILE.name}"
"""Path of the schema relative to stacks/; `slipway init` and `slipway up` write it for editors."""
DEFAULT_HEALTH = "/health"
LONGEST_LINE = 110
HEADER = """\
# yaml-language-server: $schema={schema}
# Describes the app. `slipway init` derived it from the sources; edit it freely. Stack files change sizes and variables.
"""
COMMENTS = {
    "source": "the image's build context",
    "module": "built and served by the kit; or `dockerfile: path/of/your/own`",
    "dockerfile": "your own, built as it is; or `module: package.module:app`",
    "metricsPort": "Prometheus scrapes /metrics here; the load balancer does not reach it",
    "release": "runs once, before any process is updated",
    "releasePlan": "prints the SQL that release would run: `slipway migrate STACK --plan`",
    "previewSeed": "fills the template database that previews copy",
    "needs": "only the stores named here are created and billed",
    "environment": "plain variables of every container",
    "variables": "the app's name: the kit's value",
    "secrets": "configured for each stack: pulumi config set --secret --path 'secrets.NAME' VALUE -s dev",
}
BLANK_BEFORE = ("processes", "release", "needs", "environment", "variables", "secrets")


def app_file(app: DetectedApp, mapped: MappedVariables, health: HealthPaths) -> dict[str, Any]:
    """Returns the content of stacks/app.yaml, without keys that equal the kit's default."""
    needs = _needs(app, mapped)
    data: dict[str, Any] = {"source": str(app.source)}
    if app.dockerfile:
        data["dockerfile"] = str(app.dockerfile.path)
    else:
        data["module"] = app.module
    data["port"] = app.port
    if app.metrics_port and app.metrics_port != app.port:
        data["metricsPort"] = app.metrics_port
    data["health"] = {"live": health.live or DEFAULT_HEALTH, "ready": health.ready or DEFAULT_HEALTH}
    processes: dict[str, Any] = {"web": {"command": app.web_command} if app.web_command else {}}
    processes |= {process.name: _process(process, needs) for process in app.workers}
    if processes != {"web": {}}:
        data["processes"] = processes
    commands = {"release": app.release.release, "releasePlan": app.release.plan, "previewSeed": app.release.seed}
    has_database = "database" in needs
    data |= {key: command for key, command in commands.items() if command and has_database}
    if needs:
        data["needs"] = needs
    environment = app.environment | mapped.environment
    if environment:
        data["environment"] = {name: _number(value) for name, value in environment.items()}
    if mapped.variables:
        data["variables"] = dict(mapped.variables)
    if mapped.secrets:
        required = all(kind == "required" for kind in mapped.secrets.values())
        data["secrets"] = list(mapped.secrets) if required else dict(mapped.secrets)
    return data


def _needs(app: DetectedApp, mapped: MappedVariables) -> list[str]:
    """Returns the stores that the processes use, as far as the sources show."""
    needs: list[str] = [store for store in ("database", "cache") if store in mapped.needs]
    if "queue" in mapped.needs:
        takes = any(process.takes_jobs for process in app.workers)
        needs.append("queue.send" if takes else "queue")
    if "bucket" in mapped.needs:
        needs.append("bucket.read" if app.stores.s3_reads_only else "bucket")
    return needs


def _number(text: str) -> str | int:
    """Returns a number as int, so that YAML does not quote it; keeps a text such as 007."""
    return int(text) if text.isdigit() and str(int(text)) == text else text


def _process(process: FoundProcess, needs: list[str]) -> dict[str, Any]:
    data: dict[str, Any] = {"command": process.command}
    own = ["queue" if need == "queue.send" and process.takes_jobs else need for need in needs]
    if own != needs:
        data["needs"] = own
    return data


def render_app_file(data: dict[str, Any]) -> str:
    """Returns the text of the file, with a comment for each key that needs one."""
    lines = [HEADER.format(schema=SCHEMA)]
    for key, value in data.items():
        if key in BLANK_BEFORE:
            lines.append("\n")
        lines.append(_entry(key, value))
    return "".join(lines)


def _entry(key: str, value: Any) -> str:
    comment = COMMENTS.get(key, "")
    flow = f"{key}: {inline_yaml(value)}"
    if key not in ("processes", "variables") and len(flow) <= LONGEST_LINE - len(comment):
        return f"{flow:<31} # {comment}\n" if comment else f"{flow}\n"
    head = f"{key}:"
    text = f"{head:<31} # {comment}\n" if comment else f"{head}\n"
    if isinstance(value, list):
        return text + "".join(f"  - {inline_yaml(item)}\n" for item in value)
    if not isinstance(value, dict):
        return f"# {comment}\n{flow}\n" if comment else f"{flow}\n"
    for name, item in value.items():
        text += _nested(name, item)
    return text


def _nested(name: str, item: Any) -> str:
    flow = f"  {name}: {inline_yaml(item)}"
    if not isinstance(item, dict) or len(flow) <= LONGEST_LINE:
        return f"{flow}\n"
    return f"  {name}:\n" + "".join(f"    {key}: {inline_yaml(value)}\n" for key, value in item.items())


def inline_yaml(value: Any) -> str:
    """Returns a value on one line, quoted where YAML would read another value."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    return text.removesuffix("...\n").strip()
