"""Two stacks in two accounts of a clone's local AWS, whose roles are assumed as GitHub's jobs assume them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from slipway_local.rights.usage import read_uses
from tests.local.clone import COMMAND_SECONDS, Clone
from tests.local.rights.conftest import Issuer

REPOSITORY = "acme/shop"
ACCOUNTS = {"staging": "000000000000", "prod": "222222222222"}
"""Stack -> its account. Pulumi's state and its key are in staging's, as `slipway bootstrap --also-for` makes them."""
START = """from slipway.config.app_spec.loader import load_app
from slipway.config.settings import Settings
from slipway_local.up_down import start_local_aws
settings = Settings.from_files("local")
start_local_aws(load_app(settings), settings)
"""
Session = dict[str, Any]


class CommandFailed(AssertionError):
    """A command that ended with another code than 0; all that it printed."""


class Shop:
    """The clone, its stacks, and sessions of their roles."""

    def __init__(self, clone: Clone, issuer: Issuer) -> None:
        self.clone = clone
        self.issuer = issuer
        self.backend: Mapping[str, str] = {}
        self._outputs: dict[str, Any] = {}

    def start(self) -> None:
        """Starts the local AWS with no stack in it, and makes the state's bucket and key for both accounts."""
        self.execute(["python", "-c", START], {})
        command = ["slipway", "bootstrap", "--also-for", ACCOUNTS["prod"], "--json"]
        told = self.execute(command, self.person("staging"), only_output=True)
        self.backend = json.loads(told)

    def deploy(self, stack: str, file: str) -> None:
        """The person's first `up` of a stack."""
        (self.clone.root / "stacks" / f"Pulumi.{stack}.yaml").write_text(file)
        provider = self.backend["secrets_provider"].replace("STACK", stack)
        self.as_person(stack, f"pulumi stack init {stack} --no-select --secrets-provider '{provider}'")
        self.as_person(stack, f"pulumi up --yes --skip-preview --stack {stack}")

    @staticmethod
    def person(stack: str) -> dict[str, str]:
        """Variables of a person with all rights in the stack's account."""
        account = ACCOUNTS[stack]
        key = "test" if account == "000000000000" else account
        return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": "test"}

    def as_person(self, stack: str, command: str, **more: str) -> str:
        return self.execute(["sh", "-ec", command], self.person(stack) | more)

    def execute(self, command: list[str], variables: Mapping[str, str], *, only_output: bool = False) -> str:
        """What a command of a shell in the clone prints, with Pulumi's state in the bucket.

        Raises `CommandFailed`.
        """
        state = {"PULUMI_BACKEND_URL": self.backend["backend"]} if self.backend else {}
        state["PULUMI_CONFIG_PASSPHRASE"] = ""
        exports = {key: f"export {key}={shlex.quote(each)}" for key, each in (state | {**variables}).items()}
        if "PATH" in exports:
            exports["PATH"] += ':"$PATH"'  # where `slipway env` has put Pulumi
        lines = [self.clone.exports, *exports.values()]
        done = subprocess.run(
            ["bash", "-c", "\n".join([*lines, f"exec {shlex.join(command)}"])],
            cwd=self.clone.root,
            env=self.clone.in_its_shell(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if only_output else subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        self._outputs.clear()
        if done.returncode:
            raise CommandFailed(done.stdout + (done.stderr or ""))
        return done.stdout

    def outputs(self, stack: str) -> Any:
        """A stack's outputs, read again after each command."""
        if stack not in self._outputs:
            command = ["pulumi", "stack", "output", "--json", "--stack", stack]
            self._outputs[stack] = json.loads(self.execute(command, self.person(stack), only_output=True))
        return self._outputs[stack]

    def aws(self, service: str, stack: str = "staging") -> Any:
        """A client of the person in the stack's account."""
        keys = self.person(stack)
        return self.client(service, {"AccessKeyId": keys["AWS_ACCESS_KEY_ID"], "SecretAccessKey": "test"})

    def client(self, service: str, session: Session) -> Any:
        """A client with the credentials of a session."""
        return boto3.client(
            service,  # type: ignore[call-overload]  # the stubs know literal names only
            endpoint_url=f"http://127.0.0.1:{self.clone.port}",
            region_name="us-east-1",
            aws_access_key_id=session["AccessKeyId"],
            aws_secret_access_key=session["SecretAccessKey"],
            aws_session_token=session.get("SessionToken"),
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def assume(
        self, role_arn: str, environment: str, *, key: Any = None, seconds: int = 3600, **claims: Any
    ) -> Session:
        """What configure-aws-credentials does in a job of GitHub that names an environment."""
        subject = f"repo:{REPOSITORY}:environment:{environment}"
        token = self.issuer.token(key, **{"sub": subject, **claims})
        sts = boto3.client(
            "sts",
            endpoint_url=f"http://127.0.0.1:{self.clone.port}",
            region_name="us-east-1",
            config=Config(signature_version=UNSIGNED),
        )
        answer = sts.assume_role_with_web_identity(
            RoleArn=role_arn, RoleSessionName="GitHubActions", WebIdentityToken=token, DurationSeconds=seconds
        )
        return dict(answer["Credentials"])

    def run(self, session: Session, command: str, *, fails: bool = False) -> str:
        """A job's command with the credentials of a session, which succeeds or fails; all that it printed."""
        try:
            told = self.execute(["sh", "-ec", command], session_variables(session))
        except CommandFailed as error:
            if not fails:
                raise
            return str(error)
        assert not fails, f"{command} succeeded: {told}"
        return told

    @contextmanager
    def without(self, role_arn: str, action: str, stack: str = "staging") -> Iterator[None]:
        """A role that has lost one permission, for as long as the block lasts."""
        statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        name, iam = role_arn.rpartition("/")[2], self.aws("iam", stack)
        iam.put_role_policy(RoleName=name, PolicyName="taken", PolicyDocument=document)
        try:
            yield
        finally:
            iam.delete_role_policy(RoleName=name, PolicyName="taken")

    def role(self, name: str, stack: str = "staging") -> str:
        """ARN of a role, by its name without the stack's and without Pulumi's random end."""
        pattern = re.compile(rf"slipway-{stack}-{name}-[0-9a-f]{{7}}")
        pages = self.aws("iam", stack).get_paginator("list_roles").paginate()
        roles = [role for page in pages for role in page["Roles"]]
        return next(str(role["Arn"]) for role in roles if pattern.fullmatch(role["RoleName"]))

    def log_line(self, process: str, part: str) -> str:
        """A line of a process's log with `part` in it; empty where there is none."""
        group = self.outputs("staging")["logGroups"][process]
        events = self.aws("logs").filter_log_events(logGroupName=group)["events"]
        return next((str(event["message"]) for event in events if part in event["message"]), "")

    def used(self, role: str) -> set[str]:
        """Actions that a role of staging was allowed."""
        arn, file = self.role(role), self.clone.root / ".slipway" / "rights.jsonl"
        return {use.action for use in read_uses(file) if use.role == arn and use.allowed}

    def count_resources(self) -> dict[str, list[str]]:
        """What is in both accounts of what a pipeline's job changes, for a comparison."""
        found: dict[str, list[str]] = {}
        for stack in ACCOUNTS:
            ecs, elb = self.aws("ecs", stack), self.aws("elbv2", stack)
            found[stack] = [
                *ecs.list_task_definitions()["taskDefinitionArns"],
                *(group["TargetGroupArn"] for group in elb.describe_target_groups()["TargetGroups"]),
            ]
        return found


def session_variables(session: Session) -> dict[str, str]:
    """The variables that configure-aws-credentials sets."""
    return {
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
    }
