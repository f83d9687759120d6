"""`slipway secrets STACK list|set|unset|import`: the app's secret values, which no terminal ever shows."""

from __future__ import annotations

import getpass
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slipway.cli.completion import complete_stacks
from slipway.cli.console import stderr_console, stdout_console
from slipway.cli.exit_codes import ExitCode
from slipway.cli.prompts import JsonOption, YesOption, confirm
from slipway.config.errors import SlipwayError
from slipway.pipeline.stack_access import export_local_environment

if TYPE_CHECKING:  # the command line starts faster without it
    from slipway.config.app_spec.app import AppSpec


class SecretAction(StrEnum):
    """What `slipway secrets` does."""

    LIST = "list"
    SET = "set"
    UNSET = "unset"
    IMPORT = "import"


def secrets(
    stack: Annotated[
        str, typer.Argument(help="A stack with a file: local, dev, staging, prod.", autocompletion=complete_stacks)
    ],
    action: Annotated[SecretAction, typer.Argument(help="list, set NAME, unset NAME, import FILE.")],
    target: Annotated[str, typer.Argument(help="Of set and unset: the variable. Of import: a .env file.")] = "",
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """List or change the app's secret values in a stack's configuration. A value is asked for, or read from a pipe."""
    from slipway.config.app_spec.loader import load_app
    from slipway.config.settings import Settings

    if (action is SecretAction.LIST) == bool(target):
        needed = {"set": "NAME", "unset": "NAME", "import": ".env", "list": ""}[action]
        raise SlipwayError(
            f"`slipway secrets {stack} {action}` takes {f'one more word: {needed}' if needed else 'no name'}.",
            f"slipway secrets {stack} {action} {needed}".rstrip(),
        )
    app = load_app(Settings.from_files(stack))
    export_local_environment(stack)
    if action is SecretAction.LIST:
        _list(stack, app, as_json)
        return
    actions = {SecretAction.SET: _set, SecretAction.UNSET: _unset, SecretAction.IMPORT: _import}
    changed = actions[action](stack, target, app, yes or as_json)
    if as_json:
        sys.stdout.write(json.dumps({"stack": stack, "action": action.value, "names": changed}) + "\n")
    else:
        stdout_console.print(f"{stack}: {action} {', '.join(changed)}. Tasks get it by: pulumi up --stack {stack}")


def _list(stack: str, app: AppSpec, as_json: bool) -> None:
    """Exits 1 where `up` would refuse the stack."""
    from slipway.release.configured_secret_values import list_secrets

    states = list_secrets(stack, app)
    if as_json:
        rows = [{"name": each.name, "state": each.state} for each in states]
        sys.stdout.write(json.dumps({"stack": stack, "secrets": rows}) + "\n")
    else:
        for each in states:
            stdout_console.print(f"{each.state:9} {each.name}", markup=False)
        if not states:
            stdout_console.print("stacks/app.yaml names no secrets.")
    for each in states:
        if each.state == "missing":
            stderr_console.print(f"`up` asks for {each.name}: slipway secrets {stack} set {each.name}", markup=False)
        elif each.state == "unknown":
            stderr_console.print(
                f"`up` refuses {each.name}, which app.yaml does not name: slipway secrets {stack} unset {each.name}",
                markup=False,
            )
    if any(each.state in ("missing", "unknown") for each in states):
        raise typer.Exit(ExitCode.ERROR)


def _set(stack: str, name: str, app: AppSpec, yes: bool) -> list[str]:
    from slipway.release.configured_secret_values import check_name, set_secret

    check_name(name, app, stack)
    stderr_console.print(f"Setting {name} in stacks/Pulumi.{stack}.yaml, encrypted.", markup=False)
    set_secret(stack, name, _read_value(name))
    return [name]


def _unset(stack: str, name: str, app: AppSpec, yes: bool) -> list[str]:
    from slipway.release.configured_secret_values import unset_secret

    confirm(f"Remove the value of {name} from stacks/Pulumi.{stack}.yaml?", yes)
    unset_secret(stack, name)
    return [name]


def _import(stack: str, file: str, app: AppSpec, yes: bool) -> list[str]:
    from slipway.release.configured_secret_values import parse_env_file, set_secret, split_import

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SlipwayError(f"{file} cannot be read as text.", "Name a .env file, or - for standard input.") from None
    wanted, ignored, empty = split_import(parse_env_file(text, file), app)
    if ignored:
        stderr_console.print(f"Left out, for app.yaml does not name them: {', '.join(ignored)}", markup=False)
    if empty:
        stderr_console.print(f"Left out, for they are empty: {', '.join(empty)}", markup=False)
    if not wanted:
        raise SlipwayError(
            f"{file} has no secret that stacks/app.yaml names ({', '.join(app.secrets) or 'none'}).",
            "Add its names there under secrets; nothing was changed.",
        )
    stderr_console.print(f"Setting {', '.join(wanted)} in stacks/Pulumi.{stack}.yaml, encrypted.", markup=False)
    confirm(f"Set {len(wanted)} values?", yes)
    for name, value in wanted.items():
        set_secret(stack, name, value)
    return list(wanted)


def _read_value(name: str) -> str:
    """From a terminal without showing it, or from a pipe, whose last line end is not a part of it."""
    return getpass.getpass(f"Value of {name}: ") if sys.stdin.isatty() else sys.stdin.read().removesuffix("\n")
