"""What a release and its commands refuse or give up: the cause and the next step, on AWS as a table."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.release import deployed_stack as stacks
from slipway.release import (
    exec_session,
    image_copy,
    image_prune,
    one_off_task,
    operations,
    pause,
    promote,
    pulumi_cli,
    restart,
    store_login,
    tunnel,
    verify,
)
from slipway.release.deployed_stack import DeployedStack
from slipway.release.http_request import Answer
from slipway.release.image_copy import ImageRepository
from slipway.release.one_off_task import OneOffTask, RunRequest, plan_one_off_task
from slipway.release.pre_deploy_hooks import subnets_kept_hook
from slipway.release.preflight import check_image
from slipway.release.smoke_test import SmokeTest, run_smoke_test
from slipway.release.standalone_task import StandaloneTask, run_concurrent_task
from tests.infra.deployed import ACCOUNT, CLUSTER, NETWORK, Answers, deployed
from tests.infra.fake_ecs import FakeClock

DIGEST = f"sha256:{'1' * 64}"
IMAGE = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/shop@{DIGEST}"
STEP = {"container": "web", "taskDefinition": "release:1", "network": NETWORK, "plan": []}


class NotThere(Exception):
    """ECR's RepositoryNotFoundException."""


class Registry(Answers):
    """ECR, with the errors that its client has."""

    exceptions = SimpleNamespace(RepositoryNotFoundException=NotThere, LayerAlreadyExistsException=NotThere)


def registry(manifest: dict[str, Any] | None = None) -> Any:
    images = [{"imageManifest": json.dumps(manifest)}] if manifest else []
    return Registry({"batch_get_image": {"images": images}})


def gone(**_: Any) -> Any:
    raise NotThere


ARM = {"manifests": [{"platform": {"architecture": "arm64"}}, {"platform": {"architecture": "unknown"}}]}


@pytest.mark.parametrize(
    ("answer", "image", "message", "fix"),
    [
        (None, "registry/shop:1", "Capacity: registry/shop:1 has no digest.", "Deploy REPOSITORY@sha256:..."),
        (
            {"images": []},
            IMAGE,
            f"Capacity: the registry has no image shop@{DIGEST}.",
            "It was never pushed, or it has expired: deploy another digest.",
        ),
        (
            gone,
            IMAGE,
            f"Capacity: the registry has no image shop@{DIGEST}.",
            "It was never pushed, or it has expired: deploy another digest.",
        ),
        (
            {"images": [{"imageManifest": json.dumps(ARM)}]},
            IMAGE,
            "Capacity: shop@sha256:111111111111 is built for arm64, and the task runs on amd64 (X86_64).",
            "Build it with --platform linux/amd64, or change the setting `architecture`.",
        ),
    ],
)
def test_an_image_that_cannot_run_is_refused_before_anything_changes(
    answer: Any, image: str, message: str, fix: str
) -> None:
    aws: Any = Registry({"batch_get_image": answer})
    with pytest.raises(SlipwayError) as refusal:
        check_image(aws, image, "X86_64")
    assert (refusal.value.message, refusal.value.fix) == (message, fix)


def test_a_load_balancer_that_would_lose_a_subnet_is_not_changed() -> None:
    arguments: Any = SimpleNamespace(old_inputs={"subnets": ["a", "b"]}, new_inputs={"subnets": ["a"]})

    async def update() -> None:
        (hook,) = subnets_kept_hook("shop-dev").before_update or []
        await hook.callback(arguments)  # type: ignore[misc, union-attr]

    loop = asyncio.new_event_loop()
    with pytest.raises(SlipwayError, match="takes the load balancer out of b, whose tasks") as refusal:
        loop.run_until_complete(update())
    loop.close()
    assert refusal.value.fix == "Keep them: a running stack can get more zones, and none less."


def test_a_layer_that_breaks_off_names_the_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off(*_: Any, **__: Any) -> Any:
        raise urllib.error.URLError("reset by peer")

    monkeypatch.setattr(urllib.request, "urlopen", break_off)
    with pytest.raises(SlipwayError, match=r"A layer cannot be read from the registry: .*reset by peer") as failure:
        list(image_copy._download_parts("https://layers", 1))
    assert "copied layers are kept" in failure.value.fix


