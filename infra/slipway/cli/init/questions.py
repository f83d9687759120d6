"""The questions of init: three at most, and none with --yes or without a terminal."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import typer

from slipway.cli.init.apps import AppCandidate
from slipway.config.errors import SlipwayError

MOST_QUESTIONS = 3


@dataclass
class Questions:
    """Asks on standard error, and counts."""

    are_allowed: bool
    """Whether there is a terminal, and no --yes."""
    asked: int = 0

    @classmethod
    def for_terminal(cls, yes: bool) -> Questions:
        """Returns questions that are interactive at a terminal without `--yes`."""
        return cls(are_allowed=not yes and sys.stdin.isatty())

    def which_app(self, candidates: list[AppCandidate]) -> AppCandidate:
        """Asks which of several apps to deploy.

        Raises:
            SlipwayError: it cannot ask.
        """
        names = [f"{c.reference} ({c.module.path})" for c in candidates]
        if not self.are_allowed:
            references = [c.reference for c in candidates]
            option = references[0] if len(set(references)) == len(references) else str(candidates[0].module.path)
            raise SlipwayError(
                f"There are {len(candidates)} apps here: {', '.join(names)}.",
                f"Choose one: slipway init --app {option}",
            )
        for number, name in enumerate(names, start=1):
            typer.echo(f"  {number}  {name}", err=True)
        self._count()
        while True:
            number = int(typer.prompt("Which app is deployed", type=int, default=1, err=True))
            if 1 <= number <= len(names):
                return candidates[number - 1]
            typer.echo(f"1 to {len(names)}", err=True)

    def take_reference_app(self) -> bool:
        """Whether an empty folder starts with the reference app. Default: yes."""
        return self._confirm("There is no app here yet. Start with the reference app and its tests", default=True)

    def health_path(self, default: str) -> str:
        """Asks for the path that answers 200 without a login, if none was found."""
        if not self.are_allowed:
            return default
        self._count()
        question = "No health path was found. Which path answers 200 without a login (you add the one named here)"
        answer = str(typer.prompt(question, default=default, err=True)).strip()
        return answer if answer.startswith("/") else f"/{answer}"

    def with_workflows(self) -> bool:
        """Whether to write GitHub Actions workflows. Default: no."""
        return self._confirm(
            "Write the GitHub Actions workflows for deployments and previews of pull requests", default=False
        )

    def _confirm(self, question: str, *, default: bool) -> bool:
        if not self.are_allowed:
            return default
        self._count()
        return typer.confirm(question, default=default, err=True)

    def _count(self) -> None:
        self.asked += 1
        if self.asked > MOST_QUESTIONS:
            raise AssertionError(f"init asks {MOST_QUESTIONS} questions at most")
