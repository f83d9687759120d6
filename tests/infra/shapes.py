"""The program with an app.yaml of a test's own."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import yaml

from slipway.config.settings import Settings
from tests.infra.program import plain, programmed
from tests.infra.recorder import Recording, of

MODULE = {"source": "../apps/bare", "module": "service.api:application"}


def run_app(given: dict[str, Any], stack: str = "dev", **settings: Any) -> Recording:
    """The program of a stack file with the app `given`, and settings in place of the file's."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "app.yaml"
        file.write_text(yaml.safe_dump(MODULE | given))
        return programmed(stack, Settings.from_files(stack).model_copy(update=settings), file)


def containers_of(recording: Recording) -> dict[str, dict[str, Any]]:
    """Every container of the task definitions, by its name."""
    definitions = of(recording, "aws:ecs/taskDefinition:TaskDefinition")
    found = [each for made in definitions for each in json.loads(plain(made.inputs["containerDefinitions"]))]
    return {container["name"]: container for container in found}
