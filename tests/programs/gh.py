"""Stands for GitHub's command: `gh api` on issues and comments, and `gh pr`, kept in the file that GH_STORE names."""

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
    if arguments[0] == "pr":
        named = ["--head"] if arguments[1] == "edit" else []
        options = [*named, *arguments[2:]]
        pull_request(arguments[1], dict(zip(options[::2], options[1::2], strict=True)))
        return
    assert arguments[0] == "api", arguments
    if arguments[1:] == ["repos/acme/shop"]:
        owner = {"login": "acme", "id": 11}
        sys.stdout.write(json.dumps({"owner": owner, "name": "shop", "id": 22, "created_at": os.environ["GH_MADE"]}))
        return
    method = arguments[arguments.index("--method") + 1] if "--method" in arguments else "GET"
    (path,) = [each for each in arguments if each.startswith("repos/{owner}/{repo}/")]
    store: dict[str, list[Any]] = json.loads(STORE.read_text()) if STORE.exists() else {"comments": [], "issues": []}
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
    made = {"number": len(store.get("pulls", [])) + 1, "head": options["--head"], "body": options["--body"]}
    STORE.write_text(json.dumps(store | {"pulls": [*store.get("pulls", []), made]}))


def of_issue(store: dict[str, list[Any]], number: str) -> list[Any]:
    return [each for each in store["comments"] if each["issue"] == number]


def open_ones(store: dict[str, list[Any]]) -> list[Any]:
    return [each for each in store["issues"] if each["state"] == "open"]


main(sys.argv[1:])