def test_an_image_that_the_source_lacks_is_not_copied() -> None:
    source, target = (ImageRepository(registry(), name) for name in ("shop-staging", "shop-prod"))
    with pytest.raises(SlipwayError) as refusal:
        image_copy.copy_image(source, target, DIGEST, "promoted")
    assert refusal.value.message == f"The registry shop-staging has no image {DIGEST}, which is to be copied."
    assert refusal.value.fix == "Deploy that image to the source stack first."


def test_images_of_a_preview_are_pruned_with_its_environment() -> None:
    with pytest.raises(SlipwayError) as refusal:
        image_prune.plan_pruning(deployed(Answers({}), preview={"base": "staging"}), 5)
    assert refusal.value.message == "dev is a preview and has no registry of its own."
    assert refusal.value.fix == "slipway image prune staging"


def test_an_image_that_ecr_keeps_is_named_with_its_reason() -> None:
    failures = [{"imageId": {"imageDigest": name}, "failureReason": "is referenced"} for name in ("sha256:1", "x")]
    aws = Registry({"batch_delete_image": {"failures": failures}})
    plan = image_prune.PrunePlan("shop", [SimpleNamespace(digest="sha256:1")], 0, 0)  # type: ignore[list-item]
    with pytest.raises(SlipwayError) as failure:
        image_prune.delete_images(aws, plan)  # type: ignore[arg-type]
    assert failure.value.message == "ECR did not delete sha256:1, and 1 others: is referenced"
    assert failure.value.fix == "Run the same command again: it continues with the others."


def named(stack: DeployedStack, name: str, **outputs: Any) -> DeployedStack:
    return replace(stack, name=name, outputs={**stack.outputs, **outputs})


@pytest.mark.parametrize(
    ("names", "message", "fix"),
    [
        (("prod", "prod"), "prod cannot be promoted to itself.", "slipway promote staging prod"),
        (
            ("staging", "prod"),
            f"staging runs {DIGEST}, and not sha256:2.",
            "It was deployed after this one: promote the running image, or roll back to this one first.",
        ),
    ],
)
def test_what_is_not_served_is_not_promoted(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, str], message: str, fix: str
) -> None:
    monkeypatch.setattr(promote, "find_served_digest", lambda *_: DIGEST)
    source, target = (named(deployed(Answers({})), name) for name in names)
    with pytest.raises(SlipwayError) as refusal:
        promote.plan_promotion(source, target, "sha256:2", print)
    assert (refusal.value.message, refusal.value.fix) == (message, fix)


@pytest.mark.parametrize(
    ("deployments", "digests", "message"),
    [
        (None, {}, "ECS has no deployment of shop-web, so nothing can be promoted."),
        ("web:1", {}, "No task of shop-web runs, so its image is not verified."),
        (
            "web:1",
            {"web": "sha256:1", "worker": "sha256:2"},
            "The processes of dev run different images: web sha256:1, worker sha256:2.",
        ),
    ],
)
def test_a_stack_that_does_not_serve_one_image_is_no_source(
    monkeypatch: pytest.MonkeyPatch, deployments: str | None, digests: dict[str, str], message: str
) -> None:
    newest = SimpleNamespace(task_definition=deployments) if deployments else None
    monkeypatch.setattr(promote.rollout, "get_newest_deployment", lambda *_: newest)
    monkeypatch.setattr(promote, "verify_rollout", lambda *_, **__: SimpleNamespace(digests=digests))
    with pytest.raises(SlipwayError) as refusal:
        promote.find_served_digest(deployed(Answers({})), print)
    assert (refusal.value.message, refusal.value.fix) == (message, "pulumi up --stack dev")


def test_a_copy_that_is_not_there_afterwards_is_not_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promote, "copy_image", lambda *_, **__: None)
    foundation = {"registry": {"arn": "arn:aws:ecr:eu-central-1:1:repository/shop"}}
    stack = deployed(registry(), foundation=foundation)
    with pytest.raises(SlipwayError) as failure:
        promote.promote_image(promote.Promotion(stack, stack, DIGEST))
    assert failure.value.message == f"The registry shop has no image {DIGEST} after the copy."
    assert failure.value.fix == "Run the same command again."


