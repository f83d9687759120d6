"""Compares the local AWS's decisions with a second evaluator, `@cloud-copilot/iam-simulate`, on generated policies.

Usage: npm install --prefix FOLDER @cloud-copilot/iam-simulate
       python benchmarks/rights_second_opinion.py FOLDER/node_modules [--count 600] [--seed 1] [--record FILE]

`--record` writes the second evaluator's answers, one character a case, for the test that has no Node.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
from pathlib import Path
from typing import Any

from slipway_local.rights.evaluation import AccessRequest, Policies, evaluate
from slipway_local.rights.policy import parse
from slipway_local.rights.principals import Principal

ACCOUNT, OTHER = "111111111111", "222222222222"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ci/deployer"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/job"
USER = f"arn:aws:iam::{ACCOUNT}:user/ana"
ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:ListBucket", "sqs:SendMessage", "kms:Decrypt", "ecs:UpdateService"]
ACTION_PATTERNS = [*ACTIONS, "*", "s3:*", "S3:get*", "s3:?etObject", "sqs:*", "kms:*", "ecs:*", "s3:*Object", "ec2:*"]
RESOURCES = {
    "s3": ["arn:aws:s3:::app-state", "arn:aws:s3:::app-state/prod/stack.json", "arn:aws:s3:::app-state/ana/a:b.json"],
    "sqs": [f"arn:aws:sqs:us-east-1:{ACCOUNT}:jobs", f"arn:aws:sqs:eu-west-1:{OTHER}:jobs"],
    "kms": [f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd", f"arn:aws:kms:us-east-1:{OTHER}:key/1234abcd"],
    "ecs": [f"arn:aws:ecs:us-east-1:{ACCOUNT}:service/app/web"],
}
RESOURCE_PATTERNS = [
    "*",
    "arn:aws:s3:::app-state",
    "arn:aws:s3:::app-state/*",
    "arn:aws:s3:::app-state/prod/*",
    "arn:aws:s3:::app-state/${aws:username}/*",
    "arn:aws:s3:::app-state/${aws:PrincipalTag/team, 'prod'}/*",
    "arn:aws:s3:::app-*",
    "arn:aws:s3:::*/prod/*.json",
    "arn:aws:s3:::app-state/ana/a?b.json",
    f"arn:aws:sqs:us-east-1:{ACCOUNT}:*",
    "arn:aws:sqs:*:*:jobs",
    "arn:aws:sqs:*",
    f"arn:aws:kms:*:{ACCOUNT}:key/*",
    "arn:aws:kms:us-east-1:*:key/1234????",
    "arn:aws:ecs:*:*:service/app/*",
    f"arn:*:ecs:us-east-1:{ACCOUNT}:service/*",
]
NOT_IN_NOT_RESOURCE = ("arn:aws:sqs:*", "arn:aws:s3:::app-state/${aws:username}/*")
"""Left out of NotResource, for iam-simulate says of both that it does not know: a short ARN that does not match, and a
variable that may have no value, where slipway_local reads strictly (an Allow does not apply, a Deny does)."""
KEYS: dict[str, list[str | list[str]]] = {
    "aws:username": ["ana", "eve"],
    "aws:PrincipalTag/team": ["prod", "staging", "pr*"],
    "aws:RequestTag/Stack": ["prod", "staging"],
    "aws:TagKeys": [["Stack"], ["Stack", "Owner"], []],
    "aws:SourceIp": ["10.0.0.7", "203.0.113.9"],
    "aws:SecureTransport": ["true", "false"],
    "aws:CurrentTime": ["2026-11-29T12:00:00Z"],
    "aws:EpochTime": ["1795953600"],
    "aws:SourceArn": [f"arn:aws:ecs:us-east-1:{ACCOUNT}:service/app/web", f"arn:aws:sns:us-east-1:{ACCOUNT}:topic"],
    "s3:max-keys": ["10", "100"],
    "s3:prefix": ["prod/", "ana/x"],
    "aws:MultiFactorAuthPresent": ["true", "false"],
}
STRINGS = [
    "prod",
    "staging",
    "pr*",
    "p?od",
    "${aws:username}",
    "ANA",
    "ana",
    "Stack",
    "Owner",
    "prod/*",
    "${s3:prefix}",
]
OPERATORS: dict[str, list[str]] = {
    "StringEquals": STRINGS,
    "StringNotEquals": STRINGS,
    "StringEqualsIgnoreCase": STRINGS,
    "StringNotEqualsIgnoreCase": STRINGS,
    "StringLike": STRINGS,
    "StringNotLike": STRINGS,
    "NumericEquals": ["10", "100.0"],
    "NumericNotEquals": ["10"],
    "NumericLessThan": ["10", "50"],
    "NumericLessThanEquals": ["10"],
    "NumericGreaterThan": ["10", "50"],
    "NumericGreaterThanEquals": ["100"],
    "DateEquals": ["2026-11-29T12:00:00Z"],
    "DateNotEquals": ["2026-11-29T12:00:00Z"],
    "DateLessThan": ["2027-01-01T00:00:00Z", "2026-01-01T00:00:00Z"],
    "DateLessThanEquals": ["2026-11-29T12:00:00Z"],
    "DateGreaterThan": ["2026-01-01T00:00:00Z"],
    "DateGreaterThanEquals": ["2027-01-01T00:00:00Z"],
    "Bool": ["true", "false"],
    "Null": ["true", "false"],
    "IpAddress": ["10.0.0.0/8", "203.0.113.9"],
    "NotIpAddress": ["10.0.0.0/8"],
    "ArnEquals": [f"arn:aws:ecs:us-east-1:{ACCOUNT}:service/app/web", "arn:aws:ecs:*:*:service/*"],
    "ArnLike": ["arn:aws:ecs:*:*:service/app/*", "arn:aws:*:us-east-1:*:topic", "arn:aws:ecs:*"],
    "ArnNotEquals": [f"arn:aws:sns:us-east-1:{ACCOUNT}:topic"],
    "ArnNotLike": ["arn:aws:ecs:*:*:service/*"],
}
KEYS_OF_TYPE = {
    "Numeric": ["s3:max-keys"],
    "Date": ["aws:CurrentTime"],
    "Bool": ["aws:SecureTransport", "aws:MultiFactorAuthPresent"],
    "IpAddress": ["aws:SourceIp"],
    "NotIpAddress": ["aws:SourceIp"],
    "Arn": ["aws:SourceArn"],
    "String": ["aws:username", "aws:PrincipalTag/team", "aws:RequestTag/Stack", "aws:TagKeys", "s3:prefix"],
    "Null": ["aws:username", "aws:RequestTag/Stack", "aws:TagKeys"],
}
PRINCIPALS = [
    "*",
    {"AWS": ACCOUNT},
    {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    {"AWS": ROLE},
    {"AWS": SESSION},
    {"AWS": USER},
]
PRINCIPALS += [{"AWS": f"arn:aws:iam::{OTHER}:root"}, {"Service": "ecs-tasks.amazonaws.com"}, {"AWS": [USER, ROLE]}]


def condition(pick: random.Random) -> dict[str, dict[str, Any]]:
    """Returns one operator with one key."""
    operator = pick.choice(list(OPERATORS))
    keys = next(keys for start, keys in KEYS_OF_TYPE.items() if operator.startswith(start))
    key = pick.choice(keys)
    values = pick.sample(OPERATORS[operator], min(len(OPERATORS[operator]), pick.choice([1, 1, 2])))
    prefix = pick.choice(["ForAllValues:", "ForAnyValue:"]) if key == "aws:TagKeys" and pick.random() < 0.8 else ""
    suffix = "IfExists" if operator != "Null" and pick.random() < 0.25 else ""
    if operator == "Null":
        return {operator: {key: pick.choice(["true", "false"])}}
    return {f"{prefix}{operator}{suffix}": {key: values if len(values) > 1 else values[0]}}


def statement(pick: random.Random, with_principal: bool) -> dict[str, Any]:
    """Returns one statement, more often an Allow."""
    made: dict[str, Any] = {"Effect": pick.choice(["Allow", "Allow", "Allow", "Deny"])}
    actions = pick.sample(ACTION_PATTERNS, pick.choice([1, 2, 3]))
    made["NotAction" if pick.random() < 0.12 else "Action"] = actions if len(actions) > 1 else actions[0]
    element = "NotResource" if pick.random() < 0.12 else "Resource"
    patterns = [each for each in RESOURCE_PATTERNS if element == "Resource" or each not in NOT_IN_NOT_RESOURCE]
    resources = pick.sample(patterns, pick.choice([1, 2, 4]))
    made[element] = resources if len(resources) > 1 else resources[0]
    if pick.random() < 0.45:
        made["Condition"] = condition(pick)
        if pick.random() < 0.3:
            made["Condition"] = condition(pick) | made["Condition"]
    if with_principal:
        denies = made["Effect"] == "Deny"
        made["NotPrincipal" if denies and pick.random() < 0.15 else "Principal"] = pick.choice(PRINCIPALS)
    return made


def document(pick: random.Random, with_principal: bool = False) -> dict[str, Any]:
    """Returns a policy of one to four statements."""
    return {"Version": "2012-10-17", "Statement": [statement(pick, with_principal) for _ in range(pick.randint(1, 4))]}


def case(pick: random.Random) -> dict[str, Any]:
    """Returns one simulation, in the form that iam-simulate takes."""
    principal = pick.choice([SESSION, SESSION, SESSION, USER])
    action = pick.choice(ACTIONS)
    resource = pick.choice(RESOURCES[action.split(":")[0]])
    owner = resource.split(":")[4] or pick.choice([ACCOUNT, ACCOUNT, OTHER])
    made: dict[str, Any] = {
        "request": {
            "principal": principal,
            "action": action,
            "resource": {"resource": resource, "accountId": owner},
            "contextVariables": {key: pick.choice(values) for key, values in KEYS.items() if pick.random() < 0.6},
        },
        "identityPolicies": [{"name": f"p{n}", "policy": document(pick)} for n in range(pick.choice([0, 1, 2, 2]))],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
    }
    if pick.random() < 0.55:
        made["resourcePolicy"] = document(pick, with_principal=True)
    if pick.random() < 0.25:
        made["permissionBoundaryPolicies"] = [{"name": "boundary", "policy": document(pick)}]
    if principal == SESSION and pick.random() < 0.25:
        made["sessionPolicy"] = document(pick)
    return made


def cases(count: int, seed: int) -> list[dict[str, Any]]:
    """Returns `count` cases, the same for the same seed."""
    pick = random.Random(seed)  # noqa: S311 - not for security
    return [case(pick) for _ in range(count)]


def our_answer(made: dict[str, Any]) -> bool:
    """Returns whether slipway_local.rights allows the case."""
    asked = made["request"]
    is_role = asked["principal"] == SESSION
    principal = Principal("role" if is_role else "user", asked["principal"], ACCOUNT, ROLE if is_role else "")
    keys = {key.lower(): value for key, value in asked["contextVariables"].items()}
    resource = asked["resource"]
    request = AccessRequest(principal, asked["action"], resource["resource"], keys, resource["accountId"])
    boundary, session, policy = (made.get(k) for k in ("permissionBoundaryPolicies", "sessionPolicy", "resourcePolicy"))
    policies = Policies(
        identity=[parse(each["policy"]) for each in made["identityPolicies"]],
        boundary=[parse(each["policy"]) for each in boundary] if boundary else None,
        session=[parse(session)] if session else None,
        resource=parse(policy) if policy else None,
        resource_decides=asked["action"].startswith("kms:"),
    )
    return evaluate(request, policies).allowed


def known_difference(made: dict[str, Any]) -> str | None:
    """Returns why the two evaluators may differ in this case, by AWS's documentation; None where they must agree."""
    if "sessionPolicy" in made and f'"{SESSION}"' in json.dumps(made.get("resourcePolicy")):
        return (
            "What a resource's policy grants to a role session's own ARN is not limited by the session policy "
            "(IAM user guide, 'Session policies'); iam-simulate wants the session policy to allow it too."
        )
    if '"NotPrincipal"' in json.dumps(made.get("resourcePolicy")):
        return (
            "A denial with NotPrincipal spares only whom it names with account, role and session (IAM user guide, "
            "'NotPrincipal with Deny'); iam-simulate is content with the role, the session or the user alone."
        )
    if any(f'"{variable}"' not in json.dumps(made["request"]) for variable in _negated_variables(made)):
        return (
            "A variable without a value equals nothing, so StringNotLike and StringNotEqualsIgnoreCase hold "
            "(IAM user guide, 'Policy variables with no value'); iam-simulate says so for StringNotEquals only."
        )
    return None


