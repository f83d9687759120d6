"""The `slipway` command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from infra.asking import Json, Yes
from infra.consoles import out, steps
from infra.errors import SlipwayError
from infra.local import commands as local
from infra.pipeline import commands as pipeline
from infra.pipeline.dashboards import dashboards
from infra.pipeline.opened import opened
from infra.previews import commands as previews

app = typer.Typer(
    help="Deploy a FastAPI service to AWS, or to an AWS on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


app.command()(local.up)


@app.command()
def down() -> None:
    """Destroy the stack `local` and stop everything that ran for it."""
    from infra.local import environment
    from infra.local.session import STACK
    from infra.previews.bearing import refuse_while_it_bears_previews

    refuse_while_it_bears_previews(STACK)
    environment.down()


app.command()(local.status)


@app.command()
def plan(
    stack: Annotated[str, typer.Argument(help="A stack file's name: dev, staging, prod, local.")],
    offline: Annotated[bool, typer.Option("--offline", help="With the local provider: no account is needed.")] = False,
    as_json: Json = False,
) -> None:
    """Show what a stack file would create, as a tree. For a real account use `pulumi preview`."""
    from infra.graph import plan as planner

    if not offline:
        raise SlipwayError(
            "Without --offline a plan would need an AWS account.",
            f"slipway plan {stack} --offline, or with credentials: pulumi preview -s {stack}",
        )
    found = planner.plan(stack)
    if as_json:
        sys.stdout.write(json.dumps(planner.as_json(stack, found), indent=2) + "\n")
    else:
        sys.stdout.write(planner.summary(found))
        out.print(f"{len(found)} resources would be created.")


@app.command()
def diagram(
    stack: Annotated[str, typer.Argument(help="A stack file's name: dev, staging, prod, local.")],
    file: Annotated[Path | None, typer.Option("--out", help="The SVG file; else docs/graphs/STACK.svg.")] = None,
) -> None:
    """Draw a stack file's architecture, from the graph that `plan --offline` lists: no account is needed."""
    from infra.graph.diagram import picture
    from infra.graph.drawing import draw
    from infra.graph.plan import states
    from infra.local.paths import ROOT

    target = file or ROOT / "docs" / "graphs" / f"{stack}.svg"
    drawn = draw(picture(states(stack)))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(drawn, encoding="utf-8")
    out.print(f"Written to {target}", markup=False)


