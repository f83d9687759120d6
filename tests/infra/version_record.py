"""What a version of the kit made of a stack, as a file: the resources that hold data, and what would replace them.

A version's file is written once, when it is released, and stays:
SLIPWAY_RECORD_VERSION=0.3.0 .venv/bin/python -m pytest tests/infra/test_upgrade_keeps_data.py
It holds the stack's settings and its app too, so that it needs no other file.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.graph.program_run import ResourceState, run_program
from slipway_local.provider.types import RESOURCE_TYPES
from tests.paths import FIXTURES, ROOT

FOLDER = FIXTURES / "versions"
STACK = "prod"
REPLACED_BY = {
    "aws:amp/workspace:Workspace": {"kmsKeyArn"},
    "aws:backup/vault:Vault": {"name", "kmsKeyArn"},
    "aws:cloudwatch/logGroup:LogGroup": {"name", "namePrefix", "logGroupClass"},
    "aws:ec2/subnet:Subnet": {"vpcId", "cidrBlock", "availabilityZone"},
    "aws:ec2/vpc:Vpc": {"cidrBlock", "instanceTenancy"},
    "aws:ecr/repository:Repository": {"name", "encryptionConfigurations"},
    "aws:elasticache/replicationGroup:ReplicationGroup": {
        "replicationGroupId", "atRestEncryptionEnabled", "dataTieringEnabled", "globalReplicationGroupId", "kmsKeyId",
        "port", "snapshotArns", "snapshotName", "subnetGroupName",
    },
    "aws:elasticache/subnetGroup:SubnetGroup": {"name"},
    "aws:kms/key:Key": {"customKeyStoreId", "customerMasterKeySpec", "keyUsage", "multiRegion"},
    "aws:rds/instance:Instance": {
        "availabilityZone", "backupTarget", "characterSetName", "dbName", "engine", "kmsKeyId", "replicateSourceDb",
        "restoreToPointInTime", "s3Import", "snapshotIdentifier", "storageEncrypted", "timezone", "username",
    },
    "aws:rds/subnetGroup:SubnetGroup": {"name", "namePrefix"},
    "aws:s3/bucket:Bucket": {"bucket", "bucketPrefix", "objectLockEnabled"},
    "aws:secretsmanager/secret:Secret": {"name", "namePrefix"},
    "aws:secretsmanager/secretVersion:SecretVersion": {"secretId", "secretString", "secretBinary"},
    "aws:sqs/queue:Queue": {"name", "namePrefix", "fifoQueue"},
}  # fmt: skip
"""Types of what holds data, and of the network that it stands in -> the inputs whose change replaces one, by the AWS
provider's schema. `region`, and what the local provider replaces by, count for each."""


def replacing_inputs(type_token: str) -> set[str]:
    """The inputs whose change replaces a resource of the type."""
    emulated = RESOURCE_TYPES.get(type_token)
    return {"region", *REPLACED_BY[type_token], *(emulated.force_replacement if emulated else ())}


def run_in_project(
    folder: Path, config: Mapping[str, Any], app: Mapping[str, Any], main: Path = FIXTURES / "infra" / "__main__.py"
) -> list[ResourceState]:
    """The resources of a stack with this configuration and app, by the program of today or that of `main`."""
    shutil.copytree(ROOT / "tests" / "apps" / "bare", folder / "backend")
    for name in ("infra", "stacks"):
        (folder / name).mkdir(parents=True)
    shutil.copy(main, folder / "infra")
    shutil.copy(FIXTURES / "Pulumi.yaml", folder)
    (folder / "stacks" / "app.yaml").write_text(yaml.safe_dump(dict(app)))
    (folder / "stacks" / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump({"config": dict(config)}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return run_program(STACK, invent_outputs=True)


def record_resources(states: list[ResourceState]) -> dict[str, Any]:
    """URN -> what decides whether the engine keeps the resource or replaces it, of each that holds data."""
    return {urn: _record(state) for urn, state in own_urns(states).items() if state["type"] in REPLACED_BY}


def own_urns(states: list[ResourceState]) -> dict[str, ResourceState]:
    """URN that the engine gives a resource -> the resource: with the types of all its parents; mocks name one."""
    return {urns[0]: state for urns, state in name_states(states)}


def name_states(states: list[ResourceState]) -> Iterator[tuple[list[str], ResourceState]]:
    """Each resource with its URN, and after it those by which the engine would take another for it."""
    chains: dict[str, list[str]] = {"": [""]}
    for state in states:  # parents come before their children
        name = state["urn"].rpartition("::")[2]
        parents = chains[state["parent"]]
        aliases = [{}, *state.get("aliases", [])]
        types = [
            f"{parent}{alias.get('type', state['type'])}::{alias.get('name', name)}"
            for alias in aliases
            if "urn" not in alias
            for parent in (chains[alias["parent"]] if "parent" in alias else parents)
        ]
        head = state["urn"].rsplit("::", 2)[0]
        urns = [f"{head}::{type_and_name}" for type_and_name in types]
        urns += [alias["urn"] for alias in aliases if "urn" in alias]
        is_stack = state["type"] == "pulumi:pulumi:Stack"
        chains[state["urn"]] = [""] if is_stack else [f"{urn.split('::')[2]}$" for urn in urns]
        yield urns, state


def _record(state: ResourceState) -> dict[str, Any]:
    ignored = state["options"].get("ignoreChanges", [])
    inputs = {
        name: value
        for name, value in sorted(state["inputs"].items())
        if name in replacing_inputs(state["type"]) and name not in ignored
    }
    return {"type": state["type"], "inputs": inputs, "ignoreChanges": ignored}


def losses(former: Mapping[str, Any], states: list[ResourceState]) -> Iterator[str]:
    """What an update would delete or replace of a former version's resources, and how it is kept."""
    accepted = {urn: state for urns, state in name_states(states) for urn in urns}
    for urn, before in former.items():
        if urn not in accepted:
            yield f"{urn} is deleted: give the resource of today an alias, aliases=[pulumi.Alias(...)]"
            continue
        now = accepted[urn]
        forgotten = set(before["ignoreChanges"]) - set(now["options"].get("ignoreChanges", []))
        if forgotten:
            yield f"{urn} no longer ignores changes of {', '.join(sorted(forgotten))}"
        forced = replacing_inputs(before["type"]) | set(now["options"].get("replaceOnChanges", []))
        for name in sorted(forced - set(now["options"].get("ignoreChanges", []))):
            if before["inputs"].get(name) != now["inputs"].get(name):
                yield f"{urn} is replaced: {name} was {before['inputs'].get(name)!r}, is {now['inputs'].get(name)!r}"


def write_record(file: Path, config: Mapping[str, Any], app: Mapping[str, Any], states: list[ResourceState]) -> None:
    """Writes a version's file, which no later run changes."""
    record = {"config": dict(config), "app": dict(app), "resources": record_resources(states)}
    with file.open("x", encoding="utf-8") as new:
        new.write(json.dumps(record, indent=1, sort_keys=True) + "\n")
