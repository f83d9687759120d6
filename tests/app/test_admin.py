"""`python -m app.admin create`: the first admin."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
import uuid

import httpx2 as httpx
import pytest

from tests.app.conftest import PASSWORD, Running, User, login, register
from tests.app.test_production import ROOT, environment


async def command(running: Running, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    url = running.base.database_url
    assert url is not None
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "app.admin", *arguments],
        cwd=ROOT,
        env=environment(DATABASE_URL=url.get_secret_value()),
        input=typed,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def address() -> str:
    return f"{uuid.uuid4().hex}@example.com"


async def test_the_first_admin_is_made_by_a_command(running: Running, api: httpx.AsyncClient, address: str) -> None:
    done = await command(running, "create", address.upper(), typed=f"{PASSWORD}\n")
    assert (done.returncode, done.stdout) == (0, f"Made {address}, an admin.\n"), done.stderr
    admin = User(api, "", address, (await login(api, address)).json())
    assert (await admin.get("/users/all")).status_code == 200


async def test_an_account_that_is_there_becomes_an_admin_and_keeps_its_password(
    running: Running, api: httpx.AsyncClient
) -> None:
    user = await register(api)
    assert (await command(running, "create", user.email)).returncode == 0
    assert (await user.get("/users/me")).status_code == 401, "its tokens say that it is none"
    user.tokens = (await login(api, user.email)).json()
    assert (await user.get("/users/all")).status_code == 200


@pytest.mark.parametrize(
    ("name", "typed", "reason"),
    [("", "short\n", "password: "), ("", "", "password: "), ("Ada <ada@example.com>", PASSWORD, "address")],
)
async def test_what_is_wrong_is_said_in_one_line(
    running: Running, address: str, name: str, typed: str, reason: str
) -> None:
    done = await command(running, "create", name or address, typed=typed)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert reason in line


async def test_a_password_is_never_an_argument(running: Running, address: str) -> None:
    for arguments in ((address, PASSWORD), (address, "--password", PASSWORD)):
        done = await command(running, "create", *arguments, typed=PASSWORD)
        assert done.returncode == 2
        assert "unrecognized arguments" in done.stderr


async def test_a_terminal_is_asked_twice_and_does_not_show_it(
    running: Running, api: httpx.AsyncClient, address: str
) -> None:
    assert running.base.database_url is not None
    url = running.base.database_url.get_secret_value()
    shown = await asyncio.to_thread(_in_a_terminal, environment(DATABASE_URL=url), [address, PASSWORD, PASSWORD])
    assert f"Made {address}" in shown
    assert PASSWORD not in shown
    assert (await login(api, address)).status_code == 200


def _in_a_terminal(variables: dict[str, str], lines: list[str]) -> str:
    """All that a terminal shows when these lines are typed, each when it is asked for."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execve(sys.executable, [sys.executable, "-m", "app.admin", "create"], variables)  # noqa: S606
    shown = ""
    try:
        while piece := os.read(terminal, 1000).decode():
            shown += piece
            if shown.endswith(": ") and lines:
                os.write(terminal, f"{lines.pop(0)}\n".encode())
    except OSError:  # how a terminal ends
        pass
    os.waitpid(pid, 0)
    os.close(terminal)
    return shown
