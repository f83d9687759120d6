"""The app's secret values in a stack's configuration: which there are, which app.yaml asks for, and their changes.

Values go to the engine by its standard input, encrypted with the stack's own key: they are in no argument, so in no
shell history and no list of processes.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.config.app_spec.app import AppSpec
from slipway.config.errors import SlipwayError
from slipway.config.project import project_name
from slipway.config.setting_sections import SECRETS_KEY
from slipway.config.stack_config import CONFIG_KEY, stack_file_path
from slipway.config.stack_file import remove_entry, set_encrypted_value
from slipway.config.text_files import read_yaml_mapping
from slipway.release.deployed_stack import run_pulumi_in_project
from slipway.release.pulumi_cli import run_pulumi

VARIABLE_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ENCRYPTION_KEYS = ("encryptionsalt", "encryptedkey", "secretsprovider")
"""Top-level keys of a stack file, by which the engine finds the key of its secrets."""
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<text>.*)(?P=quote)\s*(#.*)?""")
_COMMENT = re.compile(r"\s+#.*")


@dataclass(frozen=True)
class SecretState:
    """One secret variable of a stack."""

    name: str
    state: str
    """`set`, `missing` (app.yaml requires it), `optional` (not set) or `unknown` (app.yaml does not name it)."""


def list_secrets(stack: str, app: AppSpec) -> list[SecretState]:
    """The secrets that app.yaml names, and those that the stack has in addition. Raises `SlipwayError`."""
    configured = configured_names(stack)
    states = [
        SecretState(name, "set" if name in configured else "missing" if kind == "required" else "optional")
        for name, kind in app.secrets.items()
    ]
    return states + [SecretState(name, "unknown") for name in sorted(configured - set(app.secrets))]


def configured_names(stack: str) -> set[str]:
    """Names of the secrets that a stack has a value for; no value leaves the engine's process by this call."""
    config = json.loads(run_pulumi_in_project("config", "--json", "--stack", stack) or "{}")
    entry = config.get(f"{project_name()}:{SECRETS_KEY}", {})
    if "objectValue" in entry:
        return set(entry["objectValue"])
    if not entry:
        return set()
    # Where a value is encrypted the engine hides the names as well, unless it is asked for all: the values are dropped.
    shown = run_pulumi_in_project("config", "get", SECRETS_KEY, "--json", "--stack", stack)
    return set(json.loads(json.loads(shown)["value"] or "{}"))


def set_secret(stack: str, name: str, value: str) -> None:
    """Set a value, encrypted. Raises `SlipwayError` for an empty one, whose text never has the value."""
    if not value:
        raise SlipwayError(f"The value of {name} is empty.", f"To remove it: slipway secrets {stack} unset {name}")
    with tempfile.TemporaryDirectory(prefix="slipway-secrets-") as scratch:
        # The engine would drop comments from the stack's own file.
        copy = Path(scratch) / f"Pulumi.{stack}.yaml"
        shutil.copy(stack_file_path(stack), copy)
        options = ("--stack", stack, "--config-file", str(copy))
        try:
            run_pulumi(("config", "set", "--secret", "--path", f"{SECRETS_KEY}.{name}", *options), typed=value)
        except SlipwayError as error:
            raise SlipwayError(error.message.replace(value, "***"), error.fix) from None
        document = read_yaml_mapping(copy, copy.name)
    encrypted = document[CONFIG_KEY][f"{project_name()}:{SECRETS_KEY}"][name]["secure"]
    encryption = {key: str(document[key]) for key in ENCRYPTION_KEYS if key in document}
    set_encrypted_value(stack, SECRETS_KEY, name, encrypted, encryption)


def unset_secret(stack: str, name: str) -> None:
    """Remove a value. Raises `SlipwayError` where there is none."""
    if name not in configured_names(stack):
        raise SlipwayError(f"The stack {stack} has no secret {name}.", f"slipway secrets {stack} list")
    remove_entry(stack, SECRETS_KEY, name)


def check_name(name: str, app: AppSpec, stack: str) -> None:
    """Raises `SlipwayError` for what is no secret variable of app.yaml: `up` would refuse it."""
    if name in app.secrets:
        return
    if not VARIABLE_PATTERN.fullmatch(name):
        raise SlipwayError(
            f"{name!r} is no name of a variable.", "Letters, digits and _; the value is asked for, never an argument."
        )
    named = ", ".join(app.secrets) or "none"
    raise SlipwayError(
        f"stacks/app.yaml does not name {name} under secrets (it names: {named}); nothing was changed.",
        f"Add it there: secrets: [{name}]. What the stack {stack} has: slipway secrets {stack} list",
    )


def parse_env_file(text: str, source: str) -> dict[str, str]:
    """Variables of a `.env` file: `NAME=value` lines, `export`, comments, quotes. Raises `SlipwayError`.

    The text of an error has a line's number and never the line.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, equals, value = stripped.removeprefix("export ").partition("=")
        name = name.strip()
        if not equals or not VARIABLE_PATTERN.fullmatch(name):
            raise SlipwayError(f"{source}, line {number}: no NAME=value.", "Correct the line; nothing was changed.")
        values[name] = _unquote(value.strip())
    return values


def _unquote(value: str) -> str:
    quoted = _QUOTED.fullmatch(value)
    if not quoted:
        return _COMMENT.split(value)[0] if not value.startswith("#") else ""
    if quoted["quote"] == "'":
        return quoted["text"]
    return re.sub(r'\\([\\"n])', lambda match: {"n": "\n"}.get(match[1], match[1]), quoted["text"])


def split_import(values: Mapping[str, str], app: AppSpec) -> tuple[dict[str, str], list[str], list[str]]:
    """What an import sets; names that app.yaml does not ask for; names that it asks for and whose value is empty."""
    wanted = {name: value for name, value in values.items() if name in app.secrets}
    ignored = [name for name in values if name not in app.secrets]
    empty = [name for name, value in wanted.items() if not value]
    return {name: value for name, value in wanted.items() if value}, ignored, empty
