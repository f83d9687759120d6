"""Roles by use: the app's tasks with their own rights, the pipeline's commands under its roles, and a thief's attempts.

The stack `local` has the app. `staging` and `prod` are like it, and everything done to them is done by a job of GitHub
whose token an issuer of these tests signs. One environment serves all tests, in their order.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import botocore.exceptions
import httpx2 as httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.local.clone import ROOT, cloned
from tests.local.conftest import until
from tests.local.pipeline_roles import REPOSITORY, Shop
from tests.local.rights.conftest import ISSUER, Issuer
from tests.local.thief import ATTEMPTS, STATE_BUCKET, Thief

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not (ROOT / "tests" / "app").is_dir(), reason="the reference app was removed"),
]

ADA = {"email": "ada@example.com", "display_name": "Ada", "password": "correct horse battery"}
OWN_SETTINGS = f"""  githubProvider: false
  stateBucket: {STATE_BUCKET}
"""
STACKS = {"staging": "  promotesTo: prod\n", "prod": "  promotesFrom: staging\n  previews: false\n"}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    started = Issuer()
    yield started
    started.server.shutdown()


@pytest.fixture(scope="module")
def shop(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with cloned(tmp_path_factory.mktemp("rights") / "repository") as clone:
        clone.env["SLIPWAY_OIDC_ISSUERS"] = json.dumps({ISSUER: issuer.address})
        local = (clone.root / "stacks" / "Pulumi.local.yaml").read_text()
        like_it = re.sub(r"^encryptionsalt.*\n", "", local, flags=re.MULTILINE)
        clone.slipway("up")
        clone.aws("s3").create_bucket(Bucket=STATE_BUCKET)
        for stack, settings in STACKS.items():
            text = re.sub(r"^  previews: .*\n", "", like_it, flags=re.MULTILINE) if "previews" in settings else like_it
            (clone.root / "stacks" / f"Pulumi.{stack}.yaml").write_text(text + OWN_SETTINGS + settings)
            clone.shell(f"pulumi stack init {stack}")
            clone.pulumi("up", "--yes", "--skip-preview", stack=stack)
            key = f".pulumi/stacks/slipway/{stack}.json"
            clone.aws("s3").put_object(Bucket=STATE_BUCKET, Key=key, Body=b"{}")
        yield Shop(clone, issuer)


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    """Code and message of AWS's error."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def export(shop: Shop, *, until_done: bool = True) -> str:
    """An export of items of a new account: the file at its end, or nothing where that is not waited for."""
    host = shop.clone.status()["url"].split("//")[1].rstrip("/")
    account = ADA | {"email": f"{os.urandom(4).hex()}@example.com"}
    with httpx.Client(base_url=f"http://127.0.0.1:{shop.clone.port}", headers={"host": host}, timeout=60) as api:
        assert api.post("/api/v1/users/", json=account).status_code == 201
        form = {"username": account["email"], "password": account["password"]}
        api.headers["authorization"] = f"Bearer {api.post('/api/v1/auth/token', data=form).json()['access_token']}"
        api.post("/api/v1/items/", json={"title": "Lighthouse"})
        started = api.post("/api/v1/items/exports")
        assert started.status_code == 202, started.text
        where = started.headers["location"]
        if not until_done:
            return ""
        until(lambda: api.get(where).json()["status"] == "done")
        return str(api.get(f"{where}/file").text)


def test_the_app_works_with_the_rights_of_its_roles_and_no_keys(shop: Shop) -> None:
    assert "Lighthouse" in export(shop)
    assert shop.uses("web-task")["sqs:SendMessage"]
    assert shop.uses("web-task")["s3:GetObject"]
    worker = shop.uses("worker-task")
    needed = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "s3:PutObject", "ecs:UpdateTaskProtection")
    assert {action: worker[action] for action in needed} == dict.fromkeys(needed, True)
    execution = shop.uses("web-execution")
    needed = ("secretsmanager:GetSecretValue", "kms:Decrypt", "ecr:GetAuthorizationToken", "logs:CreateLogStream")
    assert {action: execution[action] for action in needed} == dict.fromkeys(needed, True)