def _negated_variables(made: dict[str, Any]) -> list[str]:
    block = r'"String(?:NotLike|NotEqualsIgnoreCase)(?:IfExists)?": \{[^}]*?\$\{([^}]*)\}'
    return re.findall(block, json.dumps(made))


def second_answers(made: list[dict[str, Any]], modules: Path) -> list[str]:
    """Returns iam-simulate's results: Allowed, ImplicitlyDenied, ExplicitlyDenied."""
    script = Path(__file__).with_suffix(".mjs")
    lines = "\n".join(json.dumps(each) for each in made)
    command = ["node", str(script), str(modules.resolve())]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def main() -> None:
    """Prints the counts, and each difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", type=Path)
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", type=Path)
    arguments = parser.parse_args()
    made = cases(arguments.count, arguments.seed)
    theirs = second_answers(made, arguments.modules)
    ours = [our_answer(each) for each in made]
    differences = [n for n, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != (b == "Allowed")]
    explained = [n for n in differences if known_difference(made[n])]
    print(f"{len(made)} cases, {sum(ours)} allowed by us, {theirs.count('Allowed')} by iam-simulate")
    print(f"{len(differences)} differences, {len(explained)} of them explained:")
    for reason in sorted({str(known_difference(made[n])) for n in explained}):
        print(f"  {reason}")
    for number in [n for n in differences if n not in explained][:5]:
        print(f"\n#{number}: we {'allow' if ours[number] else 'deny'}, iam-simulate: {theirs[number]}")
        print(json.dumps(made[number], indent=1))
    if arguments.record:
        answers = "".join("A" if each == "Allowed" else "D" for each in theirs)
        arguments.record.write_text(json.dumps({"seed": arguments.seed, "answers": answers}) + "\n")


if __name__ == "__main__":
    main()
