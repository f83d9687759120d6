"""Roles by use: the app's tasks with their own rights, the pipeline's jobs under its roles, and a thief's attempts.

Stack `staging` is in one account and `prod` in another, both of one local AWS, and Pulumi's state is in its S3. Each
job is read from its workflow file and run under its role, whose token an issuer of these tests signs. Of a lost
permission there are three kinds: of whole commands and of single calls here, and of the table of actions in
tests/infra/test_ci_lost_permissions.py. One environment serves all tests, in their order.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import botocore.exceptions
import httpx2 as httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.local.clone import ROOT, cloned, docker_lines
from tests.local.conftest import until
from tests.local.lost_permissions import CALLS
from tests.local.pipeline_jobs import Jobs
from tests.local.pipeline_stacks import ACCOUNTS, REPOSITORY, CommandFailed, Shop, session_variables
from tests.local.preview_thief import REFUSED, WORKS, Thief
from tests.local.rights.conftest import ISSUER, Issuer
from tests.workflows import load

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not (ROOT / "tests" / "app").is_dir(), reason="the reference app was removed"),
]

ADA = {"email": "ada@example.com", "display_name": "Ada", "password": "correct horse battery"}
SETTINGS = {"staging": "  promotesTo: prod\n", "prod": "  promotesFrom: staging\n"}
PULL_REQUEST = {"github.event.number": "7", "github.server_url": "https://github.com", "github.run_id": "1"}
CREDENTIALS = (
    "import os, urllib.request as r; "
    "uri = 'http://169.254.170.2' + os.environ['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI']; "
    "print(r.urlopen(uri).read().decode())"
)
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
ROUTE = """

@app.get("/greeting", include_in_schema=False)
async def greeting() -> str:
    return "{}"
"""
DOCKER = """#!/bin/sh
test "$2 $3" = "imagetools inspect" && echo sha256:{digest}
"""


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    started = Issuer()
    yield started
    started.server.shutdown()


@pytest.fixture(scope="module")
def shop(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with cloned(tmp_path_factory.mktemp("rights") / "repository") as clone:
        clone.env["SLIPWAY_OIDC_ISSUERS"] = json.dumps({ISSUER: issuer.address})
        shop = Shop(clone, issuer)
        shop.start()
        local = (clone.root / "stacks" / "Pulumi.local.yaml").read_text()
        files = {stack: stack_file(shop, local, stack) for stack in ACCOUNTS}
        with ThreadPoolExecutor() as pool:
            list(pool.map(shop.deploy, files, files.values()))
        git(clone.root, "init", "--quiet", "--initial-branch", "main")
        commit(clone.root)
        yield shop


def stack_file(shop: Shop, local: str, stack: str) -> str:
    """As the stack `local` has it, in the stack's account, with its state in the bucket and one task of a process."""
    text = re.sub(r"^(encryptionsalt|  monthlyBudgetUsd).*\n", "", local, flags=re.MULTILINE)
    text = text.replace("000000000000", ACCOUNTS[stack]).replace("slipway/slipway", REPOSITORY)
    text = text.replace("previews: true", f"previews: {str(stack == 'staging').lower()}")
    text = text.replace("tasks: 2, maxTasks: 2", "tasks: 1, maxTasks: 1")
    state = f"  stateBucket: {shop.backend['bucket']}\n  stateKey: {shop.backend['key_arn']}\n"
    return text + state + SETTINGS[stack]


