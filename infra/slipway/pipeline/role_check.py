"""Compares the pipeline's roles on AWS with the workflow files: their trust policies and session durations."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from slipway.config.errors import SlipwayError
from slipway.pipeline.setup_values import ROLE_OUTPUTS, EnvironmentValues
from slipway.release.aws_session import ClientFactory

SUBJECT_KEY = "token.actions.githubusercontent.com:sub"


def check_environment_roles(
    aws: ClientFactory, name: str, environment: EnvironmentValues, subjects: list[str]
) -> list[str]:
    """Returns the problems of a GitHub environment's roles as text; empty if its jobs can assume them.

    `subjects`: the repository's names in GitHub's tokens, `owner/name` or `owner@ID/name@ID`.
    """
    wrong: list[str] = []
    for variable, arn in environment.variables.items():
        if variable not in ROLE_OUTPUTS:
            continue
        try:
            role = aws.client("iam").get_role(RoleName=arn.rpartition("/")[2])["Role"]
        except (ClientError, BotoCoreError, SlipwayError) as error:
            wrong.append(f"environment {name}: {variable} ({arn}) cannot be read: {error}")
            continue
        wrong += [
            f"environment {name}: {variable} ({arn}) {problem}" for problem in _problems(role, arn, name, subjects)
        ]
        requested = environment.session_seconds.get(variable, 0)
        if requested > role.get("MaxSessionDuration", 3600):
            wrong.append(
                f"environment {name}: a job requests {requested} s as {variable}, whose longest session is "
                f"{role['MaxSessionDuration']} s: STS refuses it. pulumi up --stack {environment.stack}"
            )
    return wrong


def _problems(role: dict[str, Any], arn: str, environment: str, subjects: list[str]) -> list[str]:
    if role["Arn"] != arn:
        return ["belongs to another account than the current credentials"]
    wanted = {f"repo:{subject}:environment:{environment}" for subject in subjects}
    trusted = [
        statement.get("Condition", {}).get("StringEquals", {}).get(SUBJECT_KEY)
        for statement in role["AssumeRolePolicyDocument"]["Statement"]
    ]
    if not wanted & set(trusted):
        return [f"trusts {', '.join(str(subject) for subject in trusted)}, not {' or '.join(sorted(wanted))}"]
    return []
