"""Seconds and failed requests of a rotation of all secrets, and of a restore from a snapshot, on this machine.

    .venv/bin/python -m benchmarks.day_two

Works in a copy of the repository with its own port and state, which is taken down at the end. While each step runs, a
list of users is asked for 20 times a second through the load balancer: it is read from the database. It goes by
docs/how-to/secrets.md and docs/how-to/restore.md, and ends with 1 where the result of a step differs from them.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.local.clone import Clone, cloned
from tests.local.load import Load

RATE, PATH = 20, "/api/v1/users/"
CACHE_SECONDS = 31
"""What was read before may be served for half a minute (CACHE_TTL)."""
USERS = [
    {"email": f"{name}@example.com", "display_name": name, "password": "correct horse battery"}
    for name in ("Before", "After")
]


def timed(clone: Clone, what: str, *settings: str) -> Load:
    """Set these, run `slipway up`, print what it took; the load that ran meanwhile."""
    clone.pulumi("config", "set", *settings)
    with Load(clone.port, urlsplit(clone.status()["url"]).netloc, RATE, PATH) as load:
        time.sleep(2)
        began = time.monotonic()
        clone.slipway("up")
        took = time.monotonic() - began
        time.sleep(5)
    print(f"{what:<44} {took:5.1f} s  {load.summary()}", flush=True)
    return load


def registered(clone: Clone, user: dict[str, str]) -> bool:
    """Whether they are there: by the name that a public profile shows."""
    return user["display_name"] in clone.get(PATH)[1]


def snapshot(clone: Clone, name: str) -> float:
    """Take one of the database; its seconds."""
    rds = clone.aws("rds")
    (database,) = rds.describe_db_instances()["DBInstances"]
    began = time.monotonic()
    rds.create_db_snapshot(DBInstanceIdentifier=database["DBInstanceIdentifier"], DBSnapshotIdentifier=name)
    return time.monotonic() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, cloned(Path(folder) / "slipway") as clone:
        stack = clone.root / "stacks" / "Pulumi.local.yaml"
        stack.write_text(stack.read_text() + "  environment: {RATE_LIMIT_PER_MINUTE: 1000000}\n")
        clone.slipway("up")
        before, after = USERS
        assert clone.request("POST", PATH, json.dumps(before))[0] == 201
        rotation = [
            timed(clone, "new secrets next to the former ones", "secretsGeneration", "2"),
            timed(clone, "those of before retired", "secretsRetired", "1"),
        ]
        assert not any(load.failed() for load in rotation), "a rotation lost requests"
        print(f"{'a snapshot':<44} {snapshot(clone, 'before-the-mistake'):5.1f} s", flush=True)
        assert clone.request("POST", PATH, json.dumps(after))[0] == 201
        restored = timed(clone, "the database as that snapshot", "databaseRestoreFrom", "before-the-mistake")
        time.sleep(CACHE_SECONDS)
        assert (registered(clone, before), registered(clone, after)) == (True, False)
        bad = restored.failed()
        if bad:
            lost = max(each.due for each in bad) - min(each.due for each in bad)
            print(f"from the first that failed to the last: {lost:.1f} s", flush=True)


if __name__ == "__main__":
    main()
