"""Stands for GitHub's command `gh`: issues, comments, pull requests, and a repository's settings for Actions.

It keeps them in the file that GH_STORE names.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

STORE = Path(os.environ["GH_STORE"])
BOT = {"type": "Bot", "login": "github-actions[bot]"}


def main(arguments: list[str]) -> None:
    if arguments[:2] == ["auth", "setup-git"]:
        return
    if arguments == ["pr", "list", "--state", "open", "--limit", "1000", "--json", "number"]:
        store = json.loads(STORE.read_text()) if STORE.exists() else {}
        sys.stdout.write(json.dumps([{"number": each["number"]} for each in store.get("pulls", [])]))
        return
    if arguments[:2] == ["secret", "set"]:
        options = dict(zip(arguments[3::2], arguments[4::2], strict=True))
        assert options["--repo"] == "acme/shop"
        secret = {"name": arguments[2], "value": sys.stdin.read()}
        settings = read_settings()
        settings["environments"][options["--env"]]["secrets"].append(secret)
        write_settings(settings)
        return
    if arguments[0] == "pr":
        named = ["--head"] if arguments[1] == "edit" else []
        options = [*named, *arguments[2:]]
        pull_request(arguments[1], dict(zip(options[::2], options[1::2], strict=True)))
        return
    assert arguments[0] == "api", arguments
    if arguments[1:] == ["repos/acme/shop"]:
        about = {"owner": {"login": "acme", "id": 11}, "name": "shop", "id": 22, "default_branch": "main"}
        made = os.environ.get("GH_MADE", "2020-01-01T00:00:00Z")
        private = os.environ.get("GH_PRIVATE") == "true"
        sys.stdout.write(json.dumps(about | {"created_at": made, "private": private}))
        return
    method = arguments[arguments.index("--method") + 1] if "--method" in arguments else "GET"
    named = [each for each in arguments if each.startswith(("repos/acme/shop/", "users/"))]
    if named:
        body = json.loads(sys.stdin.read()) if "--input" in arguments else {}
        answer = settings_request(method, named[0], body)
        sys.stdout.write(json.dumps([answer] if "--slurp" in arguments else answer))
        return
    (path,) = [each for each in arguments if each.startswith("repos/{owner}/{repo}/")]
    store: dict[str, list[Any]] = json.loads(STORE.read_text()) if STORE.exists() else {}
    store = {"comments": [], "issues": []} | store
    parts = path.removeprefix("repos/{owner}/{repo}/").partition("?")[0].split("/")
    if method == "GET":
        found = of_issue(store, parts[1]) if parts[-1] == "comments" else open_ones(store)
        sys.stdout.write(json.dumps([found[at : at + 1] for at in range(len(found))] or [[]]))  # a page for each
        return
    body = json.loads(sys.stdin.read())
    if method == "POST" and parts[-1] == "comments":
        store["comments"].append({"id": len(store["comments"]) + 1, "issue": parts[1], "user": BOT} | body)
    elif method == "POST":
        store["issues"].append({"number": len(store["issues"]) + 1, "state": "open", "user": BOT} | body)
    else:
        key = "id" if re.match(r"issues/comments/", "/".join(parts)) else "number"
        (changed,) = [each for each in store["comments" if key == "id" else "issues"] if each[key] == int(parts[-1])]
        changed.update(body)
    STORE.write_text(json.dumps(store))


def read_settings() -> dict[str, Any]:
    store = json.loads(STORE.read_text()) if STORE.exists() else {}
    token = {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": False}
    found: dict[str, Any] = store.get("settings") or {"token": token, "variables": [], "environments": {}}
    return found


def write_settings(settings: dict[str, Any]) -> None:
    store = json.loads(STORE.read_text()) if STORE.exists() else {}
    STORE.write_text(json.dumps(store | {"settings": settings}))


def settings_request(method: str, path: str, body: dict[str, Any]) -> Any:
    """GitHub's REST API for a repository's environments, variables, and what its jobs' tokens may do."""
    if path.startswith("users/"):
        return {"id": len(path)} if path != "users/nobody" else fail("HTTP 404: Not Found")
    settings = read_settings()
    parts = path.removeprefix("repos/acme/shop/").split("/")
    if parts == ["actions", "permissions", "workflow"]:
        settings["token"] |= body
        write_settings(settings)
        return settings["token"]
    if parts[:2] == ["actions", "variables"]:
        return variables(settings, settings["variables"], method, parts[2:], body)
    assert parts[0] == "environments", path
    if len(parts) == 1:
        shown = [
            {key: about[key] for key in ("name", "protection_rules", "deployment_branch_policy")}
            for about in settings["environments"].values()
        ]
        return {"environments": shown}
    if len(parts) == 2:
        return put_environment(settings, parts[1], body)
    environment = settings["environments"].get(parts[1]) or fail("HTTP 404: Not Found")
    if parts[2] == "variables":
        return variables(settings, environment["variables"], method, parts[3:], body)
    if parts[2] == "secrets":
        return {"secrets": [{"name": each["name"]} for each in environment["secrets"]]}
    assert parts[2] == "deployment-branch-policies", path
    if method == "POST":
        if not (environment["deployment_branch_policy"] or {}).get("custom_branch_policies"):
            fail("HTTP 404: no custom branch policies")
        environment["branches"].append(body)
        write_settings(settings)
    return {"branch_policies": environment["branches"]}


