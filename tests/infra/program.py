"""The whole program, run by the recorder: with the stack files, and with an app of the tests' own."""

from __future__ import annotations

import json
import runpy
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc

from infra import app_file, exporters, ground, monitoring, processes, template
from infra import environment as environments
from infra import preview as previews
from infra.release import gate
from infra.settings import PLACEHOLDER, ROOT, Settings
from tests.infra.recorder import Registered, of, record

APP_FILE = Path("tests") / "infra" / "app.yaml"
PREVIEWS = "previews' database"
OF_THE_KIT = {"database", PREVIEWS, "prometheus", "alertmanager", "grafana", "exporter-database", "exporter-cache"}
"""Containers that have no code of the app's in them."""
STACKS = ["dev", "staging", "prod"]


@cache
def program(stack: str, file: Path = APP_FILE) -> list[Registered]:
    """The program of a stack file, as the recorder sees it; a production with a name of its own."""
    settings = Settings.from_files(stack)
    given = {"domain": settings.domain.replace(PLACEHOLDER, "acme.test"), "alarm_email": "ops@acme.test"}
    return programmed(stack, settings.model_copy(update=given), file)


def programmed(stack: str, settings: Settings, file: Path = APP_FILE, secrets: str = "{}") -> list[Registered]:
    """The program as it is with these settings and this app."""
    values = settings.model_dump(by_alias=True)

    def build() -> None:
        as_text = {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items() if v is not None}
        as_text["secrets"] = secrets
        pulumi.runtime.set_all_config({f"slipway:{key}": value for key, value in as_text.items()})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(app_file, "APP_FILE", file)
            # Hooks call back into a program that an engine runs; tests/local has the real ones.
            patch.setattr(gate, "_before_changes", lambda *_, **__: None)
            for module in (processes, template):
                patch.setattr(module, "oldest_revisions_go", lambda *_, **__: None)
            for module in (previews, monitoring):
                patch.setattr(module, "verified_on_every_up", lambda *_, **__: None)
            for module in (processes, environments, ground, previews, monitoring, exporters):
                patch.setattr(module, "before_the_image_is_pushed", lambda *_: None)
            runpy.run_path(str(ROOT / "infra" / "__main__.py"))

    return record(build, stack)


def containers(stack: str, file: Path = APP_FILE) -> dict[str, dict[str, Any]]:
    """Every container of the stack's task definitions, by its name, what makes previews' databases by PREVIEWS."""
    found: dict[str, dict[str, Any]] = {}
    for definition in of(program(stack, file), "aws:ecs/taskDefinition:TaskDefinition"):
        for container in json.loads(plain(definition.inputs["containerDefinitions"])):
            name = PREVIEWS if definition.inputs["family"].endswith("-previews-db") else container["name"]
            assert name not in found, f"two containers are called {name}: one would be looked at, by chance"
            found[name] = container
    return found


def plain(value: Any) -> Any:
    """What a secret wraps."""
    return rpc.unwrap_rpc_secret(value)
