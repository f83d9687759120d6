"""A wrong setting is named with its key, its value and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra import naming
from infra.errors import SlipwayError
from infra.settings import Settings, check_names
from infra.sizes import FARGATE_MEMORY, fargate_memory, max_connections

ROOT = Path(__file__).resolve().parents[2]
STACKS = sorted(path.name[7:-5] for path in (ROOT / "stacks").glob("Pulumi.*.yaml"))


def values(stack: str = "local", **changes: Any) -> dict[str, Any]:
    given = Settings.from_files(stack).model_dump(by_alias=True)
    return given | changes


@pytest.mark.parametrize("stack", STACKS)
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
        ({"natGatways": "one"}, ["natGatways", "no such key"]),
        ({"domain": "api.acme.test"}, ["domain and hostedZoneId go together"]),
        ({"domain": "https://acme.test"}, ["domain", "https://acme.test"]),
        ({"hostedZoneId": "acme.test"}, ["hostedZoneId", "acme.test"]),
        ({"alarmEmail": "ops"}, ["alarmEmail", "ops"]),
        ({"secretsRetired": 1}, ["secretsRetired is 1", "below secretsGeneration"]),
        ({"githubRepository": "https://github.com/acme/shop"}, ["githubRepository"]),
        ({"databaseVersion": "17.4"}, ["databaseVersion", "17.4"]),
        ({"databaseClass": "db.x9"}, ["databaseClass is db.x9", "db.t4g.micro"]),
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
        ({"domain": "", "hostedZoneId": "", "grafana": False}, ["domain is empty", "TLS"]),
        ({"waf": False}, ["waf", "firewall"]),
        ({"containerInsights": False}, ["containerInsights", "watched"]),
        ({"alarmEmail": ""}, ["alarmEmail"]),
        ({"natGateways": "one"}, ["natGateways"]),
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
        Settings.load(values("dev", natGateways="none"), "x")
    assert Settings.load(values("dev", natGateways="none", interfaceEndpoints=True), "x").nat_gateways == "none"
    rings = {f"{ring}Subnets": ["subnet-1", "subnet-2"] for ring in ("public", "private", "isolated")}
    assert Settings.load(values("dev", natGateways="none", existingVpc={"id": "vpc-0a", **rings}), "x").existing_vpc


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(("key", "wrong"), [("zones", 1), ("databaseClass", "db.x9"), ("logRetentionDays", 2)])
def test_a_botched_setting_of_any_stack_is_refused_with_its_key(stack: str, key: str, wrong: Any) -> None:
    with pytest.raises(SlipwayError, match=rf"{key} is .*{wrong}"):
        Settings.load(values(stack, **{key: wrong}), f"stacks/Pulumi.{stack}.yaml")


def test_placeholders_are_told_from_real_values() -> None:
    prod = Settings.from_files("prod")
    assert prod.placeholders() == ["domain", "alarmEmail"]
    real = prod.model_copy(update={"domain": "api.acme.test", "alarm_email": "ops@notexample.com"})
    assert real.placeholders() == []


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
    project = (ROOT / "Pulumi.yaml").read_text().replace("name: slipway", "name: shop", 1)
    (tmp_path / "Pulumi.yaml").write_text(project)
    file = tmp_path / "stacks" / "Pulumi.qa.yaml"
    file.write_text("config:\n  aws:region: eu-north-1\n  shop:tier: dev\n  zones: 3\n  other:zones: 7\n")
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
        check_names(project, stack)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("stack", ["dev", "prod-eu", "qa", "ada", "preview"])
@pytest.mark.parametrize("project", ["slipway", "previewer", "my-preview", "pgs"])
def test_project_and_stack_may_be_called_anything_else(project: str, stack: str) -> None:
    check_names(project, stack)


def test_a_shortened_name_stays_within_its_limit_and_apart_from_others() -> None:
    long = ["customer-portal-staging-web", "customer-portal-staging-webhook"]
    short = [naming.short(name) for name in long]
    assert len(set(short)) == 2
    assert all(len(name) <= naming.LOAD_BALANCER and name.startswith("customer-portal") for name in short)
    assert naming.short("slipway-dev-web") == "slipway-dev-web"


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