@app.command()
def cost(
    stack: Annotated[str, typer.Argument(help="A stack file's name: dev, staging, prod.")], as_json: Json = False
) -> None:
    """Show what a stack costs a month while nobody uses it, line by line, in USD, and what use adds."""
    from infra.graph import cost as bill
    from infra.graph.plan import graph

    told = bill.as_json(stack, graph(stack), bill.region_of(stack))
    if as_json:
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
        return
    table = Table("what", "how many", "each", "USD a month", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for line in told["lines"]:
        table.add_row(line["what"], f"{line['how_many']:g}", f"{line['each']:.3f}", f"{line['total']:.2f}")
    table.add_row("[bold]total[/bold]", "", "", f"[bold]{told['total']:.2f}[/bold]")
    out.print(table)
    out.print("On top with use:")
    for price in told["with_use"]:
        out.print(f"  {price['what']}: {price['price']:g} USD a {price['unit']}")
    for note in bill.notes(told):
        out.print(note)
    out.print(f"On-demand prices of {told['region']}, {told['prices_of']}.")


@app.command()
def logs(
    stack: Annotated[
        str, typer.Argument(help="A deployed stack or preview; or `emulator`, `docker`: the local AWS's own logs.")
    ] = "local",
    process: Annotated[
        list[str] | None,
        typer.Option("--process", "-p", help="web, worker, release, prometheus ...; several times for several."),
    ] = None,
    since: Annotated[str, typer.Option(help="All lines of the last 15m, 2h, 3d; else the last --lines.")] = "",
    grep: Annotated[str, typer.Option(help="Only lines that this regular expression is found in.")] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last lines.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    base: Annotated[str, typer.Option(help="The environment, for a preview by its branch's name or on `local`.")] = "",
) -> None:
    """Show what all processes of a stack write, the newest last; one JSON object a line when piped."""
    from infra.pipeline import logs as reader

    if base:
        from infra.local.paths import project
        from infra.previews.names import stack_of

        stack = stack_of(stack, project())
    wanted = reader.Wanted(tuple(process or ()), since, grep, lines, follow)
    reader.show(stack, wanted, base=base)


StackName = Annotated[str, typer.Argument(help="A deployed stack: local, dev, staging, prod.")]


@app.command()
def migrate(
    stack: StackName,
    plan: Annotated[bool, typer.Option("--plan", help="Show the SQL that it would run, and change nothing.")] = False,
) -> None:
    """Run a stack's release step alone: migrations, of the image that was deployed last."""
    from infra.release import commands

    commands.migrate(opened(stack), lambda line: out.print(line, markup=False), plan=plan)
    if not plan:
        out.print("The release step is done.")


@app.command()
def deployments(
    stack: StackName,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="How many of each process.")] = 10,
    as_json: Json = False,
) -> None:
    """List a stack's last deployments, from ECS itself: when, what, how it ended and in how many seconds."""
    from infra.release import commands

    rows = commands.history(opened(stack), limit)
    if as_json:
        sys.stdout.write(json.dumps([row.json() for row in rows], indent=2) + "\n")
        return
    table = Table("when", "process", "result", "seconds", "git", "digest", box=None)
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        past = row.past
        seconds = "" if past.seconds is None else f"{past.seconds:.0f}"
        table.add_row(past.when, row.process, past.result, seconds, past.git or "-", past.digest[:19] or "-")
    out.print(table)


@app.command()
def rollback(
    stack: StackName,
    to: Annotated[str, typer.Option("--to", help="The digest, sha256:...; else the success before.")] = "",
) -> None:
    """Deploy a former image again, with everything that an `up` looks at. The database stays as it is."""
    from infra.release import commands

    found = opened(stack)
    past = commands.target(found, to or None)
    out.print(f"Going back to {past.digest}, deployed {past.when}{f' of {past.git}' if past.git else ''}.")
    code = commands.pin(found, past)
    if code:
        raise typer.Exit(code)
    out.print(f"Every `up` deploys it from now on, until: pulumi config rm {commands.BACK} --stack {stack}")


@app.command()
def destroy(stack: StackName, yes: Yes = False) -> None:
    """Run `pulumi destroy` on an environment, but not while previews stand on it."""
    from infra.previews.bearing import destroy_environment

    destroy_environment(stack, yes)


app.command()(dashboards)
app.command()(pipeline.promote)
app.command()(pipeline.drift)
app.command()(pipeline.bootstrap)
app.add_typer(previews.app, name="preview")
app.command()(pipeline.comment)
app.add_typer(pipeline.image, name="image")


app.command()(local.doctor)
app.command()(local.clean)
app.command()(local.env)


def main() -> None:
    """Run the command; what a user can mend is told without a stack trace."""
    # The official engine starts the program by uv: the one beside this command, where there is no other.
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    try:
        app(standalone_mode=True)
    except SlipwayError as error:
        steps.print(f"[red]error:[/red] {escape(error.message)}")
        if error.fix:
            steps.print(f"[bold]what to do:[/bold] {escape(error.fix)}")
        sys.exit(1)
    except KeyboardInterrupt:
        steps.print("Interrupted. Nothing is lost: the same command goes on from here.")
        sys.exit(130)
    except subprocess.CalledProcessError as error:
        steps.print(f"[red]error:[/red] {escape(str(error))}")
        sys.exit(1)


if __name__ == "__main__":
    main()
