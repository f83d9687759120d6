"""What is left of the data and of what AWS wrote about it: log groups, backups, copies elsewhere, a restore."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from slipway.components.backup_copies import BackupCopies, BackupCopiesArgs
from slipway.config import names
from slipway.config.settings import Settings
from slipway.graph import cost
from tests.infra.program import STACKS, program, programmed
from tests.infra.recorder import Registered, of, record

INSTANCE = "aws:rds/instance:Instance"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"


def changed(stack: str = "staging", **settings: Any) -> list[Registered]:
    return programmed(stack, Settings.from_files(stack).model_copy(update=settings))


def database(found: list[Registered]) -> Registered:
    (instance,) = of(found, INSTANCE)
    return instance


def groups(found: list[Registered]) -> dict[str, str]:
    """Log groups with a name of AWS's: the resource -> its name."""
    named = {r.name.split("-", 2)[-1]: str(r.inputs.get("name", "")) for r in of(found, LOG_GROUP)}
    return {resource: name for resource, name in named.items() if name.startswith("/aws/")}


@pytest.mark.parametrize("stack", STACKS)
def test_rds_finds_the_log_groups_that_it_would_make(stack: str) -> None:
    instance = database(program(stack))
    logs = instance.inputs["enabledCloudwatchLogsExports"]
    assert logs == ["postgresql", "upgrade"]
    for log in logs:
        assert groups(program(stack))[f"database-{log}"] == f"/aws/rds/instance/{instance.inputs['identifier']}/{log}"
        assert f"LogGroup slipway-{stack}-database-{log}" in instance.depends_on


def test_container_insights_finds_the_log_group_that_it_would_make() -> None:
    (cluster,) = of(program("prod"), "aws:ecs/cluster:Cluster")
    assert groups(program("prod"))["insights"] == f"/aws/ecs/containerinsights/{cluster.inputs['name']}/performance"
    assert "LogGroup slipway-prod-insights" in cluster.depends_on
    assert "insights" not in groups(program("dev"))  # which counts no tasks


def test_what_makes_another_instance_gives_it_another_name() -> None:
    """Else a replacement wants the name of what it replaces, and a second life those of the first."""
    network_and_key = ["vpc-1", "arn:key-1", ""]
    marks = [names.short_hash(*network_and_key)]
    for place, other in enumerate(("vpc-2", "arn:key-2", "rds:a-snapshot")):
        marks.append(names.short_hash(*[other if n == place else fact for n, fact in enumerate(network_and_key)]))
    assert len(set(marks)) == 4
    assert {len(mark) for mark in marks} == {7}
    one, two = database(program("staging")).inputs, database(changed(database_restore_from="rds:a-snapshot")).inputs
    assert one["identifier"] != two["identifier"]
    assert one["finalSnapshotIdentifier"] != two["finalSnapshotIdentifier"]
    assert len(two["finalSnapshotIdentifier"]) <= 63


@pytest.mark.parametrize("stack", STACKS)
def test_no_database_is_deleted_to_make_room_for_another_of_its_name(stack: str) -> None:
    """The provider does so, where a name is given and the program does not say that it must not."""
    told = database(program(stack)).options
    assert (told["deleteBeforeReplaceDefined"], told.get("deleteBeforeReplace", False)) == (True, False)


def test_a_database_begins_as_the_snapshot_that_the_setting_names() -> None:
    assert "snapshotIdentifier" not in database(program("staging")).inputs
    assert database(changed(database_restore_from="rds:a-snapshot")).inputs["snapshotIdentifier"] == "rds:a-snapshot"


@pytest.mark.parametrize("stack", STACKS)
def test_automated_backups_outlive_a_database_that_leaves_a_snapshot(stack: str) -> None:
    settings = Settings.from_files(stack)
    assert database(program(stack)).inputs["deleteAutomatedBackups"] != settings.database_final_snapshot
    assert settings.database_final_snapshot or settings.tier != "prod"


