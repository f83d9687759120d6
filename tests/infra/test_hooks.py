"""What runs before a change and after it: hooks bound to resources, and the verification of every rollout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pytest

from slipway.config.settings import Settings
from slipway.release.rollout import ROLLOUT_TIMEOUT_SECONDS
from tests.infra.facts import CLUSTER_ARN
from tests.infra.program import APP_FILE, STACKS, program, programmed
from tests.infra.recorder import Recording, Registered, of
from tests.infra.test_previews import preview

SERVICE = "aws:ecs/service:Service"
SCHEDULE = "aws:scheduler/schedule:Schedule"
IMAGE = "docker-build:index:Image"
STASH = "pulumi:index:Stash"
OF_THE_KIT = ("-prometheus", "-grafana")
"""Services that run no code of the app's, and so wait for nothing."""


def runs_code_of_the_app(recording: Recording) -> list[Registered]:
    resources = [*of(recording, SERVICE), *of(recording, SCHEDULE)]
    return [resource for resource in resources if not resource.name.endswith(OF_THE_KIT)]


@pytest.mark.parametrize("stack", STACKS)
def test_whatever_runs_the_apps_code_asks_for_capacity_before_it_is_created_or_changed(stack: str) -> None:
    recording = program(stack)
    resources = runs_code_of_the_app(recording)
    assert sorted(resource.name.removeprefix(f"slipway-{stack}-") for resource in resources) == [
        "cleanup-schedule",
        "web",
        "worker",
    ]
    for resource in resources:
        hooks = (f"slipway-{stack}-capacity",)
        timeouts = (f"{resource.name}-timeouts",) if resource.type == SERVICE else ()
        assert resource.hooks == {"before_create": hooks, "before_update": (*hooks, *timeouts)}, resource.name


@pytest.mark.parametrize("stack", STACKS)
def test_the_release_task_runs_after_the_check_of_capacity(stack: str) -> None:
    (migrated,) = of(program(stack), STASH)
    assert migrated.hooks["before_create"] == (f"slipway-{stack}-capacity", f"slipway-{stack}-migrate")
    assert migrated.hooks["before_update"] == migrated.hooks["before_create"]


@pytest.mark.parametrize("stack", STACKS)
def test_every_image_frees_its_tag_before_it_is_pushed(stack: str) -> None:
    images = of(program(stack), IMAGE)
    assert len(images) >= 2
    hooks = [image.hooks.get("before_update", ()) for image in images]
    assert all(len(names) == 1 and names[0].endswith("-image-tag") for names in hooks), hooks
    assert len(set(hooks)) == len(images), "a hook's name is its own"


def test_the_network_is_checked_before_addresses_are_taken_and_its_range_changes() -> None:
    recording = program("prod")
    addresses = of(recording, "aws:ec2/eip:Eip")
    assert len(addresses) == 3
    assert {address.hooks.get("before_create") for address in addresses} == {("slipway-prod-addresses",)}
    (vpc,) = of(recording, "aws:ec2/vpc:Vpc")
    assert vpc.hooks.get("before_update") == ("slipway-prod-range",)


@pytest.mark.parametrize("stack", STACKS)
def test_a_new_health_check_and_fewer_zones_are_judged_before_they_touch_what_serves(stack: str) -> None:
    recording = program(stack)
    target_groups = {group.name: group.hooks for group in of(recording, "aws:lb/targetGroup:TargetGroup")}
    name = f"slipway-{stack}-web"
    assert target_groups[name] == {"before_update": (f"{name}-health-check",)}
    (load_balancer,) = of(recording, "aws:lb/loadBalancer:LoadBalancer")
    assert load_balancer.hooks == {"before_update": (f"slipway-{stack}-zones",)}


