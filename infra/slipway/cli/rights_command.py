"""`slipway rights`: lists the permissions of an IAM role of a deployed stack."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from slipway.cli.completion import complete_stacks
from slipway.cli.console import stdout_console
from slipway.cli.prompts import JsonOption
from slipway.config.errors import SlipwayError


def rights(
    stack: Annotated[
        str, typer.Argument(help="A deployed stack: local, dev, staging, prod.", autocompletion=complete_stacks)
    ],
    role: Annotated[str, typer.Argument(help="web-task, web-execution, pipeline, drift ...; a role's name or ARN.")],
    used: Annotated[
        bool, typer.Option("--used", help="Mark permissions that were used since `make up`. Stack `local` only.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the permissions of a stack's role: a row for each action on each resource."""
    from slipway.config.local_aws import require_local_aws
    from slipway.config.names import stack_name
    from slipway.config.project import project_name
    from slipway.pipeline import role_rights
    from slipway.pipeline.stack_access import open_local_or_aws_stack
    from slipway.release.aws_errors import aws_errors_as_slipway_errors

    local_aws = require_local_aws("`--used`") if used else None
    if local_aws and stack != local_aws.stack:
        raise SlipwayError(
            f"--used works for the local stack only, and {stack} is on AWS.",
            f"slipway rights {stack} {role}; for usage see the role's last accessed information on AWS.",
        )
    iam = open_local_or_aws_stack(stack).aws.client("iam")
    with aws_errors_as_slipway_errors():
        name = role_rights.find_role(iam, stack_name(project_name(), stack), role)
        arn = str(iam.get_role(RoleName=name)["Role"]["Arn"])
        policies = role_rights.read_policies(iam, name)
    rows = role_rights.list_rights(policies, local_aws.read_used_actions(arn) if local_aws else ())
    if as_json:
        sys.stdout.write(json.dumps(_as_json(arn, rows, used), indent=2) + "\n")
        return
    _print_rows(rows, used)
    unused = role_rights.list_unused(rows)
    stdout_console.print(f"{arn}: {len(rows)} rows" + (f", {len(unused)} never used." if used else "."))


def _as_json(arn: str, rows: list[Any], used: bool) -> dict[str, Any]:
    """Returns the rows as JSON; with `uses` only under --used."""
    entries = [asdict(row) for row in rows]
    return {"role": arn, "rights": entries if used else [{k: v for k, v in e.items() if k != "uses"} for e in entries]}


def _print_rows(rows: list[Any], used: bool) -> None:
    table = Table("effect", "action", "resource", "condition", *(["used"] if used else []), box=None)
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        cells = [row.effect, row.action, row.resource, row.condition]
        table.add_row(*cells, *(["yes" if row.uses else "never"] if used else []))
    stdout_console.print(table)