def test_a_task_whose_role_lost_its_s3_right_is_told_so_in_awss_words(shop: Shop) -> None:
    role = shop.role("worker-task")
    with shop.without(role, "s3:PutObject"):
        export(shop, until_done=False)
        told = until(lambda: shop.log_line("worker", "s3:PutObject"))
    assert "AccessDenied" in told
    assert f"assumed-role/{role.rpartition('/')[2]}/" in told
    assert "is not authorized to perform: s3:PutObject on resource: arn:aws:s3:::slipway-local-bucket" in told


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("secretsmanager:GetSecretValue", "ResourceInitializationError: unable to pull secrets or registry auth"),
        ("kms:Decrypt", "ResourceInitializationError: unable to pull secrets or registry auth"),
        ("ecr:GetAuthorizationToken", "unable to retrieve ecr registry auth"),
        ("ecr:BatchGetImage", "CannotPullContainerError"),
        ("logs:CreateLogStream", "ResourceInitializationError: failed to validate logger args"),
    ],
)
def test_a_task_whose_execution_role_lost_a_right_does_not_start(shop: Shop, action: str, words: str) -> None:
    ecs, outputs = shop.clone.aws("ecs"), shop.outputs("local")
    cluster = outputs["foundation"]["cluster"]["arn"]
    (service,) = ecs.describe_services(cluster=cluster, services=[outputs["services"]["web"]])["services"]
    with shop.without(shop.role("web-execution"), action):
        started = ecs.run_task(
            cluster=cluster,
            taskDefinition=service["taskDefinition"],
            launchType="FARGATE",
            networkConfiguration=service["networkConfiguration"],
        )
        task = started["tasks"][0]["taskArn"]

        def ended() -> Any:
            (found,) = ecs.describe_tasks(cluster=cluster, tasks=[task])["tasks"]
            return found if found["lastStatus"] == "STOPPED" else None

        found = until(ended)
    assert found["stopCode"] == "TaskFailedToStart"
    assert words in found["stoppedReason"]
    assert f"is not authorized to perform: {action}" in found["stoppedReason"]


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"sub": "repo:somebody/slipway:environment:staging"}, "AccessDenied"),
        ({"sub": f"repo:{REPOSITORY}:environment:preview"}, "AccessDenied"),
        ({"sub": f"repo:{REPOSITORY}:ref:refs/heads/main"}, "AccessDenied"),
        ({"sub": f"repo:{REPOSITORY}:pull_request"}, "AccessDenied"),
        ({"exp": 1}, "ExpiredTokenException"),
        ({"aud": "https://github.com/somebody"}, "InvalidIdentityToken"),
        ({"iss": "https://issuer.example.com"}, "InvalidIdentityToken"),
        ({"key": "another"}, "InvalidIdentityToken"),
    ],
)
def test_a_wrong_token_gets_no_session(shop: Shop, claims: dict[str, Any], code: str) -> None:
    """Of another repository (a fork's), another environment, a branch, a pull request, expired, by another."""
    role = shop.outputs("staging")["pipelineRole"]
    assert shop.assume(role, "staging")["SessionToken"]
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048) if claims.pop("key", "") else None
    assert refusal(lambda: shop.assume(role, "staging", key=key, **claims))[0] == code


def test_a_job_gets_no_longer_session_than_its_role_has(shop: Shop) -> None:
    outputs = shop.outputs("staging")
    assert shop.assume(outputs["pipelineRole"], "staging", seconds=5400)["SessionToken"]
    code, message = refusal(lambda: shop.assume(outputs["driftRole"], "drift-staging", seconds=5400))
    assert (code, "MaxSessionDuration" in message) == ("ValidationError", True)


def test_drift_runs_under_its_role(shop: Shop) -> None:
    session = shop.assume(shop.outputs("staging")["driftRole"], "drift-staging")
    assert "staging: nothing differs." in shop.run(session, "slipway drift staging")


@pytest.mark.parametrize(
    "action",
    ["ecs:DescribeServices", "elasticloadbalancing:DescribeListeners", "iam:GetRole", "rds:DescribeDBInstances"],
)
def test_a_permission_that_drift_lost_is_named(shop: Shop, action: str) -> None:
    role = shop.outputs("staging")["driftRole"]
    session = shop.assume(role, "drift-staging")
    with shop.without(role, action):
        assert action in shop.run(session, "slipway drift staging", fails=True)


def test_a_commit_is_deployed_under_the_pipelines_role(shop: Shop) -> None:
    before = shop.outputs("staging")["imageDigest"]
    (shop.clone.root / "app" / "main.py").open("a").write("\n# another commit\n")
    session = shop.assume(shop.outputs("staging")["pipelineRole"], "staging", seconds=5400)
    shop.run(session, "pulumi up --yes --stack staging")
    assert shop.outputs("staging")["imageDigest"] != before
    assert "images" in shop.run(session, "slipway image prune staging --yes")


@pytest.mark.parametrize("action", ["ecs:UpdateService", "ecs:RegisterTaskDefinition", "iam:PassRole", "ecr:PutImage"])
def test_a_permission_that_the_deploy_lost_is_named(shop: Shop, action: str) -> None:
    role = shop.outputs("staging")["pipelineRole"]
    with (shop.clone.root / "app" / "main.py").open("a") as code:
        code.write(f"\n# without {action}\n")
    session = shop.assume(role, "staging", seconds=5400)
    with shop.without(role, action):
        assert action in shop.run(session, "pulumi up --yes --skip-preview --stack staging", fails=True)


def test_what_staging_serves_is_promoted_under_two_roles(shop: Shop) -> None:
    reads = shop.assume(shop.outputs("staging")["promoteRole"], "prod")
    deploys = shop.assume(shop.outputs("prod")["pipelineRole"], "prod", seconds=5400)
    profile = shop.clone.root / "credentials"
    profile.write_text(
        "[staging]\n"
        f"aws_access_key_id = {reads['AccessKeyId']}\n"
        f"aws_secret_access_key = {reads['SecretAccessKey']}\n"
        f"aws_session_token = {reads['SessionToken']}\n"
    )
    digest = shop.outputs("staging")["imageDigest"]
    promote = f"slipway promote staging prod --digest {digest} --from-profile staging --yes"
    shop.run(deploys, f"AWS_SHARED_CREDENTIALS_FILE={profile} {promote} && pulumi up --yes --stack prod")
    assert shop.outputs("prod")["imageDigest"] == digest


def test_a_preview_comes_and_goes_under_the_previews_role(shop: Shop) -> None:
    outputs = shop.outputs("staging")
    session = shop.assume(outputs["previewRole"], "preview")
    create = f"slipway preview create pr-7 --base staging --image {outputs['imageDigest']} --json"
    shop.run(session, create)
    assert shop.clone.names("slipway-pr-7")
    shop.run(session, "slipway preview destroy pr-7 --base staging --yes")
    assert shop.clone.names("slipway-pr-7") == set()


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_thief_with_the_previews_role_is_refused(shop: Shop, attempt: str) -> None:
    code, message = refusal(lambda: ATTEMPTS[attempt](Thief(shop)))
    assert code in ("AccessDenied", "AccessDeniedException")
    assert "is not authorized to perform" in message
