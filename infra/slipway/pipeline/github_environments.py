"""Reads and changes a repository's GitHub environments, variables and rules with `gh`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.pipeline.github import list_pages, run_gh


@dataclass(frozen=True)
class GithubEnvironment:
    """A GitHub environment."""

    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    branches: tuple[str, ...] = ()
    """Patterns of the branches whose jobs may use it."""
    protected_branches_only: bool = False
    reviewers: tuple[Mapping[str, Any], ...] = ()
    """Each with `type` (User, Team) and `id`."""
    prevents_self_review: bool = False
    wait_minutes: int = 0

    @property
    def has_branch_rule(self) -> bool:
        """Whether only jobs of some branches may use it."""
        return bool(self.branches) or self.protected_branches_only


@dataclass(frozen=True)
class GithubRepository:
    """A GitHub repository."""

    name: str
    """owner/name"""
    default_branch: str
    is_private: bool
    variables: Mapping[str, str]
    environments: Mapping[str, GithubEnvironment]
    lets_actions_open_pull_requests: bool
    default_token: str
    """`read` or `write`: default permissions of a job's token."""


def read_github_repository(name: str) -> GithubRepository:
    """Reads a repository's environments and settings from GitHub. Raises `SlipwayError` with gh's error."""
    about = json.loads(run_gh("api", f"repos/{name}"))
    token = json.loads(run_gh("api", f"repos/{name}/actions/permissions/workflow"))
    environments = _entries(f"repos/{name}/environments", "environments")
    return GithubRepository(
        name=name,
        default_branch=about["default_branch"],
        is_private=about["private"],
        variables=_variables(f"repos/{name}/actions/variables"),
        environments={each["name"]: _environment(name, each) for each in environments},
        lets_actions_open_pull_requests=token["can_approve_pull_request_reviews"],
        default_token=token["default_workflow_permissions"],
    )


def _environment(repository: str, about: Mapping[str, Any]) -> GithubEnvironment:
    path = f"repos/{repository}/environments/{about['name']}"
    policy = about.get("deployment_branch_policy") or {}
    policies = _entries(f"{path}/deployment-branch-policies", "branch_policies") if policy else []
    rules = {rule["type"]: rule for rule in about.get("protection_rules", [])}
    required = rules.get("required_reviewers", {})
    return GithubEnvironment(
        variables=_variables(f"{path}/variables"),
        secrets=frozenset(entry["name"] for entry in _entries(f"{path}/secrets", "secrets")),
        branches=tuple(entry["name"] for entry in policies),
        protected_branches_only=bool(policy.get("protected_branches")),
        reviewers=tuple(
            {"type": entry["type"], "id": entry["reviewer"]["id"]} for entry in required.get("reviewers", [])
        ),
        prevents_self_review=bool(required.get("prevent_self_review")),
        wait_minutes=int(rules.get("wait_timer", {}).get("wait_timer", 0)),
    )


def _variables(path: str) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in _entries(path, "variables")}


def _entries(path: str, key: str) -> list[Any]:
    return [entry for page in list_pages(path) for entry in page[key]]
