"""What a preview's database begins with: a template of its environment's, or one that is elsewhere already."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from slipway.config.app_spec.app import AppSpec
from slipway.config.errors import SlipwayError
from slipway.config.settings import Settings
from slipway.previews import create
from slipway.previews.identity import DATABASE_TAG, EXTERNAL_DATABASE, StackSnapshot
from slipway.program.preview_data import parse_external_database_url
from slipway.release import preview_database
from tests.infra import facts, recorder
from tests.infra.program import APP_FILE, plain, programmed
from tests.infra.recorder import Registered, of
from tests.infra.test_previews import preview

DEFINITION = "aws:ecs/taskDefinition:TaskDefinition"
TEMPLATE = "slipway-dev-template"
URL = "postgresql://guest:s3cret%2Fword@db.elsewhere.test:6000/shared?sslrootcert=/etc/slipway/own.pem"


def base(tmp_path: Path, seed: str = "python -m app.seed", **changes: Any) -> list[Registered]:
    """The program of dev with a template, for an app that has this seed."""
    file = tmp_path / "app.yaml"
    file.write_text(APP_FILE.read_text() + (f"\npreviewSeed: {seed}\n" if seed else ""))
    given = {"previewData": "template", "githubRepository": "acme/shop"} | changes
    return programmed("dev", Settings.load(Settings.from_files("dev").model_dump(by_alias=True) | given, "dev"), file)


def containers(found: list[Registered], family: str) -> dict[str, Any]:
    (definition,) = [each for each in of(found, DEFINITION) if each.inputs["family"] == family]
    return {each["name"]: each for each in json.loads(plain(definition.inputs["containerDefinitions"]))}


def told(container: Any) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["environment"]}


def test_the_template_is_opened_migrated_seeded_and_closed_one_after_the_other(tmp_path: Path) -> None:
    made = containers(base(tmp_path), TEMPLATE)
    assert list(made) == ["open", "migrate", "seed", "close"]
    assert made["seed"]["command"] == ["python", "-m", "app.seed"]
    after = [each.get("dependsOn", [{}])[0].get("containerName") for each in made.values()]
    assert after == [None, "open", "migrate", "seed"]
    assert {each["dependsOn"][0]["condition"] for name, each in made.items() if name != "open"} == {"SUCCESS"}
    assert [name for name, each in made.items() if each["essential"]] == ["close"]
    assert [told(made[name])["ACTION"] for name in ("open", "close")] == ["open", "close"]


def test_the_apps_code_gets_neither_the_owners_password_nor_the_environments_database(tmp_path: Path) -> None:
    found = base(tmp_path)
    made = containers(found, TEMPLATE)
    for name, each in made.items():
        owners = [secret for secret in each["secrets"] if "rds" in secret["valueFrom"]]
        assert bool(owners) == (name in ("open", "close"))
    for name in ("migrate", "seed"):
        values = told(made[name]).values()
        assert {"slipway_dev_template_next", "slipway_dev_seed", "127.0.0.1"} <= set(values)
        assert not {"slipway_dev_release_1", "slipway_dev_app_1", "cache.example"} & set(values)
        assert not any("sqs" in value for value in values)


def test_the_template_waits_for_the_environments_own_migration_and_nothing_waits_for_it(tmp_path: Path) -> None:
    found = base(tmp_path)
    stashes = {each.name: each for each in found if each.type == "pulumi:index:Stash"}
    assert "Stash slipway-dev-migrated" in stashes[f"{TEMPLATE}-migrated"].depends_on
    waiting = [each.name for each in found if f"Stash {TEMPLATE}-migrated" in each.depends_on]
    assert waiting == []


def test_the_pipeline_that_deploys_the_environment_may_fill_its_template(tmp_path: Path) -> None:
    found = base(tmp_path)
    policies = {
        each.name: json.loads(plain(each.inputs["policy"])) for each in of(found, "aws:iam/rolePolicy:RolePolicy")
    }
    (run,) = [s for s in policies["slipway-dev-pipeline"]["Statement"] if s["Action"] == "ecs:RunTask"]
    assert len(run["Resource"]) == 2  # the release step's and the template's


def test_without_a_seed_or_without_asking_there_is_no_template(tmp_path: Path) -> None:
    for found in (base(tmp_path, seed=""), base(tmp_path, previewData="empty")):
        assert TEMPLATE not in {each.inputs["family"] for each in of(found, DEFINITION)}


def test_a_seed_wants_a_database() -> None:
    with pytest.raises(ValueError, match="previewSeed fills a database"):
        AppSpec.model_validate({"module": "a:b", "previewSeed": "seed"})


def test_previews_reach_another_port_of_the_internet_only_where_the_environment_says_so(tmp_path: Path) -> None:
    def ports(found: list[Registered]) -> set[int]:
        rules = of(found, "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
        mine = [each.inputs for each in rules if each.name.startswith("slipway-dev-previews")]
        return {each["fromPort"] for each in mine if each.get("cidrIpv4") == "0.0.0.0/0"}

    assert ports(base(tmp_path)) == {443}
    assert ports(base(tmp_path, previewDatabasePort=5432)) == {443, 5432}


def test_an_external_database_is_used_by_its_url_and_none_is_made() -> None:
    found = preview(secrets=json.dumps({"database.url": URL}))
    task = next(each for each in of(found, DEFINITION) if each.inputs["family"] == "slipway-pr-42-web")
    web = json.loads(plain(task.inputs["containerDefinitions"]))[0]
    values = told(web)
    assert values["DATABASE_HOST"] == "db.elsewhere.test"
    assert (values["DATABASE_PORT"], values["DATABASE_NAME"], values["DATABASE_USER"]) == ("6000", "shared", "guest")
    assert values["PGSSLROOTCERT"] == values["DATABASE_SSL_CA"] == "/etc/slipway/own.pem"
    assert "s3cret" not in json.dumps(web)
    stored = [
        plain(each.inputs["secretString"]) for each in of(found, "aws:secretsmanager/secretVersion:SecretVersion")
    ]
    assert any(json.loads(text).get("database.password") == "s3cret/word" for text in stored)
    assert not [each for each in found if each.name == "slipway-pr-42-database"]  # the step that would make one
    assert [each for each in preview() if each.name == "slipway-pr-42-database"]
    assert len([each for each in found if each.type.startswith(("aws:", "docker-build:"))]) <= 12


@pytest.mark.parametrize(("data", "template"), [("template", "slipway_dev_template"), ("empty", "")])
def test_a_database_is_copied_from_the_template_where_the_preview_asks_for_it(
    monkeypatch: pytest.MonkeyPatch, data: str, template: str
) -> None:
    shared = replace(facts.PREVIEWS, template="slipway_dev_template")
    outputs = replace(facts.FOUNDATION, previews=shared).to_output()
    monkeypatch.setitem(recorder.BASE_OUTPUTS, "foundation", outputs)
    copied_from: list[str] = []
    create_on_change = preview_database.create_database_on_secret_change

    def note(*arguments: Any, **given: Any) -> pulumi.Resource:
        pulumi.Output.from_input(given["template"]).apply(copied_from.append)
        return create_on_change(*arguments, **given)

    monkeypatch.setattr(preview_database, "create_database_on_secret_change", note)
    preview(previewData=data)
    assert copied_from == [template]


@pytest.mark.parametrize("url", ["mysql://a:b@c/d", "postgresql://host/name", "postgresql://user:word@host", "dbase"])
def test_an_address_that_is_none_is_told_without_its_words(url: str) -> None:
    with pytest.raises(pulumi.RunError, match="postgresql://user:password@host") as told:
        parse_external_database_url(url)
    assert url not in str(told.value)


def test_a_preview_with_an_external_database_is_not_updated_without_its_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(create.DATABASE_URL_VARIABLE, raising=False)
    external = StackSnapshot("pr-42", {DATABASE_TAG: EXTERNAL_DATABASE})
    with pytest.raises(
        SlipwayError, match="The database of pr-42 is external, and SLIPWAY_PREVIEW_DATABASE_URL is not"
    ):
        create._external_database_url(external)
    assert create._external_database_url(StackSnapshot("pr-42")) == ""
    monkeypatch.setenv(create.DATABASE_URL_VARIABLE, URL)
    assert create._external_database_url(external) == URL
