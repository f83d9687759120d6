"""`slipway connect`: a tunnel that outlives its task, and logins whose passwords nobody sees."""

from __future__ import annotations

import os
import shlex
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway.cli.connect_command import _Connection, _with_options
from slipway.config.errors import SlipwayError
from slipway.release import store_login, tunnel
from slipway.release.exec_target import ExecTarget
from slipway.release.session_client import SessionClient
from slipway.release.store_login import DatabaseLogin
from slipway.release.tunnel import Destination, Tunnel
from tests.infra.deployed import CLUSTER, NETWORK, Answers, deployed
from tests.local.conftest import until

DATABASE = {
    "host": "db.internal",
    "port": "5433",
    "name": "shop",
    "ca": "",
    "processes": ["web"],
    "login": {"taskDefinition": "shop-connect:2", "network": NETWORK},
}
LISTEN = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True: server.accept()
"""


class Tasks:
    """Tasks that a tunnel finds, one after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, program: str = LISTEN) -> None:
        self.number = 1
        self.sessions: list[dict[str, Any]] = []
        monkeypatch.setattr(tunnel, "find_exec_target", self.find)
        monkeypatch.setattr(tunnel, "is_task_running", lambda _, task: task.endswith(f"/{self.number}"))
        monkeypatch.setattr(tunnel, "POLL_SECONDS", 0.05)
        monkeypatch.setattr(tunnel, "forward_client", self.client)
        self.program = program
        self.aws = Answers({"start_session": {"SessionId": "s"}})

    def find(self, _: Any, process: str) -> ExecTarget:
        if process == "gone":
            raise SlipwayError("No task of gone is running.")
        return ExecTarget(f"{CLUSTER.replace(':cluster/', ':task/')}/{self.number}", process, "r")

    def client(self, _: Any, session: Any, parameters: Any, local_port: int) -> SessionClient:
        self.sessions.append(parameters)
        return SessionClient([sys.executable, "-c", self.program, str(local_port)], os.environ, passes_exit_code=True)

    def tunnel(self, say: Callable[[str], None], *processes: str, port: int = 0) -> Tunnel:
        destination = Destination(5433, "db.internal", processes or ("web",))
        return Tunnel(deployed(self.aws), destination, say, local_port=port)


def test_a_tunnel_leads_through_the_first_process_that_has_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = Tasks(monkeypatch)
    with tasks.tunnel(print, "gone", "worker") as opened:
        (session,) = tasks.sessions
        assert session["Target"] == "ecs:shop_1_r"
        assert session["DocumentName"] == "AWS-StartPortForwardingSessionToRemoteHost"
        assert session["Parameters"] == {
            "host": ["db.internal"],
            "portNumber": ["5433"],
            "localPortNumber": [str(opened.local_port)],
        }
        socket.create_connection(("127.0.0.1", opened.local_port)).close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", opened.local_port))


def test_a_tunnel_goes_on_through_the_task_that_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = Tasks(monkeypatch)
    said: list[str] = []
    with tasks.tunnel(said.append) as opened:
        tasks.number = 2
        until(lambda: len(said) == 2, 120)
        socket.create_connection(("127.0.0.1", opened.local_port)).close()
    assert said[0] == "The task 1 has ended. Connecting again."
    assert "through the task 2" in said[1]
    assert [session["Target"] for session in tasks.sessions] == ["ecs:shop_1_r", "ecs:shop_2_r"]


def test_a_tunnel_that_keeps_ending_ends_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = LISTEN.replace("while True: server.accept()", "server.accept(); print('timed out'); raise SystemExit(1)")
    tasks = Tasks(monkeypatch, ends)
    with tasks.tunnel(lambda _: None) as opened:
        assert opened.ended.wait(60)
    assert opened.failure is not None
    assert "times in a row: " in opened.failure.message
    assert "timed out" in opened.failure.message


def test_a_client_that_does_not_start_says_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = Tasks(monkeypatch, "raise SystemExit('TargetNotConnected')")
    with pytest.raises(SlipwayError, match="does not open: TargetNotConnected"), tasks.tunnel(print):
        pass


