"""A wrong setting is named with its key, its value and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pytest

from slipway.config import names
from slipway.config.aws_limits import FARGATE_MEMORY, fargate_memory, max_connections
from slipway.config.errors import SlipwayError
from slipway.config.project import read_project_name, run_dir
from slipway.config.setting_sections import SECTIONS
from slipway.config.settings import Settings, check_stack_name
from tests.paths import FIXTURES, STACK_NAMES


def values(stack: str = "local", **changes: Any) -> dict[str, Any]:
    given = Settings.from_files(stack).model_dump(by_alias=True)
    return given | changes


@pytest.mark.parametrize("stack", STACK_NAMES)
def test_every_stack_file_is_valid(stack: str) -> None:
    assert Settings.from_files(stack).tier in ("dev", "staging", "prod")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "envionment"}, ["kind is 'envionment'", "preview"]),
        ({"tier": "production"}, ["tier is 'production'", "prod"]),
        ({"processes": {"web": {"memmory": 1}}}, ["processes.web.memmory: there is no such key"]),
        ({"vpcCidr": "10.0.0.0/8"}, ["vpcCidr", "10.0.0.0/8", "/16 to /20"]),
        ({"vpcCidr": "8.8.0.0/16"}, ["vpcCidr", "private range"]),
        ({"zones": 1}, ["zones is 1", "2"]),
        ({"logRetentionDays": 2}, ["logRetentionDays", "1, 3, 5"]),
        ({"natGateways": "two"}, ["natGateways", "two", "none"]),
        ({"natGatways": "one"}, ["natGatways", "no such key. Did you mean natGateways?"]),
        ({"domain": "api.acme.test"}, ["domain and hostedZoneId go together"]),
        ({"domain": "https://acme.test"}, ["domain is 'https://acme.test'", "for example api.your-company.com"]),
        ({"hostedZoneId": "acme.test"}, ["hostedZoneId", "acme.test"]),
        ({"alarmEmail": "ops"}, ["alarmEmail", "ops"]),
        ({"secretsRetired": 1}, ["secretsRetired is 1", "below secretsGeneration"]),
        ({"githubRepository": "https://github.com/acme/shop"}, ["githubRepository"]),
        ({"databaseVersion": "17.4"}, ["databaseVersion", "17.4"]),
        ({"databaseClass": "db.x9"}, ["databaseClass is 'db.x9'", "db.t4g.micro"]),
        ({"backupCopyRegion": "Frankfurt"}, ["backupCopyRegion", "Frankfurt"]),
        ({"databaseRestoreFrom": "s3://dumps/a"}, ["databaseRestoreFrom", "s3://dumps/a"]),
        ({"monthlyBudgetUsd": -1}, ["monthlyBudgetUsd", "-1"]),
        ({"existingVpc": {"id": "vpc-0a"}}, ["existingVpc.publicSubnets: must be set"]),
        ({"existingVpc": {"id": "my-vpc"}}, ["existingVpc.id is 'my-vpc'"]),
    ],
)
def test_a_wrong_value_is_explained(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SlipwayError) as caught:
        Settings.load(values(**changes), "stacks/Pulumi.local.yaml")
    for word in [*words, "stacks/Pulumi.local.yaml"]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"domain": "", "hostedZoneId": "", "grafana": False}, ["tier: prod requires domain (for TLS)"]),
        ({"waf": False}, ["tier: prod requires waf: true"]),
        ({"containerInsights": False}, ["tier: prod requires containerInsights: true"]),
        ({"alarmEmail": ""}, ["tier: prod requires alarmEmail"]),
        ({"natGateways": "one"}, ["tier: prod requires natGateways: per-zone"]),
    ],
)
def test_the_tier_prod_refuses_what_production_must_not_be(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SlipwayError) as caught:
        Settings.load(values("prod", **changes), "stacks/Pulumi.prod.yaml")
    for word in words:
        assert word in str(caught.value)
    assert Settings.load(values("prod", **changes, tier="staging"), "the same, in another tier")


def test_tasks_need_a_way_to_the_registry_unless_the_network_is_somebody_elses() -> None:
    with pytest.raises(SlipwayError, match="interfaceEndpoints to true"):
        Settings.load(values("staging", natGateways="none"), "x")
    assert Settings.load(values("staging", natGateways="none", interfaceEndpoints=True), "x").nat_gateways == "none"
    rings = {f"{ring}Subnets": ["subnet-1", "subnet-2"] for ring in ("public", "private", "isolated")}
    assert Settings.load(values("staging", natGateways="none", existingVpc={"id": "vpc-0a", **rings}), "x").existing_vpc


@pytest.mark.parametrize("stack", STACK_NAMES)
@pytest.mark.parametrize(("key", "wrong"), [("zones", 1), ("databaseClass", "db.x9"), ("logRetentionDays", 2)])
def test_a_botched_setting_of_any_stack_is_refused_with_its_key(stack: str, key: str, wrong: Any) -> None:
    with pytest.raises(SlipwayError, match=rf"{key} is .*{wrong}"):
        Settings.load(values(stack, **{key: wrong}), f"stacks/Pulumi.{stack}.yaml")


def test_placeholders_are_told_from_real_values() -> None:
    prod = Settings.from_files("prod")
    assert prod.placeholder_keys() == ["domain", "alarmEmail"]
    real = prod.model_copy(update={"domain": "api.acme.test", "alarm_email": "ops@notexample.com"})
    assert real.placeholder_keys() == []


def test_a_missing_value_is_named() -> None:
    given = values()
    del given["tier"]
    with pytest.raises(SlipwayError, match="tier: must be set"):
        Settings.load(given, "stacks/Pulumi.local.yaml")


def test_an_unknown_stack_lists_those_that_there_are() -> None:
    with pytest.raises(SlipwayError, match="local"):
        Settings.from_files("nowhere")


def test_a_stack_file_may_name_keys_with_the_projects_name_or_without_it(tmp_path: Path) -> None:
    """`pulumi config set` writes them with it; the repository's own have none, so that a fork need not change them."""
    (tmp_path / "stacks").mkdir()
    project = (FIXTURES / "Pulumi.yaml").read_text().replace("name: slipway", "name: shop", 1)
    (tmp_path / "Pulumi.yaml").write_text(project)
    file = tmp_path / "stacks" / "Pulumi.qa.yaml"
    file.write_text("config:\n  aws:region: eu-north-1\n  shop:tier: dev\n  zones: 3\n  mine:colour: red\n")
    found = Settings.from_files("qa", tmp_path)
    assert (found.tier, found.zones) == ("dev", 3)