@pytest.mark.parametrize("stack", STACKS)
def test_every_service_is_verified_and_what_serves_all_paths_is_asked(stack: str) -> None:
    recording = program(stack)
    services = {service.name: service for service in of(recording, SERVICE)}
    assert set(recording.verified) == set(services)
    for name, verified in recording.verified.items():
        assert verified.cluster == CLUSTER_ARN
        assert verified.task_definition == services[name].inputs["taskDefinition"]
    web = recording.verified[f"slipway-{stack}-web"]
    assert web.url == ("https://api.acme.test/livez" if stack == "prod" else "http://lb.example/livez")
    assert web.release.endswith("-abc") or web.release == "abc"
    assert [name for name, verified in recording.verified.items() if verified.url] == [f"slipway-{stack}-web"]


def test_a_worker_may_finish_its_job_before_its_rollout_is_late() -> None:
    verified = dict(program("dev").verified)
    job_timeout, kill_grace = 1000, 30  # tests/infra/app.yaml and constants
    assert verified.pop("slipway-dev-worker").timeout == ROLLOUT_TIMEOUT_SECONDS + job_timeout + kill_grace
    assert {service.timeout for service in verified.values()} == {ROLLOUT_TIMEOUT_SECONDS}


@pytest.mark.parametrize("stack", STACKS)
def test_the_oldest_revisions_of_every_task_but_that_of_previews_databases_are_deregistered(stack: str) -> None:
    recording = program(stack)
    families = {each.inputs["family"] for each in of(recording, "aws:ecs/taskDefinition:TaskDefinition")}
    assert recording.deregistered == families - {f"slipway-{stack}-previews-db"}


def test_a_preview_asks_for_capacity_makes_its_database_migrates_and_is_verified() -> None:
    recording = preview()
    (service,) = of(recording, SERVICE)
    assert service.hooks["before_create"] == service.hooks["before_update"] == ("slipway-pr-42-capacity",)
    stashes = {stash.name: stash for stash in of(recording, STASH)}
    assert set(stashes) == {"slipway-pr-42-database", "slipway-pr-42-migrated"}
    assert stashes["slipway-pr-42-migrated"].hooks["before_update"] == (
        "slipway-pr-42-capacity",
        "slipway-pr-42-migrate",
    )
    assert len(stashes["slipway-pr-42-database"].hooks["before_create"]) == 1
    assert "Stash slipway-pr-42-database" in stashes["slipway-pr-42-migrated"].depends_on
    assert "Stash slipway-pr-42-migrated" in service.depends_on
    verified = recording.verified[service.name]
    assert verified.url == "https://pr-42.preview.example.com/livez"
    assert verified.host == "pr-42.preview.example.com"


CHECKS = ("capacity", "addresses", "range", "zones", "health-check")
CHANGES = ("image-tag", "timeouts", "migrate", "database")


def test_a_preview_of_an_update_checks_everything_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    runs_in_preview: dict[str, bool] = {}
    register = pulumi.ResourceHook.__init__

    def note(hook: pulumi.ResourceHook, name: str, function: Any, opts: pulumi.ResourceHookOptions) -> None:
        runs_in_preview[name] = bool(opts.on_dry_run)
        register(hook, name, function, opts)

    monkeypatch.setattr(pulumi.ResourceHook, "__init__", note)
    own = {"domain": "api.acme.test", "alarm_email": "ops@acme.test"}
    programmed("prod", Settings.from_files("prod").model_copy(update=own))
    preview()
    assert runs_in_preview == {name: name.endswith(CHECKS) for name in runs_in_preview}
    for ending in (*CHECKS, *CHANGES):
        assert any(name.endswith(f"-{ending}") for name in runs_in_preview), ending
    assert all(name.endswith((*CHECKS, *CHANGES)) for name in runs_in_preview), runs_in_preview


def test_the_template_of_previews_is_filled_after_the_check_of_capacity(tmp_path: Path) -> None:
    file = tmp_path / "app.yaml"
    file.write_text(APP_FILE.read_text() + "\npreviewSeed: python -m app.seed\n")
    settings = Settings.from_files("dev").model_copy(update={"preview_data": "template"})
    stashes = {stash.name: stash for stash in of(programmed("dev", settings, file), STASH)}
    hooks = stashes["slipway-dev-template-migrated"].hooks["before_create"]
    assert hooks == ("slipway-dev-capacity", "slipway-dev-template-migrate")