def put_environment(settings: dict[str, Any], name: str, body: dict[str, Any]) -> Any:
    """As GitHub does: what the body does not name is gone."""
    if body.get("reviewers") and os.environ.get("GH_PRIVATE") == "true":
        fail("HTTP 422: Failed to create the environment protection rule. Please ensure the billing plan supports it.")
    reviewers = [{"type": each["type"], "reviewer": {"id": each["id"]}} for each in body.get("reviewers") or []]
    rules: list[dict[str, Any]] = [{"type": "branch_policy"}] if body.get("deployment_branch_policy") else []
    if reviewers:
        required = {"type": "required_reviewers", "reviewers": reviewers}
        rules.append(required | {"prevent_self_review": body.get("prevent_self_review", False)})
    if body.get("wait_timer"):
        rules.append({"type": "wait_timer", "wait_timer": body["wait_timer"]})
    fresh: dict[str, Any] = {"name": name, "variables": [], "secrets": [], "branches": []}
    environment = settings["environments"].get(name, fresh)
    environment |= {"protection_rules": rules, "deployment_branch_policy": body.get("deployment_branch_policy")}
    settings["environments"][name] = environment
    write_settings(settings)
    return {}


def variables(
    settings: dict[str, Any], entries: list[dict[str, Any]], method: str, rest: list[str], body: dict[str, Any]
) -> Any:
    named = [each for each in entries if each["name"] == body.get("name")]
    if method == "POST":
        if named:
            fail("HTTP 409: Already exists - Variable already exists")
        entries.append(body)
    elif method == "PATCH":
        assert rest == [body["name"]]
        if not named:
            fail("HTTP 404: Not Found")
        named[0].update(body)
    write_settings(settings)
    return {"variables": entries}


def fail(text: str) -> Any:
    sys.exit(f"gh: {text}")


def pull_request(verb: str, options: dict[str, str]) -> None:
    store: dict[str, list[Any]] = json.loads(STORE.read_text()) if STORE.exists() else {}
    found = [each for each in store.get("pulls", []) if each["head"] == options["--head"]]
    if verb == "list":
        sys.stdout.write("".join(f"{each['number']}\n" for each in found))
        return
    if verb == "edit":
        found[0]["body"] = options["--body"]
        STORE.write_text(json.dumps(store))
        return
    assert verb == "create"
    if os.environ.get("GH_MAY_NOT_OPEN"):
        fail("pull request create failed: GraphQL: GitHub Actions is not permitted to create or approve pull requests")
    made = {"number": len(store.get("pulls", [])) + 1, "head": options["--head"], "body": options["--body"]}
    STORE.write_text(json.dumps(store | {"pulls": [*store.get("pulls", []), made]}))


def of_issue(store: dict[str, list[Any]], number: str) -> list[Any]:
    return [each for each in store["comments"] if each["issue"] == number]


def open_ones(store: dict[str, list[Any]]) -> list[Any]:
    return [each for each in store["issues"] if each["state"] == "open"]


main(sys.argv[1:])