def test_a_port_that_is_taken_is_refused_before_anything_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = Tasks(monkeypatch)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        with (
            pytest.raises(SlipwayError, match=f"The port {port} of this machine cannot be used"),
            tasks.tunnel(print, port=port),
        ):
            pass
    assert tasks.sessions == []


@pytest.mark.parametrize("write", [False, True])
def test_a_login_is_made_from_a_verifier_and_dropped_whatever_happens(
    monkeypatch: pytest.MonkeyPatch, write: bool
) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(store_login, "run_concurrent_task", lambda _aws, task, _say: ran.append(task))
    with (
        pytest.raises(KeyboardInterrupt),
        store_login.database_login(deployed(Answers({})), DATABASE, write=write) as login,
    ):
        raise KeyboardInterrupt
    opened, closed = (task.environment["connect"] for task in ran)
    assert (opened["ACTION"], opened["NAME"], opened["WRITE"]) == ("open", login.user, str(write).lower())
    assert closed == {"ACTION": "close", "NAME": login.user}
    assert opened["VERIFIER"].startswith("SCRAM-SHA-256$")
    assert login.password not in str(ran)
    assert login.password not in repr(login)
    assert ran[0].task_definition == "shop-connect:2"


def test_two_people_have_two_logins() -> None:
    assert store_login._login_name() != store_login._login_name()
    assert store_login._login_name().startswith("connect_")


def test_psql_gets_the_databases_own_name_for_its_certificate_and_the_password_in_a_private_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = tmp_path / "rds.pem"
    ca.write_text("pem")
    monkeypatch.setattr(store_login, "project_root", lambda: tmp_path)
    database = DATABASE | {"ca": "rds.pem"}
    environment = store_login.database_environment(database, DatabaseLogin("connect_ada_1", "p-w"), 4242, tmp_path)
    passfile = Path(environment["PGPASSFILE"])
    assert passfile.read_text() == "db.internal:4242:shop:connect_ada_1:p-w\n"
    assert stat.S_IMODE(passfile.stat().st_mode) == 0o600
    line = store_login.psql_line(environment)
    assert "p-w" not in line
    program, connection = shlex.split(line)
    assert program == "psql"
    assert "host=db.internal hostaddr=127.0.0.1 port=4242 dbname=shop user=connect_ada_1" in connection
    assert f"sslmode=verify-full sslrootcert={ca}" in connection


def test_the_caches_token_is_read_by_the_callers_rights_and_is_in_no_line(tmp_path: Path) -> None:
    arn, version = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:shop-cache-AbCdEf", "v" * 32
    aws = Answers({"get_secret_value": {"SecretString": '{"value": "to-ken"}'}})
    cache = {"host": "cache.internal", "port": "6379", "ca": "", "password": f"{arn}:value::{version}"}
    token = store_login.read_cache_password(deployed(aws), cache)
    assert (token, aws.given("get_secret_value")) == ("to-ken", [{"SecretId": arn, "VersionId": version}])
    file = store_login.write_private_file(tmp_path, "redis-token", token)
    line = store_login.redis_cli_line(cache, 4242, file)
    assert "to-ken" not in line
    assert "--tls --sni cache.internal" in line
    done = subprocess.run(line.replace("redis-cli", "printenv REDISCLI_AUTH; :"), shell=True, capture_output=True)  # noqa: S602
    assert done.stdout == b"to-ken\n"


@pytest.mark.parametrize(
    ("words", "environment", "command"),
    [
        (["redis-cli", "PING"], {"REDISCLI_AUTH": "to-ken"}, ["redis-cli", "-h", "127.0.0.1", "-p", "4242", "PING"]),
        (["python", "job.py"], {"REDISCLI_AUTH": "to-ken"}, ["python", "job.py"]),
        (["redis-cli", "PING"], {"PGHOST": "127.0.0.1"}, ["redis-cli", "PING"]),
    ],
)
def test_redis_cli_alone_gets_the_caches_address_as_options(
    words: list[str], environment: dict[str, str], command: list[str]
) -> None:
    tunnel: Any = None
    line = "REDISCLI_AUTH=$(cat token) redis-cli -h 127.0.0.1 -p 4242"
    assert _with_options(_Connection(tunnel, line, environment, {}), words) == command
