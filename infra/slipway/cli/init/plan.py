"""Plans init in a folder: the app, the files, and the advice."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from slipway.cli.init import reference
from slipway.cli.init.advice import Advice, advise, workspace_advice
from slipway.cli.init.app_file import DEFAULT_HEALTH, app_file, render_app_file
from slipway.cli.init.apps import AppCandidate
from slipway.cli.init.compose import read_compose
from slipway.cli.init.copilot import read_copilot
from slipway.cli.init.detect import DetectedApp, detect, place_of_module, survey
from slipway.cli.init.files import PlannedFile, fixed_files, missing_lines, planned_text, workflow_files
from slipway.cli.init.foreign import ForeignSpec, merged
from slipway.cli.init.kit import Kit, render_pyproject
from slipway.cli.init.packages import KIT_PYTHON
from slipway.cli.init.project_name import name_problem, project_name
from slipway.cli.init.questions import Questions
from slipway.cli.init.routes import HealthPaths
from slipway.cli.init.sources import SourceTree
from slipway.cli.init.stack_files import StackFacts, render_stack_files
from slipway.cli.init.variables import MappedVariables, map_variables
from slipway.config.errors import SlipwayError

APP_FILE = PurePosixPath("stacks/app.yaml")
KIT_FOLDERS = ("infra", "stacks", ".github")
KIT_NAMES = ("Pulumi.yaml", ".gitignore", ".dockerignore")


def is_kept_by_kit(path: PurePosixPath) -> bool:
    """Whether upgrades update a file that init wrote: deployment files, not those of the reference app."""
    return path.parts[0] in KIT_FOLDERS or path.name in KIT_NAMES


@dataclass(frozen=True)
class InitOptions:
    """The options of the command line."""

    app: str = ""
    name: str = ""
    workflows: bool | None = None
    """None: ask."""
    kit: Kit = field(default_factory=Kit)
    foreign: str = ""
    """Another tool whose files init reads too: compose or copilot."""


@dataclass(frozen=True, eq=False)
class InitPlan:
    """The files of a deployment, and the detected facts behind them."""

    root: Path
    name: str
    app: DetectedApp
    mapped: MappedVariables
    health: HealthPaths
    files: list[PlannedFile]
    source_files: list[PlannedFile]
    """The files as the sources alone describe them. Upgrades merge from these, so that a person's answers and another
    tool's files count as the team's changes."""
    advice: list[Advice]
    unread: list[str]
    """Files that could not be read, and why."""
    is_second_run: bool
    """Whether a deployment exists: nothing is changed then."""
    from_reference: bool = False

    @property
    def has_workflows(self) -> bool:
        """Whether the GitHub Actions workflows are among the files."""
        return any(file.path.parts[0] == ".github" for file in self.files)


def make_plan(root: Path, options: InitOptions, questions: Questions) -> InitPlan:
    """Reads the sources, asks for what they do not show, and returns the planned files. Changes nothing.

    Raises:
        SlipwayError: there is no app, or there are several and none was chosen.
    """
    if options.name and name_problem(options.name):
        raise SlipwayError(name_problem(options.name), "slipway init --name shop")
    tree, candidates = survey(root)
    present = _present(root)
    from_reference = not candidates and not options.app and reference.is_empty(tree)
    if from_reference:
        if not questions.take_reference_app():
            raise SlipwayError("There is no FastAPI app here.", "Run init in your app's repository.")
        source_folder = reference.reference_app_folder()
        tree, candidates = survey(source_folder)
    if present and not options.app:
        candidates = _deployed(candidates, present) or candidates
    candidate = _choose(tree, candidates, options.app, questions)
    app = detect(tree, candidate)
    mapped = map_variables(app)
    health = app.health
    if not health:
        path = present["health"] if present else questions.health_path(DEFAULT_HEALTH)
        health = HealthPaths(path, path)
    name = options.name or present.get("name", "") or project_name(SourceTree(root), candidate.folder)
    workflows = options.workflows
    if workflows is None:
        workflows = (root / ".github/workflows/deploy.yml").exists() if present else questions.with_workflows()
    foreign = _foreign(root, tree, candidate, options.foreign)

    def planned(health: HealthPaths, foreign: ForeignSpec | None) -> list[PlannedFile]:
        data = app_file(app, mapped, health)
        data = merged(data, foreign) if foreign else data
        files = _files(root, tree, app, data, mapped, name, workflows, options.kit)
        return _with_reference(files, tree.root) if from_reference else files

    return InitPlan(
        root=root,
        name=name,
        app=app,
        mapped=mapped,
        health=health,
        files=planned(health, foreign),
        source_files=planned(app.health, None),
        advice=[
            *advise(tree, app, mapped),
            *_ignored_advice(root, app),
            *workspace_advice(tree),
            *([Advice(note, foreign.file) for note in foreign.notes] if foreign else []),
        ],
        unread=list(tree.problems),
        is_second_run=bool(present),
        from_reference=from_reference,
    )


def _present(root: Path) -> dict[str, str]:
    """Returns name, app module, folder and health path of an existing deployment; empty if there is none."""
    pulumi, app = _yaml(root / "Pulumi.yaml"), _yaml(root / APP_FILE)
    is_there = bool(pulumi or app) or (root / "infra" / "__main__.py").exists()
    if not is_there:
        return {}
    health = app.get("health")
    return {
        "name": str(pulumi.get("name") or ""),
        "module": str(app.get("module") or ""),
        "source": str(app.get("source") or ""),
        "health": str(health.get("live") or "") if isinstance(health, dict) else "",
    }


def _deployed(candidates: list[AppCandidate], present: dict[str, str]) -> list[AppCandidate]:
    """Returns the apps that match stacks/app.yaml."""
    module, source = present["module"], PurePosixPath(present["source"])
    if module:
        candidates = [candidate for candidate in candidates if candidate.reference == module]
    return [candidate for candidate in candidates if candidate.module.path.is_relative_to(source)]


def _yaml(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return data if isinstance(data, dict) else {}


def _choose(tree: SourceTree, candidates: list[AppCandidate], reference: str, questions: Questions) -> AppCandidate:
    if reference:
        fitting = [c for c in candidates if reference in (c.reference, str(c.module.path), c.dotted, str(c.folder))]
        if len(fitting) == 1:
            return fitting[0]
        if len(fitting) > 1:
            return questions.which_app(fitting)
        app = place_of_module(tree, reference)
        if app:
            return app
        references = ", ".join(c.reference for c in candidates) or "none"
        raise SlipwayError(
            f"--app {reference}: there is no such module. Found: {references}.", "Use the form package.module:name."
        )
    if not candidates:
        unread = "".join(f"\n  {problem}" for problem in tree.problems[:5])
        raise SlipwayError(
            f"There is no FastAPI app here: no module assigns FastAPI() to a name.{unread}",
            "Name it: slipway init --app package.module:name. In an empty folder, init offers the reference app.",
        )
    if len(candidates) == 1:
        return candidates[0]
    return questions.which_app(candidates)


def _foreign(root: Path, tree: SourceTree, candidate: AppCandidate, tool: str) -> ForeignSpec | None:
    if not tool:
        return None
    if tool == "compose":
        return read_compose(root, tree, candidate)
    if tool == "copilot":
        return read_copilot(root)
    raise SlipwayError(f"--from {tool}: allowed are compose and copilot.", "slipway init --from compose")


def _files(
    root: Path,
    tree: SourceTree,
    app: DetectedApp,
    data: dict[str, Any],
    mapped: MappedVariables,
    name: str,
    workflows: bool,
    kit: Kit,
) -> list[PlannedFile]:
    ignore = app.source / ".dockerignore"
    dockerfile_ignore = f"{app.dockerfile.path}.dockerignore" if app.dockerfile else ""
    has_dockerignore = _is_own(root, tree, ignore) or bool(dockerfile_ignore and (root / dockerfile_ignore).exists())
    left_out = ("tests",) if "module" in data else ()
    planned = fixed_files(
        name, name.capitalize(), context=app.source, has_dockerignore=has_dockerignore, left_out=left_out
    )
    planned.insert(2, planned_text("infra/pyproject.toml", render_pyproject(name, kit)))
    planned.insert(3, planned_text(str(APP_FILE), render_app_file(data)))
    stores = {need.partition(".")[0] for need in data.get("needs", [])}
    others = {name: process for name, process in data.get("processes", {}).items() if name not in ("web", "beat")}
    facts = StackFacts(
        has_database="database" in stores,
        has_cache="cache" in stores,
        base_image=f"python:{app.python}-slim" if "module" in data and app.python != KIT_PYTHON else "",
        workers=tuple(name for name, process in others.items() if not process.get("schedule")),
        has_metrics=app.metrics_port is not None,
        has_previews=workflows,
        environment=mapped.of_stacks,
        local_secrets=mapped.local_secrets,
    )
    stacks = [planned_text(f"stacks/{file}", text) for file, text in render_stack_files(facts).items()]
    planned[4:4] = stacks
    return planned + (workflow_files() if workflows else [])


def _is_own(root: Path, tree: SourceTree, path: PurePosixPath) -> bool:
    """Whether the team has its own .dockerignore, which init neither writes nor compares."""
    text = tree.text(path) if tree.has(path) else ""
    written_by_init = text.splitlines()[:3] == [".git", ".github", ".slipway"]
    return (root / path).exists() and not written_by_init


def _ignored_advice(root: Path, app: DetectedApp) -> list[Advice]:
    """Returns the missing lines of a team's own .dockerignore, if the repository's root is the build context."""
    path = root / app.source / ".dockerignore"
    if app.source != PurePosixPath() or not path.is_file():
        return []
    missing = missing_lines(path.read_text(encoding="utf-8", errors="replace"), "infra\nstacks\n")
    title = "Each change of the deployment files would build a new image. Add to .dockerignore"
    return [Advice(title, ".dockerignore", "\n".join(missing))] if missing else []


def _with_reference(planned: list[PlannedFile], folder: Path) -> list[PlannedFile]:
    """Adds the reference app's files to the plan, and its stacks/app.yaml if it has one."""
    has_app_file = (folder / APP_FILE).is_file()
    files = [
        PlannedFile(file.path, reference.reference_app_file(folder)) if file.path == APP_FILE and has_app_file else file
        for file in planned
    ]
    brought = reference.reference_files(folder)
    files = [file for file in files if file.path not in brought]
    return [*files, *(PlannedFile(path, content) for path, content in brought.items())]