def test_a_restart_that_ecs_does_not_list_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    newest = SimpleNamespace(arn="arn:same")
    monkeypatch.setattr(restart.rollout, "get_newest_deployment", lambda *_: newest)
    service: Any = SimpleNamespace(cluster=CLUSTER, name="shop-web")
    with pytest.raises(SlipwayError, match=r"ECS lists no new deployment of shop-web \d+ s after") as failure:
        restart._await_listing(deployed(Answers({})), service, "arn:same", FakeClock())
    assert failure.value.fix == "Look at it again: slipway deployments dev"


def test_a_wrong_answer_through_the_load_balancer_is_shown_with_what_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.release.smoke_test.send_request", lambda *_, **__: Answer(503))
    with pytest.raises(SlipwayError) as failure:
        run_smoke_test(SmokeTest("http://shop/livez", patience=0), FakeClock())
    assert failure.value.message == "Verify: http://shop/livez answers 503."
    assert failure.value.fix.startswith("Its tasks are healthy, so check the path to them: listener rules")


def test_a_wrong_answer_of_a_rollout_says_what_runs_too() -> None:
    verifier = object.__new__(verify._Verification)
    for name, value in {"say": print, "clock": FakeClock()}.items():
        object.__setattr__(verifier, name, value)
    object.__setattr__(verifier, "_describe_running_releases", lambda: ["The tasks run release 1."])
    with pytest.raises(SlipwayError) as failure:
        verifier._ensure_front_door_answers(SmokeTest("http://127.0.0.1:9/livez", patience=0))
    assert failure.value.message.startswith("Verify: http://127.0.0.1:9/livez does not answer: ")
    assert failure.value.message.endswith("\nThe tasks run release 1.")


def test_a_standalone_task_that_ecs_forgets_ends() -> None:
    started = {"tasks": [{"taskArn": "arn:task/1", "containers": [], "lastStatus": "PENDING"}]}
    aws: Any = Answers({"run_task": started, "describe_tasks": {"tasks": []}, "list_tasks": {"taskArns": []}})
    with pytest.raises(SlipwayError) as failure:
        run_concurrent_task(aws, StandaloneTask(CLUSTER, "release:4", NETWORK), print, FakeClock())
    assert failure.value.message == "Migrate: ECS no longer lists the task arn:task/1. No service was changed."
    assert failure.value.fix == "Run the same command again."


def test_a_one_off_task_that_ecs_forgets_names_its_log() -> None:
    aws: Any = Answers({"describe_tasks": {"tasks": []}})
    task = OneOffTask("web", "web", StandaloneTask(CLUSTER, "web:4", NETWORK), (), "image")
    with pytest.raises(SlipwayError) as failure:
        one_off_task.follow_one_off_task(deployed(aws), task, "arn:task/1", print, FakeClock())
    assert failure.value.message == "ECS does not know the task arn:task/1 any more."
    assert failure.value.fix == "Its log: slipway logs dev"


@pytest.mark.parametrize(
    ("request_", "message", "fix"),
    [
        (
            RunRequest(command=("x",), release=True),
            "The stack dev has no release step.",
            "`release` in stacks/app.yaml is its command.",
        ),
        (RunRequest("web", ("x",)), "ECS has no service shop-web.", "pulumi up --stack dev"),
    ],
)
def test_a_one_off_task_needs_what_it_is_made_of(request_: RunRequest, message: str, fix: str) -> None:
    stack = deployed(Answers({"describe_services": {"services": []}}))
    with pytest.raises(SlipwayError) as refusal:
        plan_one_off_task(stack, request_)
    assert (refusal.value.message, refusal.value.fix) == (message, fix)


def test_sql_of_a_command_that_is_not_alembics_is_not_guessed() -> None:
    with pytest.raises(SlipwayError, match="The release command is not Alembic's own") as refusal:
        operations.run_release_task(deployed(Answers({}), release=STEP), print, plan=True)
    assert refusal.value.fix.startswith("Set `releasePlan` in stacks/app.yaml to a command that prints the SQL")


