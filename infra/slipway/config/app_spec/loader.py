"""Loads stacks/app.yaml for a stack: reads the file, merges the stack's overrides and checks both together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from slipway.config.app_spec.app import AppSpec
from slipway.config.app_spec.stack_checks import check_app_in_stack
from slipway.config.errors import SlipwayError
from slipway.config.project import project_root
from slipway.config.settings import Settings
from slipway.config.text_files import YamlPath, read_yaml_mapping
from slipway.config.validation_errors import convert_validation_error

APP_FILE = Path("stacks") / "app.yaml"


def load_app(settings: Settings, root: Path | None = None) -> AppSpec:
    """Returns the app of stacks/app.yaml with the stack's overrides.

    Raises `SlipwayError` for a missing file, for a wrong value in it, and for one that does not fit the settings.
    """
    root = root or project_root()
    path = root / APP_FILE
    if not path.exists():
        raise SlipwayError(f"There is no {APP_FILE}.", "Create it: docs/your-app.md has an example.")
    return parse_app(read_yaml_mapping(path, str(APP_FILE), _is_environment_value), settings, root)


def parse_app(document: dict[str, Any], settings: Settings, root: Path | None = None) -> AppSpec:
    """Returns the app that `document`, the parsed file, describes, with the stack's overrides.

    Raises `SlipwayError` as `load_app` does.
    """
    root = root or project_root()
    try:
        app = AppSpec.model_validate(_merge_overrides(document, settings))
    except ValidationError as error:
        raise convert_validation_error(error, str(APP_FILE), AppSpec) from None
    try:
        check_app_in_stack(app, settings, root)
    except ValueError as error:
        raise SlipwayError(
            f"{APP_FILE} does not fit this stack, nothing was changed: {error}",
            f"Correct {APP_FILE} or the stack's file.",
            where=str(APP_FILE),
            why=str(error),
        ) from None
    return app


def _is_environment_value(path: YamlPath) -> bool:
    return len(path) == 2 and path[0] == "environment"


def _merge_overrides(document: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Values of another type than expected stay, for `AppSpec` to refuse.

    Sizes of processes that the app does not have are ignored, so that stack files fit several apps.
    """
    merged = dict(document)
    processes = document.get("processes") or {"web": {}}
    if isinstance(processes, dict):
        merged["processes"] = {name: _override(name, keys, settings) for name, keys in processes.items()}
    environment = document.get("environment") or {}
    if isinstance(environment, dict):
        merged["environment"] = environment | settings.environment
    return merged


def _override(name: str, process: Any, settings: Settings) -> Any:
    overrides = settings.processes.get(name)
    if overrides is None or not isinstance(process, dict | None):
        return process
    return (process or {}) | overrides.model_dump(by_alias=True, exclude_none=True)
