"""A copy of this repository, and its commands run in it: beside whatever else runs here, on its own port and state."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3

from tests.paths import FIXTURES, ROOT, STACK_FILES
from tests.ports import free_port

COMMAND_SECONDS = 900


class Clone:
    """A copy of the repository and the `slipway` command run in it."""

    def __init__(self, root: Path, port: int) -> None:
        self.root = root
        self.port = port
        # SLIPWAY_RUN_DIR is not this clone's: an `eval "$(slipway env)"` around the tests must not reach it.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("SLIPWAY_RUN")}
        self.env = inherited | {"SLIPWAY_PORT": str(port), "PYTHONPATH": str(root)}
        self.url = ""
        """Of the stack local, once it was asked for."""

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        if arguments[0] in ("up", "down"):
            self.url = ""
        return subprocess.Popen(
            [sys.executable, "-m", "slipway.cli.main", *arguments],
            cwd=self.root,
            env=self.env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def slipway(self, *arguments: str, code: int = 0) -> str:
        process = self.start(*arguments)
        stdout, stderr = process.communicate(timeout=COMMAND_SECONDS)
        assert process.returncode == code, f"slipway {arguments}: {process.returncode}\n{stdout}\n{stderr}"
        return stdout + stderr

    def status(self) -> dict[str, Any]:
        process = self.start("status", "--json")
        stdout, _ = process.communicate(timeout=COMMAND_SECONDS)
        found: dict[str, Any] = json.loads(stdout)
        return found

    def get(self, path: str, url: str = "") -> tuple[int, str]:
        """Status and body of what the stack local, or the one at `url`, answers."""
        return self.request("GET", path, url=url)

    def request(self, method: str, path: str, body: str = "", url: str = "") -> tuple[int, str]:
        status, _, text = self.answer(method, path, body, url)
        return status, text

    def answer(self, method: str, path: str, body: str = "", url: str = "") -> tuple[int, Message, str]:
        """Status, headers and body."""
        if not url and not self.url:
            self.url = self.status()["url"]
        parts = urlsplit(url or self.url)
        connection = http.client.HTTPConnection("127.0.0.1", parts.port or 80, timeout=60)
        try:
            connection.request(method, path, body or None, {"Host": parts.netloc, "Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def pulumi(self, *arguments: str, stack: str = "local", code: int = 0) -> str:
        """Plain `pulumi`, as `eval "$(slipway env)"` makes it work."""
        return self.shell(shlex.join(["pulumi", *arguments, "--stack", stack]), code)

    def shell(self, commands: str, code: int = 0) -> str:
        """What somebody types, after `eval "$(slipway env)"`, once in a shell: up to the first command that fails."""
        done = subprocess.run(
            ["bash", "-c", f"set -e\n{self.exports}\n{commands}"],
            cwd=self.root,
            env=self.in_its_shell(),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    @cached_property
    def exports(self) -> str:
        """What `slipway env` prints in a shell in the copy."""
        command = [sys.executable, "-m", "slipway.cli.main", "env"]
        done = subprocess.run(command, cwd=self.root, env=self.in_its_shell(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def in_its_shell(self) -> dict[str, str]:
        """The environment of a shell in the copy, in which its virtual environment is active."""
        return self.env | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def aws(self, service: str) -> Any:
        """A client of its local AWS."""
        return boto3.client(
            service,  # type: ignore[call-overload]  # the stubs know literal names only
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - the local AWS takes any
        )

    def names(self, part: str) -> set[str]:
        """What the local AWS has with `part` in its name or ARN, as each service's own API tells."""
        aws, ecs, elb = self.aws, self.aws("ecs"), self.aws("elbv2")
        clusters = ecs.list_clusters()["clusterArns"]
        balancers = elb.describe_load_balancers()["LoadBalancers"]
        listed = [
            *aws("secretsmanager").list_secrets(IncludePlannedDeletion=True)["SecretList"],
            *aws("logs").describe_log_groups()["logGroups"],
            *aws("s3").list_buckets()["Buckets"],
            *aws("iam").list_roles()["Roles"],
            *aws("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"],
            *aws("cloudwatch").describe_alarms()["MetricAlarms"],
            *aws("sns").list_topics()["Topics"],
            *aws("sqs").list_queues().get("QueueUrls", []),
            *aws("scheduler").list_schedules()["Schedules"],
            *aws("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"],
            *balancers,
            *elb.describe_target_groups()["TargetGroups"],
            *aws("rds").describe_db_instances()["DBInstances"],
            *aws("rds").describe_db_snapshots()["DBSnapshots"],
            *aws("rds").describe_db_parameter_groups()["DBParameterGroups"],
            *aws("elasticache").describe_replication_groups()["ReplicationGroups"],
            *aws("elasticache").describe_cache_parameter_groups()["CacheParameterGroups"],
            *aws("ecr").describe_repositories()["repositories"],
            *clusters,
            *aws("ec2").describe_security_groups()["SecurityGroups"],
            *aws("ec2").describe_flow_logs()["FlowLogs"],
            *aws("ec2").describe_vpc_endpoints()["VpcEndpoints"],
            *aws("kms").list_aliases()["Aliases"],
            *aws("budgets").describe_budgets(AccountId="000000000000").get("Budgets", []),
        ]
        for balancer in balancers:
            for listener in elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]:
                listed += elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
        for cluster in clusters:
            for arn in ecs.list_services(cluster=cluster, maxResults=100)["serviceArns"]:
                (service,) = ecs.describe_services(cluster=cluster, services=[arn])["services"]
                listed += [service["serviceArn"]] if service["status"] != "INACTIVE" else []
            listed += [
                task["taskDefinitionArn"]
                for arn in ecs.list_tasks(cluster=cluster)["taskArns"]
                for task in ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"]
                if task["lastStatus"] != "STOPPED"
            ]
        return {str(found)[:200] for found in listed if part in str(found)}

    def containers(self) -> list[str]:
        return docker_lines("ps", "--all", "--quiet", "--filter", f"label=slipway.emulator={self.port}")

    def inspect_containers(self) -> list[Any]:
        """Returns `docker inspect` of each container, without those that are removed meanwhile (scheduled tasks')."""
        done = subprocess.run(["docker", "inspect", *self.containers()], capture_output=True, text=True)
        found: list[Any] = json.loads(done.stdout)
        return found

    def volumes(self) -> list[str]:
        return docker_lines("volume", "ls", "--quiet", "--filter", f"label=slipway.emulator={self.port}")

    def store(self, service: str) -> list[str]:
        """Options of `docker ps` for the containers of `rds` or `elasticache`."""
        return ["--filter", f"label=slipway.emulator={self.port}", "--filter", f"label=ministack={service}"]

    def processes(self) -> list[str]:
        """Command lines of processes that run from this copy."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    words = (entry / "cmdline").read_bytes().decode(errors="replace")
                    inside = str(self.root) in (entry / "environ").read_bytes().decode(errors="replace")
                except (FileNotFoundError, ProcessLookupError, PermissionError):
                    continue
                if inside and words:
                    found.append(words.replace("\0", " "))
        return found


def docker_lines(*arguments: str) -> list[str]:
    """The words that a `docker` command prints."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


def copy_to(root: Path) -> None:
    """The work tree as git would have it, below `root`, with the stack files and the program of the tests' project."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    for file in (FIXTURES / "Pulumi.yaml", FIXTURES / "infra" / "__main__.py", *STACK_FILES):
        shutil.copy2(file, root / file.relative_to(FIXTURES))
    (root / ".venv").symlink_to(Path(sys.executable).parents[1])


@contextmanager
def cloned(root: Path) -> Iterator[Clone]:
    """A copy on a free port; taken down at the end, whatever came of it.

    Without its state: everything goes with the local AWS, and to destroy each resource first, as a person's `down` does
    (test_environment.py), takes half a minute.
    """
    copy_to(root)
    port = free_port()
    clone = Clone(root, port)
    try:
        yield clone
    finally:
        shutil.rmtree(root / ".slipway" / "state", ignore_errors=True)
        clone.slipway("down")