@pytest.mark.parametrize(
    ("project", "stack", "words"),
    [
        ("slipway", "Prod", ["stack's name 'Prod'", "small letters"]),
        ("slipway", "prod_eu", ["stack's name 'prod_eu'"]),
        ("my.shop", "dev", ["name in Pulumi.yaml", "my.shop"]),
        ("the-customer-portal", "staging-eu", ["30 characters", "room for 26"]),
        ("Shop", "dev", ["name in Pulumi.yaml", "'Shop'", "small letters"]),
        ("preview", "pr-1", ["'preview'", "previews' databases"]),
        ("pg-admin", "dev", ["'pg-admin' begins with 'pg'", "Postgres"]),
        ("internal", "dev", ["'internal'", "load balancers"]),
    ],
)
def test_names_that_aws_would_refuse_are_refused_here(project: str, stack: str, words: list[str]) -> None:
    with pytest.raises(SlipwayError) as caught:
        check_stack_name(project, stack)
    assert caught.value.message.startswith("All resources are named after project and stack: ")
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("stack", ["dev", "prod-eu", "qa", "ada", "preview"])
@pytest.mark.parametrize("project", ["slipway", "previewer", "my-preview", "pgs"])
def test_project_and_stack_may_be_called_anything_else(project: str, stack: str) -> None:
    check_stack_name(project, stack)


