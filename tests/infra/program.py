"""The whole program, run by the recorder: with the stack files, and with an app of the tests' own."""

from __future__ import annotations

import json
import re
import runpy
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc

from slipway.config.app_spec import loader
from slipway.config.settings import PLACEHOLDER_DOMAIN, Settings
from tests.infra.recorder import Recording, of, record
from tests.paths import FIXTURES, ROOT

APP_FILE = FIXTURES / "stacks" / "app.yaml"
PREVIEWS = "previews' database"
OF_THE_KIT = {
    "database",
    "connect",
    PREVIEWS,
    "prometheus",
    "alertmanager",
    "grafana",
    "exporter-database",
    "exporter-cache",
}
"""Containers that have no code of the app's in them."""
STACKS = ["dev", "staging", "prod"]


@cache
def program(stack: str, file: Path = APP_FILE) -> Recording:
    """The program of a stack file, as the recorder sees it; a production with a name of its own."""
    settings = Settings.from_files(stack)
    given = {"domain": settings.domain.replace(PLACEHOLDER_DOMAIN, "acme.test"), "alarm_email": "ops@acme.test"}
    return programmed(stack, settings.model_copy(update=given), file)


def programmed(
    stack: str,
    settings: Settings,
    file: Path = APP_FILE,
    secrets: str = "{}",
    main: Path = FIXTURES / "infra" / "__main__.py",
) -> Recording:
    """The program as it is with these settings and this app; `main` is what the engine would run."""
    values = settings.model_dump(by_alias=True)

    def build() -> None:
        as_text = {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items() if v is not None}
        as_text["secrets"] = secrets
        pulumi.runtime.set_all_config({f"slipway:{key}": value for key, value in as_text.items()})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loader, "APP_FILE", file)
            patch.chdir(FIXTURES)
            runpy.run_path(str(main))

    return record(build, stack)


@cache
def reference_app_file() -> Path:
    """stacks/app.yaml of this repository, whose app is looked for from the tests' project."""
    text = (ROOT / "stacks" / "app.yaml").read_text()
    file = Path(tempfile.mkdtemp()) / "app.yaml"
    file.write_text(re.sub(r"^(source: )(?=\S)", rf"\1{ROOT}/", text, flags=re.MULTILINE))
    return file


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