class Pausable:
    """A stack whose tasks do not stop, and whose database does not start."""

    def find_mark(self) -> str:
        return "now by me"

    def pause(self, mark: str) -> None: ...

    def running_tasks(self) -> list[list[str]]:
        return [["task"]]

    def resume(self) -> None:
        raise TimeoutError("the database mine is failed after 3600 s")


def test_a_pause_and_a_resume_that_do_not_end_are_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pause, "_pausable", lambda *_: Pausable())
    stack = deployed(Answers({"get_caller_identity": {"Arn": "me"}}))
    with pytest.raises(SlipwayError) as paused:
        pause.pause_stack(stack, print, FakeClock())
    assert paused.value.message == "Tasks of dev still run after 300 s."
    assert paused.value.fix == "Run it again: slipway pause dev"
    with pytest.raises(SlipwayError) as resumed:
        pause.resume_stack(stack, print, FakeClock())
    assert resumed.value.message == "Resume: the database mine is failed after 3600 s."
    assert resumed.value.fix == "Run it again: slipway resume dev"


def test_a_session_that_ends_before_its_command_has_no_exit_code() -> None:
    client: Any = SimpleNamespace(command=["echo", "half"], environment={})
    with pytest.raises(SlipwayError, match="The session ended before its command did") as failure:
        exec_session._run_with_marked_exit_code(client, "mark")
    assert failure.value.fix == "Run the same command again."


def test_a_store_that_no_process_may_reach_is_not_connected_to() -> None:
    aws: Any = Answers({})
    with (
        pytest.raises(SlipwayError) as refusal,
        tunnel.Tunnel(deployed(aws), tunnel.Destination(5432, "db.internal", ()), print),
    ):
        pass
    assert refusal.value.message == "No process that runs all the time may reach db.internal."
    assert refusal.value.fix == "Add the store to the `needs` of one in stacks/app.yaml."


def test_certificate_authorities_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise urllib.error.URLError("no route")

    monkeypatch.setenv("SLIPWAY_RUN_DIR", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(
        SlipwayError, match=r"RDS's certificate authorities cannot be downloaded: .*no route"
    ) as failure:
        store_login.database_ca_file({"ca": ""})
    assert failure.value.fix.endswith(f" as {tmp_path}/ca/rds-global-bundle.pem.")
    with pytest.raises(SlipwayError) as missing:
        store_login.database_ca_file({"ca": "ca/mine.pem"})
    assert missing.value.message == "There is no ca/mine.pem, which the stack's file names."
    assert missing.value.fix.startswith("Restore it in the project's folder, or correct its path: ")


def test_a_stack_in_which_nothing_is_deployed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "run_pulumi_in_project", lambda *_: "{}")
    with pytest.raises(SlipwayError) as refusal:
        stacks.read_stack_outputs("staging")
    assert refusal.value.message == "Nothing is deployed in the stack staging."
    assert refusal.value.fix == "pulumi up --stack staging"


@pytest.mark.parametrize(
    ("script", "message", "fix"),
    [
        (
            "",
            "`{pulumi}` is not installed.",
            'https://www.pulumi.com/docs/install/; or for the local stack: eval "$(slipway env)"',
        ),
        ("echo no stack named x >&2; exit 255", "`pulumi stack ls` failed:\nno stack named x", "pulumi whoami"),
        ("echo AccessDenied >&2; exit 255", "`pulumi stack ls` failed:\nAccessDenied", pulumi_cli.ACCESS_DENIED_FIX),
    ],
)
def test_a_pulumi_that_fails_or_is_not_there_is_named(tmp_path: Path, script: str, message: str, fix: str) -> None:
    program = tmp_path / "pulumi"
    if script:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    with pytest.raises(SlipwayError) as failure:
        pulumi_cli.run_pulumi(["stack", "ls"], tmp_path, binary=program)
    assert failure.value.message == message.format(pulumi=program)
    assert fix in failure.value.fix
