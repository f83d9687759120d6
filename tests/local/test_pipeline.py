"""The workflows' commands, read from their files and run in their order, on stacks of one local AWS.

Only GitHub is stood in for: its variables and outputs, its command `gh`, and the role that may read staging.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake_gh import FakeGh
from tests.local.clone import Clone, cloned
from tests.local.test_your_app import BARE, PUT_IN, TAKE_AWAY
from tests.workflows import Github, steps

pytestmark = pytest.mark.e2e
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
PROFILE = "[staging]\naws_access_key_id = test\naws_secret_access_key = test\n"
ELSEWHERE = ("make setup", "make test", "make check")
"""This very test is a part of the one, and the others would change the packages under it."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    with cloned(tmp_path_factory.mktemp("pipeline") / "repository") as clone:
        if (clone.root / "tests" / "app").is_dir():
            clone.shell(TAKE_AWAY)
        clone.shell(PUT_IN)
        (clone.root / "stacks" / "app.yaml").write_text(BARE)
        local = (clone.root / "stacks" / "Pulumi.local.yaml").read_text()
        like_it = re.sub(r"^encryptionsalt.*\n", "", local, flags=re.MULTILINE) + "  githubProvider: false\n"
        clone.slipway("up")
        for stack in ("staging", "prod"):
            (clone.root / "stacks" / f"Pulumi.{stack}.yaml").write_text(like_it)
            clone.shell(f"pulumi stack init {stack}")
            clone.pulumi("up", "--yes", "--skip-preview", stack=stack)
        yield clone


class Runner:
    """Runs a workflow's commands as GitHub's does, with what it would put in."""

    def __init__(self, shop: Clone, folder: Path) -> None:
        self.shop, self.folder = shop, folder
        self.github = Github({"vars.PULUMI_BACKEND_URL": "", "github.token": "t", "github.repository": "acme/shop"})
        self.gh = FakeGh(folder / "gh")
        (folder / "credentials").write_text(PROFILE)

    def run(self, workflow: str, job: str) -> list[str]:
        """The job's commands; what each printed."""
        told = []
        for step in steps(workflow, job, self.shop.root):
            if step.run in ELSEWHERE:
                continue
            kept = self.folder / "output"
            kept.write_text("")
            env = {key: self.github.fill(value) for key, value in step.env.items() if not key.startswith("PULUMI_")}
            env |= {"GITHUB_OUTPUT": str(kept), "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "credentials")}
            lines = [f"export {key}={shlex.quote(value)}" for key, value in env.items()]
            lines.append(f'export PATH="{self.gh.folder}:$PATH"')
            told.append(self.shop.shell("\n".join([*lines, self.github.fill(step.run)])))
            for line in kept.read_text().splitlines():
                key, _, value = line.partition("=")
                self.github.values[f"needs.{job}.outputs.{key}"] = value
        return told


@pytest.fixture
def runner(shop: Clone, tmp_path: Path) -> Runner:
    return Runner(shop, tmp_path)


def outputs(shop: Clone, stack: str) -> Any:
    return json.loads(shop.pulumi("stack", "output", "--json", stack=stack))


def commit(shop: Clone, word: str) -> None:
    """Another commit: the app greets with `word`."""
    code = shop.root / "backend" / "service" / "api.py"
    code.write_text(re.sub(r'f"\w+, ', f'f"{word}, ', code.read_text()))


def greeting(shop: Clone, stack: str) -> str:
    return str(json.loads(shop.get("/greet/Ada", outputs(shop, stack)["url"])[1])["greeting"])


def test_a_commit_goes_to_staging_and_its_very_image_to_prod(shop: Clone, runner: Runner) -> None:
    commit(shop, "Ahoy")
    runner.run("deploy", "staging")
    digest = outputs(shop, "staging")["imageDigest"]
    assert runner.github.values["needs.staging.outputs.digest"] == digest
    assert (greeting(shop, "staging"), greeting(shop, "prod")) == ("Ahoy, Ada", "Hello, Ada")
    commit(shop, "Hello")  # what the sources say meanwhile does not matter to prod
    told = json.loads(shop.shell("slipway promote staging prod --dry-run --json"))
    assert (told["digest"], told["dry_run"]) == (digest, True)
    assert told["copied"]["blobs"] > 0
    runner.run("deploy", "prod")
    assert outputs(shop, "prod")["imageDigest"] == digest
    assert greeting(shop, "prod") == "Ahoy, Ada"
    assert json.loads(shop.shell("slipway promote staging prod --json"))["copied"] == {"blobs": 0, "bytes": 0}
    shop.shell("slipway promote staging prod --digest sha256:0", code=1)


def test_old_images_go_but_what_serves_and_what_served_before_it_stay(shop: Clone) -> None:
    ecr, repository = shop.aws("ecr"), outputs(shop, "staging")["foundation"]["registry"]["arn"].partition("/")[2]
    there = {each["imageDigest"] for each in ecr.describe_images(repositoryName=repository)["imageDetails"]}
    for number in (1, 2):  # one of them is the newest
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "number": number})
        ecr.put_image(repositoryName=repository, imageManifest=manifest, imageTag=f"unused-{number}")
    told = json.loads(shop.shell("slipway image prune staging --keep 1 --dry-run --json"))
    assert (told["repository"], told["dry_run"], len(told["old"])) == (repository, True, 1)
    assert told["old"][0]["tags"][0].startswith("unused-")
    shop.shell("slipway image prune staging --keep 1 --yes")
    left = {each["imageDigest"] for each in ecr.describe_images(repositoryName=repository)["imageDetails"]}
    assert left >= there
    assert outputs(shop, "staging")["imageDigest"] in there
    assert len(left) == len(there) + 1


