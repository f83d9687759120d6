"""Stacks of a clone whose roles are assumed as GitHub's jobs assume them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from tests.local.clone import Clone
from tests.local.rights.conftest import Issuer

REPOSITORY = "slipway/slipway"
Session = dict[str, Any]


class Shop:
    """The clone, its stacks, and sessions of its roles."""

    def __init__(self, clone: Clone, issuer: Issuer) -> None:
        self.clone = clone
        self.issuer = issuer

    def outputs(self, stack: str) -> Any:
        return json.loads(self.clone.pulumi("stack", "output", "--json", stack=stack))

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

    def client(self, service: str, session: Session) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]  # the stubs know literal names only
            endpoint_url=f"http://127.0.0.1:{self.clone.port}",
            region_name="us-east-1",
            aws_access_key_id=session["AccessKeyId"],
            aws_secret_access_key=session["SecretAccessKey"],
            aws_session_token=session["SessionToken"],
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def run(self, session: Session, command: str, *, fails: bool = False) -> str:
        """A job's command with the credentials of a session, which succeeds or fails; all that it printed."""
        variables = {
            "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
            "AWS_SESSION_TOKEN": session["SessionToken"],
        }
        lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
        lines.append(f"if {{ {command}; }} 2>&1; then exit 0; else exit 1; fi")
        return self.clone.shell("\n".join(lines), int(fails))

    @contextmanager
    def without(self, role_arn: str, action: str) -> Iterator[None]:
        """A role that has lost one permission, for as long as the block lasts."""
        statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        name, iam = role_arn.rpartition("/")[2], self.clone.aws("iam")
        iam.put_role_policy(RoleName=name, PolicyName="taken", PolicyDocument=document)
        try:
            yield
        finally:
            iam.delete_role_policy(RoleName=name, PolicyName="taken")

    def role(self, name: str, stack: str = "local") -> str:
        """ARN of a role, by its name without the stack's and without Pulumi's random end."""
        pattern = re.compile(rf"slipway-{stack}-{name}-[0-9a-f]{{7}}")
        pages = self.clone.aws("iam").get_paginator("list_roles").paginate()
        roles = [role for page in pages for role in page["Roles"]]
        return next(str(role["Arn"]) for role in roles if pattern.fullmatch(role["RoleName"]))

    def log_line(self, process: str, part: str) -> str:
        """A line of a process's log with `part` in it; empty where there is none."""
        group = self.outputs("local")["logGroups"][process]
        events = self.clone.aws("logs").filter_log_events(logGroupName=group)["events"]
        return next((str(event["message"]) for event in events if part in event["message"]), "")

    def uses(self, role: str) -> dict[str, bool]:
        """Action -> whether it was used, of a role of the stack local."""
        told = json.loads(self.clone.shell(f"slipway rights local {role} --used --json"))
        return {row["action"]: bool(row["uses"]) for row in told["rights"]}