def test_nothing_is_copied_unless_a_region_is_named() -> None:
    assert [r.name for stack in STACKS for r in program(stack) if r.type.startswith("aws:backup/")] == []


def test_the_database_is_copied_each_day_under_a_key_of_the_other_region() -> None:
    found = changed(backup_copy_region="us-west-2", backup_copy_days=90)
    here, there = sorted(of(found, "aws:backup/vault:Vault"), key=lambda vault: vault.inputs.get("region", ""))
    (key,) = [r for r in of(found, "aws:kms/key:Key") if r.inputs.get("region") == "us-west-2"]
    assert (there.inputs["region"], there.inputs["kmsKeyArn"]) == ("us-west-2", f"arn:aws:mock:::{key.name}")
    assert "region" not in here.inputs
    assert key.inputs["enableKeyRotation"]
    (plan,) = of(found, "aws:backup/plan:Plan")
    (rule,) = plan.inputs["rules"]
    assert rule["targetVaultName"] == here.inputs.get("name", here.name)
    assert rule["copyActions"] == [
        {"destinationVaultArn": f"arn:aws:mock:::{there.name}", "lifecycle": {"deleteAfter": 90}}
    ]
    (chosen,) = of(found, "aws:backup/selection:Selection")
    assert chosen.inputs["resources"] == ["arn:aws:mock:::slipway-staging-database"]
    (may,) = [r for r in of(found, "aws:iam/rolePolicyAttachment:RolePolicyAttachment") if r.name.endswith("-backup")]
    assert may.inputs["policyArn"].endswith("service-role/AWSBackupServiceRolePolicyForBackup")
    assert "RolePolicyAttachment slipway-staging-backup" in chosen.depends_on
    (role,) = [r for r in of(found, "aws:iam/role:Role") if r.name.endswith("-backup")]
    (trust,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "backup.amazonaws.com"}


def test_vaults_with_something_in_them_are_not_emptied_where_data_is_protected() -> None:
    for protect in (True, False):
        found = changed(backup_copy_region="us-west-2", protect=protect)
        assert {r.inputs["forceDestroy"] for r in of(found, "aws:backup/vault:Vault")} == {not protect}


def test_a_backup_or_copy_that_fails_is_told_of() -> None:
    found = changed(backup_copy_region="us-west-2")
    (rule,) = [r for r in of(found, "aws:cloudwatch/eventRule:EventRule") if r.name.endswith("backup-failed")]
    (target,) = [r for r in of(found, "aws:cloudwatch/eventTarget:EventTarget") if r.name == rule.name]
    assert json.loads(rule.inputs["eventPattern"]) == {
        "source": ["aws.backup"],
        "detail-type": ["Backup Job State Change", "Copy Job State Change"],
        "detail": {
            "resourceArn": ["arn:aws:mock:::slipway-staging-database"],
            "state": ["FAILED", "ABORTED", "EXPIRED"],
        },
    }
    assert target.inputs["arn"] == "arn:aws:mock:::slipway-staging-alarms"


def test_the_bill_knows_the_copies() -> None:
    found = [cost.PricedResource(r.type, r.name, r.inputs) for r in changed(backup_copy_region="us-west-2")]
    before = [cost.PricedResource(r.type, r.name, r.inputs) for r in program("staging")]
    keys = [
        sum(line.how_many for line in cost.calculate_idle_cost(g) if line.what == "KMS key") for g in (before, found)
    ]
    assert keys[1] == keys[0] + 1
    assert {u.what for u in cost.list_usage_prices(found)} - {u.what for u in cost.list_usage_prices(before)} == {
        "copies of the database's backups in another region",
        "transfer of a copy to another region",
    }


def test_a_copy_in_the_same_region_is_refused() -> None:
    def build() -> None:
        pulumi.runtime.set_all_config({"aws:region": "us-east-1"})
        BackupCopies("x", BackupCopiesArgs("arn:database", "arn:key", "us-east-1"))

    with pytest.raises(pulumi.RunError, match="backupCopyRegion is us-east-1, where the database is"):
        record(build)
