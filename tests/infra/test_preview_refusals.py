"""What a command refuses to do to a stack that is no preview, or not this one; and what it needs and is not there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.previews import destroy, destroy_guard, places, preview_stacks, pull_requests, reap
from slipway.previews.base_environment import BaseEnvironment
from slipway.previews.destroy import DestroyResult
from slipway.previews.expiry import ReapDecision
from slipway.previews.orphans import OrphanedResource
from slipway.previews.stack_tags import NAME_TAG
from slipway.program import preview_builder
from slipway.program.preview_data import PreviewData
from tests.infra.test_previews import seen, standing

NONE: Any = None


def base(name: str) -> Any:
    """A base environment that knows its name only."""
    environment = object.__new__(BaseEnvironment)
    object.__setattr__(environment, "base", name)
    return environment


def test_a_stack_that_is_no_preview_is_neither_used_nor_destroyed() -> None:
    environment = seen(config={"kind": "environment"})
    with pytest.raises(SlipwayError) as used:
        places.ensure_own_stack(environment, "pr-42", base("dev"))
    assert used.value.message.startswith("The stack pr-42 exists, and it is not this preview: ")
    assert used.value.fix == "Use another name, or inspect it: pulumi stack --stack pr-42"
    with pytest.raises(SlipwayError) as destroyed:
        destroy._ensure_is_preview(environment, None)
    assert destroyed.value.message.startswith("The stack pr-42 is not touched: ")
    assert destroyed.value.fix.endswith("destroy it with: pulumi destroy --stack pr-42")


def test_a_preview_of_another_branch_is_not_taken_over() -> None:
    other = seen(tags=dict(seen().tags) | {NAME_TAG: "feature/y"})
    with pytest.raises(SlipwayError) as failure:
        places.ensure_own_stack(other, "feature/x", base("dev"))
    assert failure.value.message == "The stack pr-42 is the preview of feature/y, and not of feature/x."
    assert failure.value.fix == "Use another name."


@pytest.mark.parametrize(
    ("stack", "message", "fix"),
    [
        ("local", "local is the local stack, which ends with the local AWS.", "slipway down"),
        ("gone", "There is no stack gone to destroy.", "pulumi stack ls"),
        ("dev", "dev is a preview, and no environment.", "slipway preview destroy dev"),
    ],
)
def test_what_is_no_environment_of_aws_is_destroyed_by_another_command(
    monkeypatch: pytest.MonkeyPatch, stack: str, message: str, fix: str
) -> None:
    engine = standing(kind="preview")
    monkeypatch.setattr(destroy_guard, "open_backend", lambda _: engine)
    monkeypatch.setattr(destroy_guard, "is_local_stack", lambda name: name == "local")
    with pytest.raises(SlipwayError) as refusal:
        destroy_guard.destroy_environment(stack, yes=True)
    assert (refusal.value.message, refusal.value.fix) == (message, fix)
    assert engine.ran == []


def test_a_configuration_without_the_file_of_previews_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SlipwayError) as refusal:
        preview_stacks.build_preview_config("dev", {})
    assert refusal.value.message == (
        "The stack file stacks/Pulumi.dev.yaml is missing: a preview's configuration includes it."
    )
    assert refusal.value.fix == "Commit that file, or name another environment with --base."


def test_one_command_at_a_time_works_on_a_preview(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_RUN_DIR", str(tmp_path))
    with (
        preview_stacks.lock_preview("pr-1"),
        pytest.raises(SlipwayError) as refusal,
        preview_stacks.lock_preview("pr-1"),
    ):
        pass
    assert refusal.value.message == "Another slipway command is running on the preview pr-1."
    assert refusal.value.fix == "Wait until it ends."


def test_a_forges_command_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SlipwayError) as refusal:
        pull_requests.list_open_pull_requests("gh")
    assert refusal.value.message == "--open-prs gh: the program gh is not installed."
    assert refusal.value.fix == "Install gh, or give the numbers: 1,2,3"


def test_a_reaped_preview_whose_resources_stay_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    orphan = object.__new__(OrphanedResource)
    object.__setattr__(orphan, "arn", "arn:aws:ecs:eu-central-1:1:service/shop/pr-1")
    left = DestroyResult("pr-1", True, False, [orphan], [], 1.0)
    monkeypatch.setattr(reap, "destroy_preview", lambda *_, **__: left)
    decision = ReapDecision("pr-1", "destroy", "it has expired")
    plan = reap.ReapPlan([decision], {"dev": base("dev")}, {}, {"pr-1": "dev"})
    result = reap.destroy_expired_previews(standing(), plan, print)
    assert result.destroyed == []
    assert result.failed == {
        "pr-1": "AWS still has resources of pr-1: arn:aws:ecs:eu-central-1:1:service/shop/pr-1\n"
        "  Run the same command again."
    }


def test_a_program_of_a_preview_needs_its_environment() -> None:
    with pytest.raises(SlipwayError) as refusal:
        preview_builder.read_base_outputs("", NONE)
    assert refusal.value.message == "kind is preview and base is empty."
    assert refusal.value.fix == "slipway preview create NAME --base STACK"


def test_a_preview_of_several_services_is_refused_by_their_names() -> None:
    context: Any = SimpleNamespace(app=SimpleNamespace(web_processes={"web": None, "admin": None}))
    with pytest.raises(SlipwayError) as refusal:
        preview_builder.PreviewServiceBuilder(context, environment_outputs=NONE, shared=NONE, data=NONE, images=NONE)
    assert refusal.value.message == ("A preview needs one process behind the load balancer; app.yaml has web, admin.")
    assert refusal.value.fix == "Previews of an app with several are not supported."


def test_a_secret_that_previews_lack_is_named_with_its_file() -> None:
    data = object.__new__(PreviewData)
    app: Any = SimpleNamespace(missing_secrets=lambda _: ["SENTRY_DSN"])
    data._context = SimpleNamespace(app=app)  # type: ignore[assignment]
    with pytest.raises(SlipwayError) as refusal:
        data._create_second_secret(NONE, {})
    assert refusal.value.message == (
        "stacks/app.yaml requires the secret SENTRY_DSN, which is not configured for previews."
    )
    assert refusal.value.fix == "Set a value for previews in stacks/Pulumi.preview.yaml: secrets: {SENTRY_DSN: ...}"
