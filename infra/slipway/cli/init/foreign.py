"""Merges another tool's description of the app into the one from its sources."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from slipway.cli.init.variable_rules import GIVEN, WITH_PASSWORD, looks_secret, value_for
from slipway.config.errors import SlipwayError

LONGEST_PROCESS = 12
STORES = ("database", "cache", "queue", "bucket")


@dataclass
class ForeignSpec:
    """An app as docker-compose or Copilot describe it; an empty field is undefined there."""

    file: str
    source: str = ""
    dockerfile: str = ""
    port: int | None = None
    health: str = ""
    release: str = ""
    processes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name -> keys of stacks/app.yaml."""
    environment: dict[str, str] = field(default_factory=dict)
    """Name -> value; empty if the file has none."""
    secrets: list[str] = field(default_factory=list)
    needs: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    """What was left out, and why."""


def merged(data: dict[str, Any], foreign: ForeignSpec) -> dict[str, Any]:
    """Returns stacks/app.yaml with the other tool's values, which take precedence over detected ones."""
    result = dict(data)
    if foreign.dockerfile:
        result.pop("module", None)
        result = {"source": foreign.source, "dockerfile": foreign.dockerfile} | result
        result["source"] = foreign.source
        result.get("environment", {}).pop("PYTHONPATH", None)
    if foreign.port:
        result["port"] = foreign.port
    if foreign.health:
        result["health"] = {"live": foreign.health, "ready": foreign.health}
    processes = {name: dict(process) for name, process in result.get("processes", {"web": {}}).items()}
    for name, process in foreign.processes.items():
        processes[name] = processes.get(name, {}) | process
    if processes != {"web": {}}:
        result["processes"] = processes
    if foreign.release and "release" not in result:
        result["release"] = foreign.release
    _add_variables(result, foreign)
    stores = {need.partition(".")[0] for need in result.get("needs", [])}
    missing = [store for store in STORES if store in foreign.needs and store not in stores]
    result["needs"] = [*result.get("needs", []), *missing]
    return {key: value for key, value in result.items() if value not in ({}, [])}


def _add_variables(result: dict[str, Any], foreign: ForeignSpec) -> None:
    """Adds the variables that no source reads, by the same rules as the others."""
    variables, environment = dict(result.get("variables", {})), dict(result.get("environment", {}))
    secrets = result.get("secrets", {})
    secrets = dict(secrets) if isinstance(secrets, dict) else dict.fromkeys(secrets, "required")
    for name, text in foreign.environment.items():
        if name in variables or name in secrets or name in environment or name in GIVEN:
            continue
        value = value_for(name)
        store = value.partition(".")[0]
        if value and (store not in STORES or store in foreign.needs):
            variables[name] = value
        elif looks_secret(name, "", text) or WITH_PASSWORD.search(text):
            secrets[name] = "required"
        elif text and "${" not in text:
            environment[name] = text
        else:
            foreign.notes.append(f"{name} has no value in {foreign.file}: give it one under environment")
    for name in foreign.secrets:
        if name not in variables and name not in environment:
            secrets.setdefault(name, "required")
    result |= {"environment": environment, "variables": variables, "secrets": secrets}
    required = list(secrets.values()).count("required") == len(secrets)
    result["secrets"] = list(secrets) if required else secrets


def read_yaml(path: Path, shown: str) -> dict[str, Any]:
    """A YAML file that is a mapping.

    Raises:
        SlipwayError: it is not, or it cannot be read.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise SlipwayError(f"{shown} cannot be read: {reason}", "Correct it, or run init without --from.") from None
    if not isinstance(data, dict):
        raise SlipwayError(f"{shown} is not a mapping of keys to values.", "Correct it, or run init without --from.")
    return data


def process_name(text: str, taken: set[str]) -> str:
    """Converts a service's name into a valid process name."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-0123456789")[:LONGEST_PROCESS].rstrip("-") or "process"
    number = 2
    unique = name
    while unique in taken:
        unique = f"{name[: LONGEST_PROCESS - 2]}-{number}"
        number += 1
    return unique
