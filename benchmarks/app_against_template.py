"""The bundled app against fastapi/full-stack-fastapi-template: `python -m benchmarks.app_against_template`.

The same Postgres, the same checks (token, user, owner), one worker each on one core, wrk on the other. The app has
everything on: the limiter and the cache in Redis, JSON logs, metrics. Where the table says "read", "list", "create"
and "login" its response cache is off, so that the database answers.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import uuid
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2 as httpx

from benchmarks import ours, template
from benchmarks.load import OTHER_CORE, Result, Target, compare, cpu_ratios, median, options, ratios, require_wrk
from tests.app.servers import find, postgres, redis

ITEMS = 500
PASSWORD = "benchmark-only-password"  # noqa: S105 - of accounts on loopback
GOALS = {"indexed read": 3.0, "list of 20": 2.5, "cached read": 3.0}
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "slipway" / "benchmarks"


def account(url: str, register: str, login: str, names: dict[str, str]) -> tuple[str, list[str], str]:
    """A user with items: the token, the items' ids, and the form that logs in."""
    email = f"{uuid.uuid4().hex}@example.com"
    with httpx.Client(base_url=url, timeout=30) as api:
        api.post(register, json={"email": email, "password": PASSWORD, **names}).raise_for_status()
        form = {"username": email, "password": PASSWORD}
        answer = api.post(login, data=form)
        answer.raise_for_status()
        token = answer.json()["access_token"]
        api.headers["authorization"] = f"Bearer {token}"
        ids = []
        for number in range(ITEMS):
            made = api.post("/api/v1/items/", json={"title": f"Item {number}", "description": "About it"})
            made.raise_for_status()
            ids.append(made.json()["id"])
    return token, ids, urlencode(form)


def targets(url: str, login: str, made: tuple[str, list[str], str]) -> dict[str, Target]:
    """The five kinds of request, for either side."""
    token, ids, form = made
    headers = {"Authorization": f"Bearer {token}"}
    json_headers = headers | {"Content-Type": "application/json"}
    return {
        "indexed read": Target(url, [f"/api/v1/items/{i}" for i in ids], headers=headers),
        "list of 20": Target(url, ["/api/v1/items/?limit=20"], headers=headers),
        "create": Target(url, ["/api/v1/items/"], "POST", json_headers, '{"title": "New", "description": "About it"}'),
        "login": Target(url, [login], "POST", {"Content-Type": "application/x-www-form-urlencoded"}, form, 5),
    }


def table(found: dict[str, dict[str, list[Result]]], ours: str) -> list[str]:
    """Markdown: medians over the rounds, and the ratio round by round."""
    lines = [
        "| request | app, req/s | template, req/s | ratio (least to most) | of processor time | goal | p99 app, ms "
        "| p99 template, ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row, results in found.items():
        app, peer = results[ours], results["template"]
        ratio = ratios(app, peer)
        goal = f"{GOALS[row]:g}" if row in GOALS else ""
        rates = [f"{median([r.rate for r in side]):.0f}" for side in (app, peer)]
        p99 = [f"{median([r.p99 for r in side]):.1f}" for side in (app, peer)]
        spread = f"{median(ratio):.2f} ({min(ratio):.2f} to {max(ratio):.2f})"
        cpu = cpu_ratios(app, peer)
        of_cpu = f"{median(cpu):.2f} ({min(cpu):.2f} to {max(cpu):.2f})"
        lines.append(f"| {row} | {rates[0]} | {rates[1]} | {spread} | {of_cpu} | {goal} | {p99[0]} | {p99[1]} |")
    return lines


def main() -> None:
    """Start everything, measure, print the table, stop everything."""
    parser = options(__doc__, seconds=4)
    parser.add_argument("--template", default=template.REPOSITORY, help="where to fetch the template from")
    parser.add_argument("--before", type=Path, help="another checkout of this repository, measured with this one")
    parser.add_argument("--python", help="another interpreter that has the app's packages, measured with this one")
    parser.add_argument("--rows", nargs="*", help="which requests, of the table's first column")
    arguments = parser.parse_args()
    require_wrk()
    source = template.prepare(CACHE / f"template-{template.COMMIT[:8]}", arguments.template)
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        work.chmod(0o755)
        database, owner = stack.enter_context(postgres())
        store, redis_url = stack.enter_context(redis(work))
        for server in (database, store):
            subprocess.run(["taskset", "-a", "-c", "-p", str(OTHER_CORE), str(server.process.pid)], capture_output=True)
        for name in ("app", "template"):
            subprocess.run([find("psql"), owner, "-qc", f"CREATE DATABASE {name}"], check=True)
        common: dict[str, Any] = {"DATABASE_URL": owner.replace("/postgres", "/app"), "REDIS_URL": redis_url}
        plain = stack.enter_context(ours.running(work, name="uncached", CACHE_TTL="0", **common))
        cached = stack.enter_context(ours.running(work, name="cached", **common))
        peer = stack.enter_context(template.running(source, work, "127.0.0.1", database.port, "template"))
        mine = account(plain, "/api/v1/users/", "/api/v1/auth/token", {"display_name": "Ada"})
        theirs = account(peer, "/api/v1/users/signup", "/api/v1/login/access-token", {"full_name": "Ada"})
        app_targets = targets(plain, "/api/v1/auth/token", mine)
        peer_targets = targets(peer, "/api/v1/login/access-token", theirs)
        rows = {row: {"app": app_targets[row], "template": peer_targets[row]} for row in app_targets}
        read = app_targets["indexed read"]
        rows["cached read"] = {
            "app": Target(cached, read.paths, headers=read.headers),
            "template": peer_targets["indexed read"],  # it has no cache
        }
        beside = arguments.before or arguments.python
        if beside:
            place: dict[str, Any] = {"root": (arguments.before or ours.ROOT).absolute(), **common}
            place["python"] = arguments.python or sys.executable
            other = stack.enter_context(ours.running(work, name="beside", CACHE_TTL="0", **place))
            other_cached = stack.enter_context(
                ours.running(work, name="beside-cached", REDIS_KEY_PREFIX="beside", **place)
            )
            for row in app_targets:
                rows[row]["beside"] = replace(app_targets[row], url=other)
            rows["cached read"]["beside"] = replace(read, url=other_cached)
        rows = {row: sides for row, sides in rows.items() if row in (arguments.rows or rows)}
        found = compare(rows, arguments.rounds, arguments.seconds)
        for side in ("app", "beside") if beside else ("app",):
            print("\n".join(["", f"{side}:", "", *table(found, side)]))


if __name__ == "__main__":
    main()
