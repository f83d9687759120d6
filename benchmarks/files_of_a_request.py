"""The files of the app that one request passes: `python -m benchmarks.files_of_a_request`.

Lists items twice, a miss and a hit of the cache, on Postgres and Redis of its own, and prints the files whose functions
ran, with how many did. `--root` is another checkout to look at.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType

from tests.app.servers import postgres, redis

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "benchmark-only-password"  # noqa: S105 - of an account on loopback


class Passed:
    """Functions that ran, by file of the app."""

    def __init__(self, folder: Path) -> None:
        self._folder = f"{folder}{os.sep}"
        self.functions: dict[str, set[str]] = {}

    def __enter__(self) -> Passed:
        self.functions = {}
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(self._folder) and ".venv" not in code.co_filename:
            self.functions.setdefault(code.co_filename.removeprefix(self._folder), set()).add(code.co_qualname)


async def look() -> None:
    """Ask, and print."""
    import httpx2 as httpx

    import app
    from app.main import app as served

    passed = Passed(Path(str(app.__file__)).parent)
    account = {"email": "a@example.com", "display_name": "Ada", "password": PASSWORD}
    async with (
        served.router.lifespan_context(served),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=served), base_url="http://testserver/api/v1") as api,
    ):
        (await api.post("/users/", json=account)).raise_for_status()
        form = {"username": account["email"], "password": PASSWORD}
        token = (await api.post("/auth/token", data=form)).json()["access_token"]
        api.headers["authorization"] = f"Bearer {token}"
        for number in range(3):
            (await api.post("/items/", json={"title": f"Item {number}"})).raise_for_status()
        await api.get("/items/?limit=2")  # compiles what is compiled once
        for kind in ("miss", "hit"):
            with passed:
                (await api.get("/items/?limit=20")).raise_for_status()
            count = sum(map(len, passed.functions.values()))
            print(f"{kind}: {len(passed.functions)} files, {count} functions", file=sys.stderr)
            for name, functions in sorted(passed.functions.items()):
                print(f"  {name}: {', '.join(sorted(functions))}", file=sys.stderr)


def main() -> None:
    """Start the servers, and this module again with the app's environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT)
    root = parser.parse_args().root.absolute()
    with tempfile.TemporaryDirectory() as work, postgres() as (_, owner), redis(Path(work)) as (_, redis_url):
        variables = {
            "DATABASE_URL": owner,
            "REDIS_URL": redis_url,
            "REDIS_TIMEOUT": "5",
            "SECRET_KEY": "benchmark-only-0123456789-abcdefghijklmnop",
            "PYTHONPATH": f"{root}:{ROOT}",
        }
        environment = os.environ | variables
        migrate = [sys.executable, "-m", "app.migrate"]
        subprocess.run(migrate, cwd=root, env=environment, check=True, capture_output=True)
        program = "import asyncio; from benchmarks.files_of_a_request import look; asyncio.run(look())"
        subprocess.run(
            [sys.executable, "-c", program], cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL
        )


if __name__ == "__main__":
    main()
