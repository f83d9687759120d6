"""Reads the manifests of AWS Copilot as a description of the app: `slipway init --from copilot`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path, PurePosixPath
from typing import Any

from slipway.cli.init.foreign import ForeignSpec, process_name, read_yaml
from slipway.config.errors import SlipwayError

SERVING = ("Load Balanced Web Service", "Request-Driven Web Service")
PERIODS = {
    "@hourly": "rate(1 hour)",
    "@daily": "rate(1 day)",
    "@midnight": "cron(0 0 * * ? *)",
    "@weekly": "rate(7 days)",
}
WHOLE_WEEK = ("*", "?")


def read_copilot(root: Path) -> ForeignSpec:
    """Returns web service, workers and jobs as Copilot's manifests describe them.

    Raises:
        SlipwayError: there is no manifest of a web service.
    """
    manifests = {p.parent.name: p for p in sorted((root / "copilot").glob("*/manifest.y*ml")) if p.is_file()}
    data = {name: _manifest(path, root) for name, path in manifests.items()}
    web = next((name for name, manifest in data.items() if manifest.get("type") in SERVING), "")
    if not web:
        raise SlipwayError("There is no copilot/*/manifest.yml of a web service here.", "Run init without --from.")
    spec = ForeignSpec(f"copilot/{web}/manifest.yml")
    _read_web(data[web], spec)
    for name, manifest in data.items():
        kind = str(manifest.get("type", ""))
        if name == web or kind in ("", "Environment"):
            continue
        if kind == "Static Site":
            spec.notes.append(f"{name} was left out: a static site is served by the app, below `staticPaths`")
        elif kind in SERVING:
            spec.notes.append(f"{name} was left out: give it a process with `paths`, and `dockerfile` for its image")
        elif _image(manifest) not in ("", _image(data[web])):
            spec.notes.append(f"{name} was left out: it has an image of its own, so give its process a `dockerfile`")
        else:
            _read_process(name, manifest, spec)
    for folder in (root / "copilot").glob("*/addons"):
        spec.notes.append(f"{folder.relative_to(root)} was left out: name its stores under needs of stacks/app.yaml")
    return spec


def _manifest(path: Path, root: Path) -> dict[str, Any]:
    """Returns a manifest with its keys as written: YAML 1.1 would read `on` as true."""
    data: dict[Any, Any] = read_yaml(path, str(path.relative_to(root)))
    return {"on" if key is True else str(key): value for key, value in data.items()}


def _image(manifest: dict[str, Any]) -> str:
    """Returns the Dockerfile of a manifest; empty for an image that is not built here."""
    build = (manifest.get("image") or {}).get("build")
    dockerfile = build.get("dockerfile", "Dockerfile") if isinstance(build, dict) else build
    return str(PurePosixPath(str(dockerfile))) if dockerfile else ""


def _read_web(manifest: dict[str, Any], spec: ForeignSpec) -> None:
    image = manifest.get("image") or {}
    spec.dockerfile = _image(manifest)
    build = image.get("build")
    context = build.get("context") if isinstance(build, dict) else None
    spec.source = str(PurePosixPath(str(context))) if context else str(PurePosixPath(spec.dockerfile or ".").parent)
    spec.port = int(image["port"]) if str(image.get("port", "")).isdigit() else None
    http = manifest.get("http") if isinstance(manifest.get("http"), dict) else {}
    check = (http or {}).get("healthcheck")
    path = check.get("path") if isinstance(check, dict) else check
    spec.health = str(path or "")
    web = _sizes(manifest)
    served = str((http or {}).get("path", "/"))
    if served not in ("/", ""):
        web["paths"] = [f"/{served.strip('/')}", f"/{served.strip('/')}/*"]
    spec.processes["web"] = web
    _read_variables(manifest, spec)


def _read_process(name: str, manifest: dict[str, Any], spec: ForeignSpec) -> None:
    process = _sizes(manifest)
    if not process.get("command"):
        spec.notes.append(f"{name} was left out: it runs the image's own command, and only web may")
        return
    schedule = str((manifest.get("on") or {}).get("schedule", ""))
    if schedule:
        rate = schedule_of(schedule)
        if not rate:
            spec.notes.append(f"{name} was left out: EventBridge has no equivalent of its schedule {schedule!r}")
            return
        process = {key: value for key, value in process.items() if key not in ("tasks", "maxTasks")} | {
            "schedule": rate
        }
    if manifest.get("type") == "Worker Service":
        spec.needs.add("queue")
        spec.notes.append(f"{name} read COPILOT_QUEUE_URI: name your variable under variables, with queue.url")
    spec.processes[process_name(name, set(spec.processes))] = process
    _read_variables(manifest, spec)


def _sizes(manifest: dict[str, Any]) -> dict[str, Any]:
    process: dict[str, Any] = {}
    words = [_shell_words(manifest.get(key)) for key in ("entrypoint", "command")]
    if words[0] or words[1]:
        process["command"] = shlex.join([*words[0], *words[1]])
    for key in ("cpu", "memory"):
        if isinstance(manifest.get(key), int):
            process[key] = manifest[key]
    count = manifest.get("count")
    if isinstance(count, dict):
        limits = re.match(r"^(\d+)-(\d+)$", str(count.get("range", "")))
        if limits:
            process |= {"tasks": int(limits[1]), "maxTasks": int(limits[2])}
    elif isinstance(count, int):
        process["tasks"] = count
    return process


def _shell_words(value: Any) -> list[str]:
    return [str(word) for word in value] if isinstance(value, list) else shlex.split(str(value or ""))


def _read_variables(manifest: dict[str, Any], spec: ForeignSpec) -> None:
    for name, value in (manifest.get("variables") or {}).items():
        spec.environment[str(name)] = "" if isinstance(value, dict) else str(value)
    spec.secrets += [str(name) for name in manifest.get("secrets") or {} if str(name) not in spec.secrets]


def schedule_of(text: str) -> str:
    """Converts Copilot's schedule into EventBridge's form; empty if there is no equivalent."""
    if text in PERIODS:
        return PERIODS[text]
    if re.match(r"^(cron|rate)\(.+\)$", text):
        return text
    every = re.match(r"^@every (\d+)(h|m)$", text)
    if every:
        unit = {"h": "hour", "m": "minute"}[every[2]]
        return f"rate({every[1]} {unit}{'' if every[1] == '1' else 's'})"
    fields = text.split()
    if len(fields) != 5:
        return ""
    minute, hour, day, month, weekday = fields
    if day in WHOLE_WEEK and weekday in WHOLE_WEEK:
        day, weekday = "*", "?"
    elif weekday in WHOLE_WEEK:
        weekday = "?"
    elif day in WHOLE_WEEK and weekday.isdigit():
        # Sunday is 0 for cron and 1 for EventBridge.
        day, weekday = "?", str(int(weekday) % 7 + 1)
    else:
        return ""
    return f"cron({minute} {hour} {day} {month} {weekday} *)"
