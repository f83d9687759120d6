"""`slipway migrate`, `deployments`, `rollback` and `destroy` of a deployed environment."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.table import Table

from slipway.cli.completion import complete_stacks
from slipway.cli.console import stdout_console, table_console
from slipway.cli.prompts import JsonOption, YesOption
from slipway.config.errors import SlipwayError
from slipway.pipeline.stack_access import export_local_environment, open_local_or_aws_stack

StackArgument = Annotated[
    str, typer.Argument(help="A deployed stack: local, dev, staging, prod.", autocompletion=complete_stacks)
]


def migrate(
    stack: StackArgument,
    plan: Annotated[bool, typer.Option("--plan", help="Show the SQL, and change nothing.")] = False,
) -> None:
    """Run a stack's release task only: the migrations of the last deployed image."""
    from slipway.release import operations

    operations.run_release_task(
        open_local_or_aws_stack(stack), lambda line: stdout_console.print(line, markup=False), plan=plan
    )
    if not plan:
        stdout_console.print("The release task succeeded.")


def deployments(
    stack: StackArgument,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="Number for each process.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """List a stack's last ECS deployments: time, image, result and duration in seconds."""
    from slipway.release import operations

    rows = operations.list_deployments(open_local_or_aws_stack(stack), limit)
    if as_json:
        sys.stdout.write(json.dumps([row.json() for row in rows], indent=2) + "\n")
        return
    table = Table("when (UTC)", "process", "result", "seconds", "git", "digest", box=None)
    for row in rows:
        past = row.past
        seconds = "" if past.seconds is None else f"{past.seconds:.0f}"
        when = past.when[:19].replace("T", " ")
        table.add_row(when, row.process, past.result, seconds, past.git or "-", past.digest[:19] or "-")
    table_console.print(table)


def rollback(
    stack: StackArgument,
    to: Annotated[
        str, typer.Option("--to", help="The digest, sha256:... Default: the last successful release before this one.")
    ] = "",
    end: Annotated[
        bool, typer.Option("--end", help="Unpin the image: the next `up` deploys the sources again.")
    ] = False,
) -> None:
    """Deploy an earlier image with all checks of `up`, and pin it. Does not change the database."""
    from slipway.release import rollback as rollbacks

    if end:
        if to:
            raise SlipwayError("--to and --end contradict each other.", f"slipway rollback {stack} --end")
        export_local_environment(stack)
        digest = rollbacks.end_rollback(stack)
        stdout_console.print(
            f"{stack} is no longer pinned to {digest}." if digest else f"{stack} was not pinned by a rollback."
        )
        stdout_console.print(f"Next: pulumi up --stack {stack}")
        return
    deployed = open_local_or_aws_stack(stack)
    plan = rollbacks.plan_rollback(deployed, to or None)
    revision = f" of {plan.target.git}" if plan.target.git else ""
    verb = "Resuming the rollback to" if plan.is_resumed else "Rolling back to"
    stdout_console.print(f"{verb} {plan.target.digest}, deployed {plan.target.when}{revision}.")
    if plan.is_resumed:
        stdout_console.print(f"For another image: slipway rollback {stack} --to sha256:...")
    code = rollbacks.roll_back(deployed, plan)
    if code:
        raise SlipwayError(
            f"The rollback failed. The configuration of {stack} is unchanged.",
            "Fix what is listed above, and run the same command again.",
            where=f"pulumi up --stack {stack}",
        )
    stdout_console.print(f"From now on every `up` deploys it, until: slipway rollback {stack} --end")


def destroy(stack: StackArgument, yes: YesOption = False) -> None:
    """Run `pulumi destroy` on an environment. Refuses while it has previews."""
    from slipway.previews.destroy_guard import destroy_environment

    destroy_environment(stack, yes)