def test_a_shortened_name_stays_within_its_limit_and_apart_from_others() -> None:
    long = ["customer-portal-staging-web", "customer-portal-staging-webhook"]
    short = [names.truncate_name(name) for name in long]
    assert len(set(short)) == 2
    assert all(
        len(name) <= names.MAX_LOAD_BALANCER_NAME_LENGTH and name.startswith("customer-portal") for name in short
    )
    assert names.truncate_name("slipway-dev-web") == "slipway-dev-web"


def test_fargate_sizes_are_those_of_the_documentation() -> None:
    assert fargate_memory(256) == [512, 1024, 2048]
    assert fargate_memory(1024)[0] == 2048
    assert fargate_memory(1024)[-1] == 8192
    assert fargate_memory(999) == []
    assert all(sizes[0] >= cpu * 2 for cpu, sizes in FARGATE_MEMORY.items())


@pytest.mark.parametrize("repository", ["", "acme/shop", "acme/shop.api", "acme@123/shop@456"])
def test_a_repository_is_named_as_githubs_tokens_name_it(repository: str) -> None:
    assert Settings.load(values(githubRepository=repository), "x").github_repository == repository


def test_connections_are_fewer_than_the_memory_alone_would_allow() -> None:
    """What people see on RDS: about 80 on a micro, 400 on a medium."""
    assert (max_connections("db.t4g.micro"), max_connections("db.t4g.medium")) == (84, 422)


def test_a_pem_file_is_read_and_a_missing_one_is_named_with_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\n")
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    monkeypatch.chdir(tmp_path)
    settings = Settings.load({"tier": "dev"}, "x")
    assert settings.read_pem("databaseCa", "") == ""
    assert settings.read_pem("databaseCa", "ca.pem").startswith("-----BEGIN")
    for is_dry_run in (True, False):
        monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda value=is_dry_run: value)
        with pytest.raises(pulumi.RunError, match=r"databaseCa is 'no\.pem': There is no file no\.pem"):
            settings.read_pem("databaseCa", "no.pem")


def test_a_plan_in_a_fresh_clone_needs_no_file_that_up_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\n")
    monkeypatch.chdir(tmp_path)
    settings = Settings.load({"tier": "dev"}, "x")
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    assert settings.read_pem("databaseCa", ".slipway/ca/rds.pem")
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: False)
    with pytest.raises(pulumi.RunError, match=r"\.slipway/ca/rds\.pem\. slipway up writes it"):
        settings.read_pem("databaseCa", ".slipway/ca/rds.pem")


def test_a_folder_that_cannot_be_made_is_named_with_the_variable_that_moves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setenv("SLIPWAY_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(SlipwayError, match=r"The folder .*run cannot be created: Read-only file system") as refusal:
        run_dir()
    assert refusal.value.fix.startswith("Name another one that this user may write: export SLIPWAY_RUN_DIR=")


@pytest.mark.parametrize(
    ("text", "message"), [("", "has no name"), ("name:\n", "has no name"), ("[", "line 1"), ("- x", "not a mapping")]
)
def test_a_broken_project_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "Pulumi.yaml").write_text(text)
    with pytest.raises(SlipwayError, match=rf"Pulumi\.yaml.*{message}"):
        read_project_name(tmp_path)


def test_the_validators_of_all_sections_are_those_of_settings() -> None:
    """A validator of a section hides another section's of the same name."""
    names_of_sections = [name for section in SECTIONS for name in section.__pydantic_decorators__.model_validators]
    assert len(set(names_of_sections)) == len(names_of_sections)
    assert set(names_of_sections) < set(Settings.__pydantic_decorators__.model_validators)


def test_a_name_may_have_as_many_characters_as_there_is_room_for() -> None:
    assert names.name_error("stack", "prod", 4) == ""
    assert names.name_error("stack", "prod", 3) == "stack 'prod' has 4 characters: AWS's names leave room for 3"
