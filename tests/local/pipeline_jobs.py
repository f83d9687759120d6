"""Runs the jobs of the workflow files as GitHub does: step by step, with a token for the job's environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slipway.pipeline.workflow_needs import LOGIN_ACTION
from tests.fake_gh import FakeGh
from tests.local.pipeline_stacks import REPOSITORY, CommandFailed, Session, Shop, session_variables
from tests.workflows import Github, load

ELSEWHERE = ("make setup", "make test", "make check")
"""This very test is a part of the last two, and the first would change the packages under it."""


class Jobs:
    """Jobs of one repository, whose variables are what `slipway pipeline setup` has made of them."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        self.shop = shop
        self.folder = folder
        self.gh = FakeGh(folder / "gh")
        self.outputs: dict[str, str] = {}
        self.commands: list[str] = []
        """Every command that was run, in its order."""

    @property
    def path(self) -> dict[str, str]:
        """The variable PATH, with GitHub's command on it."""
        return {"PATH": f"{self.gh.folder}:{self.shop.clone.in_its_shell()['PATH']}"}

    def run(self, workflow: str, job: str, event: Mapping[str, str] | None = None) -> str:
        """All that the job's commands print. `event`: values of GitHub's own, such as `matrix.stack`.

        Raises `CommandFailed` where the job fails.
        """
        definition = load(workflow, self.shop.clone.root)
        about = definition["jobs"][job]
        github = Github(self.outputs | dict(event or {}))
        environment = github.fill(about.get("environment", ""))
        github.values |= self._settings(environment)
        around = {**definition.get("env", {}), **about.get("env", {})}
        variables: dict[str, str] = {}
        told: list[str] = []
        failure: CommandFailed | None = None
        for step in about["steps"]:
            if (step.get("if") == "failure()") is not (failure is not None):
                continue
            if step.get("uses", "").startswith(LOGIN_ACTION):
                assert about["permissions"]["id-token"] == "write"
                variables |= self._log_in(step["with"], github, environment)
            elif step.get("run", "").strip() not in ("", *ELSEWHERE):
                env = {key: github.fill(str(value)) for key, value in (around | step.get("env", {})).items()}
                try:
                    told.append(self._step(step, env | variables, github, job))
                except CommandFailed as error:
                    failure = failure or (None if step.get("continue-on-error") else error)
                    told.append(str(error))
        if failure:
            raise failure
        return "\n".join(told)

    def _step(self, step: dict[str, Any], variables: dict[str, str], github: Github, job: str) -> str:
        kept = self.folder / "output"
        kept.write_text("")
        command = github.fill(step["run"])
        self.commands.append(command)
        told = self.shop.execute(
            ["bash", "-ec", command], self.shop_variables(variables) | {"GITHUB_OUTPUT": str(kept)}
        )
        for line in kept.read_text().splitlines():
            key, _, value = line.partition("=")
            self.outputs[f"needs.{job}.outputs.{key}"] = value
        return told

    def shop_variables(self, variables: dict[str, str]) -> dict[str, str]:
        """A job's variables. A job that has not logged in has no credentials of AWS."""
        nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
        return nobody | {"AWS_SHARED_CREDENTIALS_FILE": str(self._profiles)} | self.path | variables

    @property
    def _profiles(self) -> Path:
        return self.folder / "credentials"

    def _log_in(self, options: dict[str, Any], github: Github, environment: str) -> dict[str, str]:
        seconds = int(options.get("role-duration-seconds", 3600))
        session = self.shop.assume(github.fill(options["role-to-assume"]), environment, seconds=seconds)
        if "aws-profile" in options:
            self.write_profile(options["aws-profile"], session)
            return {}
        return session_variables(session) | {"AWS_REGION": github.fill(options["aws-region"])}

    def write_profile(self, name: str, session: Session) -> None:
        """Writes the file of AWS profiles, with this session as its only profile."""
        self._profiles.write_text(
            f"[{name}]\n"
            f"aws_access_key_id = {session['AccessKeyId']}\n"
            f"aws_secret_access_key = {session['SecretAccessKey']}\n"
            f"aws_session_token = {session['SessionToken']}\n"
        )

    def _settings(self, environment: str) -> dict[str, str]:
        """GitHub's variables and secrets for a job of an environment."""
        store = json.loads(self.gh.store.read_text())["settings"]
        own = store["environments"].get(environment, {"variables": [], "secrets": []})
        values = {f"vars.{each['name']}": each["value"] for each in store["variables"] + own["variables"]}
        secrets = {f"secrets.{each['name']}": each["value"] for each in own["secrets"]}
        return values | secrets | {"github.token": "t", "github.repository": REPOSITORY}
