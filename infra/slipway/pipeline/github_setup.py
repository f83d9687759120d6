"""`slipway pipeline setup`: plans and sends the requests that add to GitHub what the workflow files need."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from slipway.config.errors import SlipwayError
from slipway.pipeline.github import run_gh
from slipway.pipeline.github_environments import GithubEnvironment, GithubRepository
from slipway.pipeline.setup_values import EnvironmentValues, SetupValues

PASSPHRASE_BYTES = 32
REVIEWERS_NEED = (
    "Required reviewers on a private repository need GitHub Enterprise. Leave --reviewer out; docs/pipeline.md lists "
    "what works on Free, Pro and Team."
)


@dataclass(frozen=True)
class SetupChange:
    """A change of GitHub's settings, and its request."""

    text: str
    """Description: the new value and the present one."""
    arguments: tuple[str, ...]
    """Of `gh`."""
    body: str = ""
    """Standard input of the request; never printed, because it may be a secret."""
    fix: str = ""
    """The fix if GitHub refuses it."""


@dataclass(frozen=True)
class Reviewer:
    """A required reviewer of deployments to production."""

    login: str
    id: int


def find_reviewers(logins: Sequence[str]) -> list[Reviewer]:
    """Reads the users of these logins from GitHub. Raises `SlipwayError` for one that does not exist."""
    return [Reviewer(login, int(json.loads(run_gh("api", f"users/{login}"))["id"])) for login in logins]


def plan_setup(
    repository: GithubRepository, values: SetupValues, reviewers: Sequence[Reviewer] = ()
) -> list[SetupChange]:
    """Returns the ordered changes that the workflow files need; empty if there are none."""
    changes = list(_repository_changes(repository, values))
    for name, environment in values.environments.items():
        changes += _environment_changes(repository, name, environment, reviewers)
    return changes


def apply_setup(changes: Sequence[SetupChange]) -> None:
    """Applies the changes. Raises `SlipwayError` with GitHub's error for the first one that it refuses."""
    for change in changes:
        try:
            run_gh(*change.arguments, body=change.body)
        except SlipwayError as error:
            raise SlipwayError(f"{change.text}: {error.message}", change.fix or error.fix) from None


def list_setup_notes(repository: GithubRepository, values: SetupValues) -> list[str]:
    """Returns settings that `setup` does not change: they need a decision, or may be missing in GitHub's plan."""
    notes = []
    for name, expected in values.environments.items():
        environment = repository.environments.get(name, GithubEnvironment())
        others = [branch for branch in environment.branches if branch != repository.default_branch]
        if expected.has_branch_rule and others:
            notes.append(f"environment {name}: jobs of {', '.join(others)} may also deploy")
        if expected.wants_reviewers and not environment.reviewers:
            notes.append(f"environment {name}: deployments need no approval. {REVIEWERS_NEED}")
    if repository.default_token != "read":  # noqa: S105 - GitHub's name of a permission
        notes.append("the repository: job tokens have write permission by default; set it to read")
    return notes


def _repository_changes(repository: GithubRepository, values: SetupValues) -> Iterator[SetupChange]:
    for variable, value in values.repository_variables.items():
        path = f"repos/{repository.name}/actions/variables"
        yield from _variable_change("the repository", path, repository.variables, variable, value)
    if values.opens_pull_requests and not repository.lets_actions_open_pull_requests:
        body = {
            "default_workflow_permissions": repository.default_token,
            "can_approve_pull_request_reviews": True,
        }
        yield SetupChange(
            "the repository: allow GitHub Actions to create and approve pull requests, for refresh.yml",
            ("api", "--method", "PUT", f"repos/{repository.name}/actions/permissions/workflow", "--input", "-"),
            json.dumps(body),
            "An organisation may forbid it: ask its owner, or delete refresh.yml.",
        )


def _environment_changes(
    repository: GithubRepository, name: str, wanted: EnvironmentValues, reviewers: Sequence[Reviewer]
) -> Iterator[SetupChange]:
    path = f"repos/{repository.name}/environments/{name}"
    existing = repository.environments.get(name)
    environment = existing or GithubEnvironment()
    yield from _rule_changes(path, name, existing, wanted, reviewers)
    branch = repository.default_branch
    if wanted.has_branch_rule and not environment.protected_branches_only and branch not in environment.branches:
        yield SetupChange(
            f"environment {name}: let jobs of the branch {branch} deploy",
            ("api", "--method", "POST", f"{path}/deployment-branch-policies", "--input", "-"),
            json.dumps({"name": branch}),
        )
    for variable, value in wanted.variables.items():
        yield from _variable_change(f"environment {name}", f"{path}/variables", environment.variables, variable, value)
    for secret in sorted(wanted.secrets - environment.secrets):
        yield SetupChange(
            f"environment {name}: create the secret {secret}, a random value",
            ("secret", "set", secret, "--env", name, "--repo", repository.name),
            secrets.token_urlsafe(PASSPHRASE_BYTES),
        )


def _rule_changes(
    path: str,
    name: str,
    existing: GithubEnvironment | None,
    wanted: EnvironmentValues,
    reviewers: Sequence[Reviewer],
) -> Iterator[SetupChange]:
    """Yields one request with all rules of an environment, because it removes rules that it does not name."""
    environment = existing or GithubEnvironment()
    texts = [] if existing else [f"environment {name}: create it"]
    needs_branch_rule = wanted.has_branch_rule and not environment.has_branch_rule
    if needs_branch_rule:
        texts.append(f"environment {name}: only chosen branches may deploy")
    listed = list(environment.reviewers)
    if wanted.wants_reviewers and reviewers and not listed:
        listed = [{"type": "User", "id": reviewer.id} for reviewer in reviewers]
        texts.append(f"environment {name}: {', '.join(each.login for each in reviewers)} approve, no self-review")
    if not texts:
        return
    policy = None
    if wanted.has_branch_rule:
        protected = environment.protected_branches_only
        policy = {"protected_branches": protected, "custom_branch_policies": not protected}
    body = {
        "wait_timer": environment.wait_minutes,
        "prevent_self_review": bool(listed),
        "reviewers": listed,
        "deployment_branch_policy": policy,
    }
    fix = REVIEWERS_NEED if listed else ""
    yield SetupChange("; ".join(texts), ("api", "--method", "PUT", path, "--input", "-"), json.dumps(body), fix)


def _variable_change(
    owner: str, path: str, existing: Mapping[str, str], variable: str, value: str
) -> Iterator[SetupChange]:
    current = existing.get(variable)
    if current == value:
        return
    body = json.dumps({"name": variable, "value": value})
    if current is None:
        arguments = ("api", "--method", "POST", path, "--input", "-")
        yield SetupChange(f"{owner}: set {variable} to {value}", arguments, body)
    else:
        arguments = ("api", "--method", "PATCH", f"{path}/{variable}", "--input", "-")
        yield SetupChange(f"{owner}: set {variable} to {value}, it is {current}", arguments, body)