def test_a_change_by_hand_is_an_issue_until_it_is_gone(shop: Clone, runner: Runner) -> None:
    """The image was promoted, so only the last deployment knows it: that alone is no difference."""
    runner.github.values["matrix.stack"] = "prod"
    stacks_file = shop.root / "stacks" / "Pulumi.prod.yaml"
    stacks_file.write_text(re.sub(r"^.*imageDigest.*\n", "", stacks_file.read_text(), flags=re.MULTILINE))
    before = stacks_file.read_text()
    runner.run("drift", "drift")
    assert runner.gh.written("issues") == []
    group = outputs(shop, "prod")["logGroups"]["web"]
    shop.aws("logs").put_retention_policy(logGroupName=group, retentionInDays=90)
    runner.run("drift", "drift")
    (issue,) = runner.gh.written("issues")
    assert (issue["title"], issue["state"]) == ("Drift: prod", "open")
    assert "-web-logs` | `aws:cloudwatch/logGroup:LogGroup` | retentionInDays |" in issue["body"]
    (found,) = json.loads(shop.shell("slipway drift prod --json", code=2))
    assert (found["change"], found["properties"]) == ("update", ["retentionInDays"])
    shop.aws("logs").put_retention_policy(logGroupName=group, retentionInDays=1)
    runner.run("drift", "drift")
    assert [each["state"] for each in runner.gh.written("issues")] == ["closed"]
    assert stacks_file.read_text() == before


def test_an_environment_is_destroyed_by_the_command_when_no_preview_is_left_on_it(shop: Clone) -> None:
    """First a preview's stack stands on it, then something in AWS that a preview without a stack has left."""
    digest = outputs(shop, "prod")["imageDigest"]
    shop.shell("pulumi stack init pr-5 && pulumi stack tag set slipway:base prod --stack pr-5")
    refused = [shop.shell("slipway destroy prod --yes 2>&1 || [ $? = 1 ]")]
    shop.shell("pulumi stack rm pr-5 --yes")
    tags = {"kind": "preview", "stack": "slipway-pr-6", "base": "slipway-prod"}
    shop.aws("logs").create_log_group(logGroupName="left-by-pr-6", tags=tags)
    refused.append(shop.shell("slipway destroy prod --yes 2>&1 || [ $? = 1 ]"))
    shop.aws("logs").delete_log_group(logGroupName="left-by-pr-6")
    assert ["pr-5" in refused[0], "pr-6" in refused[1]] == [True, True]
    assert outputs(shop, "prod")["imageDigest"] == digest
    assert shop.get("/greet/Ada", outputs(shop, "prod")["url"])[0] == 200
    assert shop.names("slipway-prod")
    shop.shell("slipway destroy prod --yes")
    assert shop.names("slipway-prod") == set()
    assert shop.names("slipway-staging")
