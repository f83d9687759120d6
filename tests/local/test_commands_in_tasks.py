"""End to end: `slipway run`, `exec` and `connect` on the everyday environment."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from tests.local.clone import COMMAND_SECONDS, ROOT, Clone, docker_lines
from tests.local.conftest import until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not (ROOT / "tests" / "app").is_dir(), reason="the reference app was removed"),
]
COUNT = "select count(*) from users"


@pytest.fixture
def clone(everyday: Clone) -> Clone:
    return everyday


def run(clone: Clone, *arguments: str) -> subprocess.CompletedProcess[str]:
    process = clone.start(*arguments)
    stdout, stderr = process.communicate(timeout=COMMAND_SECONDS)
    return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)


def running_tasks(clone: Clone, started_by: str) -> list[Any]:
    ecs = clone.aws("ecs")
    (cluster,) = ecs.list_clusters()["clusterArns"]
    arns = ecs.list_tasks(cluster=cluster)["taskArns"]
    tasks = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []
    return [task for task in tasks if task.get("startedBy") == started_by and task["lastStatus"] != "STOPPED"]


def logins(clone: Clone) -> list[str]:
    """The roles of people in the database, asked as its owner."""
    (container,) = docker_lines("ps", "-q", *clone.store("rds"))
    query = "select rolname from pg_roles where rolname like 'connect%'"
    return docker_lines("exec", container, "psql", "-U", "dbowner", "-d", "postgres", "-Atc", query)


def test_a_command_runs_in_a_task_of_its_own_and_its_exit_code_is_the_answer(clone: Clone) -> None:
    program = "import os; print('I am', os.environ['DATABASE_USER'], os.getuid()); raise SystemExit(7)"
    done = run(clone, "run", "local", "--cpu", "512", "--memory", "1024", "--", "python", "-c", program)
    assert done.returncode == 7, done.stdout + done.stderr
    assert done.stdout == "I am slipway_local_app_1 10001\n"
    assert "as web of local, in account 000000000000 (us-east-1)" in done.stderr
    assert "exit code 7" in done.stderr


def test_the_release_steps_definition_may_change_the_schema(clone: Clone) -> None:
    program = "import os; print(os.environ['DATABASE_USER'])"
    assert "slipway_local_release_1\n" in run(clone, "run", "local", "--release", "--", "python", "-c", program).stdout


def test_a_manual_process_is_run_by_its_name_and_has_no_service(clone: Clone) -> None:
    done = run(clone, "run", "local", "backfill", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["process"], answer["exitCode"]) == (0, "backfill", 0)
    assert "filled " in done.stderr
    assert "backfill" not in json.loads(clone.pulumi("stack", "output", "--json"))["services"]


def test_ctrl_c_stops_the_task(clone: Clone) -> None:
    program = "import time; print('here', flush=True); time.sleep(600)"
    process = clone.start("run", "local", "--", "python", "-c", program)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    assert len(running_tasks(clone, "slipway-run")) == 1
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "was stopped" in stderr
    assert running_tasks(clone, "slipway-run") == []


def test_a_detached_task_goes_on_and_a_shell_reaches_it(clone: Clone) -> None:
    done = run(clone, "run", "local", "--detach", "--json", "--", "sleep", "600")
    arn = json.loads(done.stdout)["task"]
    ecs = clone.aws("ecs")
    cluster = arn.split("/")[1]

    def agents() -> list[str]:
        (task,) = ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"]
        return [a["lastStatus"] for c in task["containers"] for a in c.get("managedAgents", [])]

    until(lambda: "RUNNING" in agents())
    inside = run(clone, "exec", "local", "--task", arn.rpartition("/")[2][:8], "--", "cat", "/proc/1/cmdline")
    assert "sleep" in inside.stdout
    ecs.stop_task(cluster=cluster, task=arn)


def test_a_command_in_a_running_task_passes_its_words_and_its_exit_code(clone: Clone) -> None:
    done = run(clone, "exec", "local", "--", "sh", "-c", 'echo "it\'s $RELEASE"; id -u; exit 3')
    assert done.returncode == 3, done.stderr
    assert re.match(r"it's .+\n0\n$", done.stdout), "AWS's agent is root"
    for path in ("/managed-agents", "/var/lib/amazon", "/var/log/amazon"):
        assert run(clone, "exec", "local", "-p", "worker", "--", "touch", f"{path}/x").returncode == 0
    assert "Read-only file system" in run(clone, "exec", "local", "--", "touch", "/x").stderr


def test_a_shell_in_a_terminal_has_its_size_and_gets_ctrl_c(clone: Clone) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(clone.root)
        os.environ |= clone.env | {"TERM": "xterm"}
        command = [sys.executable, "-m", "slipway.cli.main", "exec", "local"]
        os.execv(command[0], command)  # noqa: S606 - the program itself, in a terminal of its own
    shown = ""

    def read_until(pattern: str) -> str:
        nonlocal shown
        deadline = time.monotonic() + 60
        while not re.search(pattern, shown):
            assert time.monotonic() < deadline, shown
            if select.select([terminal], [], [], 0.5)[0]:
                shown += os.read(terminal, 4096).decode(errors="replace")
        read, shown = shown, ""
        return read

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
    read_until(r"[#$] ")
    os.write(terminal, b"until stty size | grep 33.99; do sleep 1; done\n")  # Docker sets it after the start
    read_until("33 99")
    os.write(terminal, b"echo $((6 * 7)) ready; sleep 600\n")
    read_until("42 ready")
    time.sleep(1)  # until the shell waits for it
    os.write(terminal, b"\x03")
    os.write(terminal, b"echo still $((40 + 2))\n")
    read_until("still 42")
    os.write(terminal, b"exit 5\n")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 5


def test_a_login_of_ones_own_reads_and_is_gone_afterwards(clone: Clone) -> None:
    done = run(clone, "connect", "local", "database", "--", "psql", "-Atc", f"select current_user; {COUNT}")
    assert done.returncode == 0, done.stderr
    user, count = done.stdout.split()
    assert user.startswith("connect_")
    assert int(count) >= 0
    assert user in done.stderr, "it says which login it drops"
    assert logins(clone) == []
    create = "create table x (i int)"
    write = "begin; set transaction read write; delete from users"
    for statement in (create, write):
        refused = run(clone, "connect", "local", "database", "--", "psql", "-v", "ON_ERROR_STOP=1", "-Atc", statement)
        assert refused.returncode != 0
        assert re.search("permission denied|read-only", refused.stderr), refused.stderr


def test_a_login_may_write_where_that_is_asked_for_and_owns_no_schema(clone: Clone) -> None:
    words = ["connect", "local", "database", "--write", "--", "psql", "-v", "ON_ERROR_STOP=1", "-Atc"]
    done = run(clone, *words, "begin; delete from users; rollback")
    assert done.returncode == 0, done.stderr
    assert "permission denied" in run(clone, *words, "create table x (i int)").stderr
    assert logins(clone) == []


def test_a_port_stays_open_when_a_deploy_replaces_its_task(clone: Clone) -> None:
    process = clone.start("connect", "local", "database", "--json")
    assert process.stdout is not None
    answer = json.loads(process.stdout.readline())

    def query() -> str:
        done = subprocess.run(["bash", "-c", f"{answer['command']} -Atc {COUNT!r}"], capture_output=True, text=True)
        return done.stdout.strip() or done.stderr

    assert query().isdecimal()
    assert len(logins(clone)) == 1
    secret = Path(answer["passfile"]).read_text().strip().rpartition(":")[2]
    assert secret not in json.dumps(answer)
    ecs = clone.aws("ecs")
    arns = ecs.list_services(cluster=_cluster(clone))["serviceArns"]
    (web,) = [arn.rpartition("/")[2] for arn in arns if "-web" in arn]
    tasks = ecs.list_tasks(cluster=_cluster(clone), serviceName=web)["taskArns"]
    assert len(tasks) == 2
    for arn in tasks:
        ecs.stop_task(cluster=_cluster(clone), task=arn)
    assert process.stderr is not None
    lines: list[str] = []
    while not any("open a new connection" in line for line in lines):
        lines.append(process.stderr.readline())
        assert lines[-1], lines
    assert any("has ended. Connecting again" in line for line in lines)
    assert query().isdecimal()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert logins(clone) == []
    assert not Path(answer["passfile"]).exists()


def _cluster(clone: Clone) -> str:
    (cluster,) = clone.aws("ecs").list_clusters()["clusterArns"]
    return str(cluster)


def test_the_cache_and_a_port_of_a_task_are_reached_too(clone: Clone) -> None:
    until(lambda: run(clone, "exec", "local", "--", "true").returncode == 0)  # the tasks of before were stopped
    assert run(clone, "connect", "local", "cache", "--", "redis-cli", "ping").stdout == "PONG\n"
    process = clone.start("connect", "local", "8000", "--json")
    assert process.stdout is not None
    answer = json.loads(process.stdout.readline())
    assert "url" in answer, answer
    # Both tasks may have just started.
    tries = ["--retry", "120", "--retry-delay", "1", "--retry-all-errors"]
    done = subprocess.run(["curl", "-fsS", *tries, f"{answer['url']}/livez"], capture_output=True, text=True)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert done.returncode == 0, done.stderr


def test_what_cannot_be_reached_is_refused_with_what_there_is(clone: Clone) -> None:
    assert "There are web, worker" in clone.slipway("exec", "local", "-p", "nope", code=1)
    assert "backfill, cleanup, web, worker" in clone.slipway("run", "local", "nope", code=1)
    assert "slipway run local backfill" in clone.slipway("exec", "local", "-p", "backfill", code=1)
    assert "No task with an id that begins with zzz" in clone.slipway("exec", "local", "-t", "zzz", code=1)
    assert "neither a store nor a port" in clone.slipway("connect", "local", "queue", code=1)