@pytest.fixture(scope="module")
def jobs(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    """The repository on GitHub, set up by the command."""
    jobs = Jobs(shop, tmp_path_factory.mktemp("github"))
    command = f"slipway pipeline setup --repository {REPOSITORY} --reviewer ada --preview-base staging --yes"
    told = shop.as_person("staging", command, **jobs.path)
    assert "environment prod: set PIPELINE_ROLE" in told
    return jobs


def git(root: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    done = subprocess.run(["git", *who, *arguments], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(root: Path) -> str:
    """A commit of all that is there; its hash."""
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "change")
    return git(root, "rev-parse", "HEAD")


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    """Code and message of AWS's error."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def export(shop: Shop, *, until_done: bool = True) -> str:
    """An export of items of a new account: the file at its end, or nothing where that is not waited for."""
    host = shop.outputs("staging")["url"].split("//")[1].rstrip("/")
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
    assert {"sqs:SendMessage", "s3:GetObject"} <= shop.used("web-task")
    needed = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "s3:PutObject", "ecs:UpdateTaskProtection"}
    assert needed <= shop.used("worker-task")
    needed = {"secretsmanager:GetSecretValue", "kms:Decrypt", "ecr:GetAuthorizationToken", "logs:CreateLogStream"}
    assert needed <= shop.used("web-execution")


def test_a_task_whose_role_lost_its_s3_right_is_told_so_in_awss_words(shop: Shop) -> None:
    role = shop.role("worker-task")
    with shop.without(role, "s3:PutObject"):
        export(shop, until_done=False)
        told = until(lambda: shop.log_line("worker", "s3:PutObject"))
    assert "AccessDenied" in told
    assert f"assumed-role/{role.rpartition('/')[2]}/" in told
    assert "is not authorized to perform: s3:PutObject on resource: arn:aws:s3:::slipway-staging-bucket" in told


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
    ecs, outputs = shop.aws("ecs"), shop.outputs("staging")
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


def test_github_has_all_that_the_jobs_need_and_the_check_says_whose_roles_it_cannot_see(shop: Shop, jobs: Jobs) -> None:
    told = json.loads(
        shop.execute(
            ["slipway", "pipeline", "check", "--repository", REPOSITORY, "--preview-base", "staging", "--json"],
            shop.person("staging") | jobs.path,
            only_output=True,
        )
    )
    assert told["missing"] == []
    unseen = [note for note in told["notes"] if "its roles were not looked at" in note]
    assert [note.split(":")[0] for note in unseen] == ["environment drift-prod", "environment prod"]
    assert f"in the account {ACCOUNTS['prod']}, and the credentials are for {ACCOUNTS['staging']}" in unseen[0]


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"sub": "repo:somebody/shop:environment:staging"}, "AccessDenied"),
        ({"sub": "repo:acme/shop-2:environment:staging"}, "AccessDenied"),
        ({"sub": "repo:acme@1/shop@2:environment:staging"}, "AccessDenied"),
        ({"sub": f"repo:{REPOSITORY}:environment:preview"}, "AccessDenied"),
        ({"sub": f"repo:{REPOSITORY}:environment:prod"}, "AccessDenied"),
        ({"sub": f"repo:{REPOSITORY}:ref:refs/heads/main"}, "AccessDenied"),
        ({"sub": f"repo:{REPOSITORY}:pull_request"}, "AccessDenied"),
        ({"exp": 1}, "ExpiredTokenException"),
        ({"aud": "https://github.com/somebody"}, "InvalidIdentityToken"),
        ({"iss": "https://issuer.example.com"}, "InvalidIdentityToken"),
        ({"key": "another"}, "InvalidIdentityToken"),
    ],
)
def test_a_wrong_token_gets_no_session(shop: Shop, claims: dict[str, Any], code: str) -> None:
    """Of a fork and of other repositories, of another environment, a branch, a pull request, expired, by another."""
    role = shop.outputs("staging")["pipelineRole"]
    assert shop.assume(role, "staging")["SessionToken"]
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048) if claims.pop("key", "") else None
    assert refusal(lambda: shop.assume(role, "staging", key=key, **claims))[0] == code


def test_a_right_token_gets_no_role_of_another_environment_or_account(shop: Shop) -> None:
    staging, prod = shop.outputs("staging"), shop.outputs("prod")
    wrong = {"staging": prod["pipelineRole"], "preview": staging["pipelineRole"], "prod": staging["driftRole"]}
    for environment, role in wrong.items():
        assert refusal(lambda: shop.assume(role, environment))[0] == "AccessDenied"  # noqa: B023 - called at once


def test_a_job_gets_no_longer_session_than_its_role_has(shop: Shop) -> None:
    outputs = shop.outputs("staging")
    assert shop.assume(outputs["pipelineRole"], "staging", seconds=5400)["SessionToken"]
    code, message = refusal(lambda: shop.assume(outputs["driftRole"], "drift-staging", seconds=5400))
    assert (code, "MaxSessionDuration" in message) == ("ValidationError", True)


def test_a_role_on_a_stack_that_it_is_not_for_is_refused_and_nothing_changes(shop: Shop) -> None:
    session = shop.assume(shop.outputs("staging")["pipelineRole"], "staging")
    before = shop.count_resources()
    told = shop.run(session, "pulumi up --yes --skip-preview --stack prod", fails=True)
    assert "S3: HeadObject, https response error StatusCode: 403" in told, "a HEAD's answer has no message, as on AWS"
    told = shop.run(session, "slipway image prune prod --yes", fails=True)
    assert "StatusCode: 403" in told
    assert "what to do: Use the role of this stack and no other: slipway pipeline check" in " ".join(told.split())
    told = shop.run(session, "slipway preview create pr-9 --base staging --image sha256:0", fails=True)
    assert "failed to load checkpoint" in told
    assert "what to do: Use the role of this stack and no other: slipway pipeline check" in " ".join(told.split())
    assert shop.count_resources() == before


def test_a_call_of_a_deploy_that_lost_its_permission_is_refused_by_its_name(shop: Shop) -> None:
    outputs = shop.outputs("staging")
    log = outputs["logGroups"]["web"]
    streams = shop.aws("logs").describe_log_streams(logGroupName=log)["logStreams"]
    what = {
        "repository": outputs["foundation"]["registry"]["arn"].partition("/")[2],
        "imageDigest": outputs["imageDigest"],
        "cluster": outputs["foundation"]["cluster"]["arn"],
        "service": outputs["services"]["web"],
        "listener": outputs["foundation"]["load_balancer"]["listener_arn"],
        "loadBalancer": shop.aws("elbv2").describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"],
        "targetGroup": shop.aws("elbv2").describe_target_groups()["TargetGroups"][0]["TargetGroupArn"],
        "queue": next(
            url for url in shop.aws("sqs").list_queues()["QueueUrls"] if re.search(r"staging-jobs-[0-9a-f]{7}$", url)
        ),
        "bucket": shop.backend["bucket"],
        "log": log,
        "stream": streams[0]["logStreamName"],
    }
    role = outputs["pipelineRole"]
    session = shop.assume(role, "staging")
    for action, call in CALLS.items():
        call(lambda service: shop.client(service, session), what)
        with shop.without(role, action):
            _, message = refusal(lambda: call(lambda service: shop.client(service, session), what))  # noqa: B023
        assert f"is not authorized to perform: {action} on resource" in message
        assert "with an explicit deny in an identity-based policy" in message


def greeting(shop: Shop, stack: str) -> str:
    """Returns what an environment answers on the route that these tests add to the app."""
    return shop.clone.get("/greeting", shop.outputs(stack)["url"])[1]


def promote(shop: Shop, jobs: Jobs, options: str) -> Any:
    """Returns the JSON of `slipway promote`, run with the sessions of the job that deploys prod."""
    jobs.write_profile("staging", shop.assume(shop.outputs("staging")["promoteRole"], "prod"))
    session = session_variables(shop.assume(shop.outputs("prod")["pipelineRole"], "prod"))
    command = f"slipway promote staging prod --from-profile staging --json {options}"
    return json.loads(shop.execute(["sh", "-ec", command], jobs.shop_variables(session), only_output=True))


def test_a_commit_is_deployed_to_staging_and_its_very_image_to_prod(shop: Shop, jobs: Jobs) -> None:
    before, main = shop.outputs("staging")["imageDigest"], shop.clone.root / "app" / "main.py"
    commit = main.read_text() + ROUTE.format("Ahoy")
    main.write_text(commit)
    jobs.run("deploy", "staging")
    digest = shop.outputs("staging")["imageDigest"]
    assert digest != before
    assert jobs.outputs["needs.staging.outputs.digest"] == digest
    assert (greeting(shop, "staging"), "Ahoy" in greeting(shop, "prod")) == ('"Ahoy"', False)
    promotion = promote(shop, jobs, "--dry-run")
    assert (promotion["digest"], promotion["dry_run"], promotion["copied"]["blobs"] > 0) == (digest, True, True)
    main.write_text(commit.replace("Ahoy", "Hello"))  # what the sources say meanwhile does not matter to prod
    jobs.run("deploy", "prod")
    main.write_text(commit)
    assert shop.outputs("prod")["imageDigest"] == digest
    assert greeting(shop, "prod") == '"Ahoy"'


def test_the_same_commit_again_changes_nothing(shop: Shop, jobs: Jobs) -> None:
    digest, before = shop.outputs("staging")["imageDigest"], shop.count_resources()
    jobs.run("deploy", "staging")
    jobs.run("deploy", "prod")
    assert shop.outputs("prod")["imageDigest"] == shop.outputs("staging")["imageDigest"] == digest
    assert shop.count_resources() == before
    assert promote(shop, jobs, "--yes")["copied"] == {"blobs": 0, "bytes": 0}
    with pytest.raises(CommandFailed):
        promote(shop, jobs, "--digest sha256:0 --yes")


def test_old_images_go_but_what_serves_and_what_served_before_it_stay(shop: Shop) -> None:
    ecr, repository = shop.aws("ecr"), shop.outputs("staging")["foundation"]["registry"]["arn"].partition("/")[2]
    there = {each["imageDigest"] for each in ecr.describe_images(repositoryName=repository)["imageDetails"]}
    for number in (1, 2):  # one of them is the newest
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "number": number})
        ecr.put_image(repositoryName=repository, imageManifest=manifest, imageTag=f"unused-{number}")
    prune = ["slipway", "image", "prune", "staging", "--keep", "1"]
    plan = json.loads(shop.execute([*prune, "--dry-run", "--json"], shop.person("staging"), only_output=True))
    assert (plan["repository"], plan["dry_run"], len(plan["old"])) == (repository, True, 1)
    assert plan["old"][0]["tags"][0].startswith("unused-")
    shop.execute([*prune, "--yes"], shop.person("staging"))
    left = {each["imageDigest"] for each in ecr.describe_images(repositoryName=repository)["imageDetails"]}
    assert left >= there
    assert shop.outputs("staging")["imageDigest"] in there
    assert len(left) == len(there) + 1


def test_drift_finds_nothing_and_then_what_was_changed_by_hand_until_it_is_gone(shop: Shop, jobs: Jobs) -> None:
    """On what a job checks out: prod's image was promoted, so only its last deployment knows the digest."""
    file = shop.clone.root / "stacks" / "Pulumi.prod.yaml"
    file.write_text(re.sub(r"^.*imageDigest.*\n", "", file.read_text(), flags=re.MULTILINE))
    before, stack = file.read_text(), {"matrix.stack": "prod"}
    assert "staging: nothing differs." in jobs.run("drift", "drift", {"matrix.stack": "staging"})
    assert "prod: nothing differs." in jobs.run("drift", "drift", stack)
    assert jobs.gh.written("issues") == []
    group = shop.outputs("prod")["logGroups"]["web"]
    shop.aws("logs", "prod").put_retention_policy(logGroupName=group, retentionInDays=90)
    jobs.run("drift", "drift", stack)
    (issue,) = jobs.gh.written("issues")
    assert (issue["title"], issue["state"]) == ("Drift: prod", "open")
    assert "-web-logs` | `aws:cloudwatch/logGroup:LogGroup` | retentionInDays |" in issue["body"]
    shop.aws("logs", "prod").put_retention_policy(logGroupName=group, retentionInDays=1)
    jobs.run("drift", "drift", stack)
    assert [each["state"] for each in jobs.gh.written("issues")] == ["closed"]
    assert file.read_text() == before


@pytest.mark.parametrize(
    "action",
    ["ecs:DescribeServices", "elasticloadbalancing:DescribeListeners", "iam:GetRole", "rds:DescribeDBInstances"],
)
def test_a_permission_that_drift_lost_is_named(shop: Shop, jobs: Jobs, action: str) -> None:
    with shop.without(shop.outputs("staging")["driftRole"], action), pytest.raises(CommandFailed) as caught:
        jobs.run("drift", "drift", {"matrix.stack": "staging"})
    assert action in str(caught.value)


@pytest.mark.parametrize("action", ["ecr:PutImage", "ecs:RegisterTaskDefinition", "iam:PassRole", "ecs:UpdateService"])
def test_a_permission_that_the_deploy_lost_is_named(shop: Shop, action: str) -> None:
    outputs = shop.outputs("staging")
    session = shop.assume(outputs["pipelineRole"], "staging", seconds=5400)
    if action == "ecr:PutImage":
        with (shop.clone.root / "app" / "main.py").open("a") as code:
            code.write("\n# an image that cannot be pushed\n")
    else:
        image = f"pulumi config set imageDigest {outputs['imageDigest']} --stack staging"
        shop.as_person("staging", f"{image} && pulumi config set --path environment.LOST {action} --stack staging")
    with shop.without(outputs["pipelineRole"], action):
        told = shop.run(session, "pulumi up --yes --skip-preview --stack staging", fails=True)
    assert f"is not authorized to perform: {action}" in " ".join(told.split())


def preview_session(shop: Shop, _: Jobs) -> dict[str, Any]:
    return shop.assume(shop.outputs("staging")["previewRole"], "preview")


def test_a_preview_comes_with_its_pull_request_and_is_updated_by_a_push(shop: Shop, jobs: Jobs) -> None:
    event = PULL_REQUEST | {"github.event.pull_request.base.sha": git(shop.clone.root, "rev-parse", "HEAD")}
    for _ in ("opened", "synchronize"):
        jobs.run("preview", "up", event)
        made = json.loads((shop.clone.root / "preview.json").read_text())
        assert (made["name"], made["base"]) == ("pr-7", "staging")
    (comment,) = jobs.gh.written("comments")
    assert made["url"] in comment["body"]


@pytest.fixture(scope="module")
def thieves(shop: Shop, jobs: Jobs) -> dict[str, Thief]:
    """With the role of the previews' jobs, and with what a container of preview pr-7 is given."""
    mine = ["--filter", "name=ecs-slipway-pr-7-web-", "--filter", f"label=slipway.emulator={shop.clone.port}"]
    (container,) = docker_lines("ps", "--quiet", *mine, "--filter", "label=slipway.container=web")
    command = ["docker", "exec", container, "python", "-c", CREDENTIALS]
    given = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert "slipway-staging-previews-task" in given["RoleArn"]
    return {
        "role": Thief(shop, preview_session(shop, jobs)),
        "container": Thief(shop, given | {"SessionToken": given["Token"]}),
    }


@pytest.mark.parametrize("attempt", REFUSED)
@pytest.mark.parametrize("who", ["role", "container"])
def test_a_thief_is_refused(thieves: dict[str, Thief], who: str, attempt: str) -> None:
    code, message = refusal(lambda: REFUSED[attempt](thieves[who]))
    assert code in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError")
    assert "not authorized to perform" in message


@pytest.mark.parametrize("attempt", WORKS)
def test_what_works_for_the_previews_role_is_in_the_docs_and_works_in_no_container(
    thieves: dict[str, Thief], attempt: str
) -> None:
    theft, words = WORKS[attempt]
    assert words in " ".join((ROOT / "docs" / "pipeline.md").read_text().split())
    assert "not authorized to perform" in refusal(lambda: theft(thieves["container"]))[1]
    theft(thieves["role"])


def test_a_preview_goes_with_its_pull_request_or_when_nobody_closed_it(shop: Shop, jobs: Jobs) -> None:
    """The first is destroyed by the job of the pull request's end, the second by the one that runs by the clock."""
    jobs.gh.is_there("pulls", number=7, head="feature", body="")
    assert "pr-7" in jobs.run("reap", "reap")
    assert shop.clone.names("slipway-pr-7"), "its pull request is open"
    jobs.run("preview", "down", PULL_REQUEST)
    assert shop.clone.names("slipway-pr-7") == set()
    assert "It was destroyed" in jobs.gh.written("comments")[0]["body"]
    base = {"github.event.pull_request.base.sha": git(shop.clone.root, "rev-parse", "HEAD")}
    jobs.run("preview", "up", PULL_REQUEST | base | {"github.event.number": "8"})
    assert shop.clone.names("slipway-pr-8")
    jobs.run("reap", "reap")
    assert shop.clone.names("slipway-pr-8") == set()
    jobs.run("reap", "reap")


def test_base_images_are_refreshed_without_any_role(shop: Shop, jobs: Jobs, tmp_path: Path) -> None:
    root, remote = shop.clone.root, tmp_path / "remote"
    git(tmp_path, "init", "--quiet", "--bare", str(remote))
    commit(root)
    git(root, "remote", "add", "origin", str(remote))
    docker = jobs.gh.folder / "docker"
    docker.write_text(DOCKER.format(digest="1" * 64))
    docker.chmod(0o755)
    for _ in range(2):
        jobs.run("refresh", "refresh")
        git(root, "switch", "--quiet", "main")
    docker.unlink()
    pulls = [pull for pull in jobs.gh.written("pulls") if pull["head"] == "slipway/image-refresh"]
    assert len(pulls) == 1
    assert "id-token" not in json.dumps(load("refresh", root)["jobs"]["refresh"]["permissions"])
    checks = load("ci", root)["jobs"]
    assert all(job["permissions"] == {"contents": "read"} and "environment" not in job for job in checks.values())


def test_an_environment_is_destroyed_by_the_command_when_no_preview_is_left_on_it(shop: Shop) -> None:
    """Refused for a preview's stack first, then for a resource in AWS that a preview without a stack has left."""
    digest, logs = shop.outputs("prod")["imageDigest"], shop.aws("logs", "prod")
    provider = shop.backend["secrets_provider"].replace("STACK", "pr-5")
    init = f"pulumi stack init pr-5 --no-select --secrets-provider '{provider}'"
    shop.as_person("prod", f"{init} && pulumi stack tag set slipway:base prod --stack pr-5")
    destroy = "slipway destroy prod --yes 2>&1 || [ $? = 1 ]"
    refused = [shop.as_person("prod", destroy)]
    shop.as_person("prod", "pulumi stack rm pr-5 --yes")
    tags = {"kind": "preview", "stack": "slipway-pr-6", "base": "slipway-prod"}
    logs.create_log_group(logGroupName="left-by-pr-6", tags=tags)
    refused.append(shop.as_person("prod", destroy))
    logs.delete_log_group(logGroupName="left-by-pr-6")
    assert ["pr-5" in refused[0], "pr-6" in refused[1]] == [True, True]
    assert shop.outputs("prod")["imageDigest"] == digest
    assert greeting(shop, "prod") == '"Ahoy"'
    groups = lambda: {g["logGroupName"] for g in logs.describe_log_groups()["logGroups"]}  # noqa: E731
    assert [name for name in groups() if "slipway-prod" in name]
    shop.as_person("prod", "slipway destroy prod --yes")
    assert [name for name in groups() if "slipway-prod" in name] == []
    assert shop.aws("ecs", "prod").list_clusters()["clusterArns"] == []
    assert shop.clone.names("slipway-staging")
