"""Facts: what an environment exports is what a reader gets; and a network that was there before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pulumi
import pytest

from slipway.components.existing_vpc import ExistingVpcArgs, look_up_existing_vpc
from slipway.components.outputs import SCHEMA_VERSION, EnvironmentOutputs
from slipway.components.outputs_schema import check_outputs_version, read_exported_outputs
from slipway.config.errors import SlipwayError
from tests.infra import recorder
from tests.infra.facts import FOUNDATION, PREVIEWS
from tests.infra.program import program
from tests.infra.test_previews import preview


def test_what_was_exported_is_what_another_stack_reads() -> None:
    assert EnvironmentOutputs.from_output(FOUNDATION.to_output()) == FOUNDATION


def test_a_store_that_the_app_does_not_need_is_not_exported() -> None:
    bare = replace(FOUNDATION, database=None, cache=None)
    assert "database" not in bare.to_output()
    assert EnvironmentOutputs.from_output(bare.to_output()) == bare
    assert FOUNDATION.stores("cache") == [FOUNDATION.cache]


def test_what_is_missing_is_named() -> None:
    given = FOUNDATION.to_output()
    del given["network"]["vpc_id"]
    with pytest.raises(KeyError, match="vpc_id"):
        EnvironmentOutputs.from_output(given)


def exported(**changes: Any) -> dict[str, Any]:
    """The outputs of an environment with previews, changed; a value of None takes a key away."""
    outputs = replace(FOUNDATION, previews=PREVIEWS).to_output() | changes
    return {key: value for key, value in outputs.items() if value is not None}


def test_an_environment_exports_the_version_of_its_outputs() -> None:
    assert exported()["version"] == SCHEMA_VERSION
    assert program("dev").exports["foundation"]["version"] == SCHEMA_VERSION


def test_outputs_of_this_version_are_read_as_they_are() -> None:
    assert read_exported_outputs("dev", exported()) == exported()
    check_outputs_version("dev", exported(version=float(SCHEMA_VERSION)))  # as an engine returns numbers


def test_what_a_newer_kit_added_is_ignored() -> None:
    newer = exported(search={"host": "search.example"})
    newer["network"] |= {"transit_gateway_id": "tgw-1"}
    read = EnvironmentOutputs.from_output(read_exported_outputs("dev", newer))
    assert read == replace(FOUNDATION, previews=PREVIEWS)


def test_what_an_older_kit_did_not_export_yet_has_its_default() -> None:
    older = exported()
    del older["previews"]["template"]
    assert read_exported_outputs("dev", older)["previews"]["template"] == ""


@pytest.mark.parametrize("version", [None, 0])
def test_an_environment_of_an_older_form_is_to_be_upgraded_first(version: int | None) -> None:
    with pytest.raises(SlipwayError) as failure:
        read_exported_outputs("dev", exported(version=version))
    assert failure.value.message == (
        "The environment dev was deployed by an older slipway-kit: its outputs are of version "
        f"{version or 0}, and this one reads 1 to {SCHEMA_VERSION}."
    )
    assert "pulumi up -s dev" in failure.value.fix


def test_an_environment_that_lacks_a_key_is_to_be_upgraded_first() -> None:
    older = exported()
    del older["previews"]["security_group_id"]
    with pytest.raises(SlipwayError, match=r"its outputs lack previews\.security_group_id(.|\n)*pulumi up -s dev"):
        read_exported_outputs("dev", older)
    with pytest.raises(SlipwayError, match="lack load_balancer"):
        read_exported_outputs("dev", exported(load_balancer=None))


def test_an_environment_of_a_newer_form_wants_a_newer_kit_of_its_reader() -> None:
    with pytest.raises(SlipwayError, match=r"newer slipway-kit(.|\n)*Upgrade slipway-kit here"):
        read_exported_outputs("dev", exported(version=SCHEMA_VERSION + 1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": SCHEMA_VERSION + 1}, "newer"),
        ({"version": None}, "older"),
        ({"previews": None}, "has previews: false"),
    ],
)
def test_a_preview_on_an_environment_that_it_cannot_read_fails_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr(recorder, "BASE_OUTPUTS", {"foundation": exported(**changes)})
    with pytest.raises(pulumi.RunError, match=words):
        preview()


def test_a_preview_on_an_environment_of_a_kit_with_more_or_fewer_keys_comes_up(monkeypatch: pytest.MonkeyPatch) -> None:
    other = exported(search={"host": "search.example"})
    del other["previews"]["template"]
    monkeypatch.setattr(recorder, "BASE_OUTPUTS", {"foundation": other})
    assert recorder.of(preview(), "aws:ecs/service:Service")


EXISTING = ExistingVpcArgs(
    vpc_id="vpc-0a",
    public_subnet_ids=["subnet-a1", "subnet-b1"],
    private_subnet_ids=["subnet-a2", "subnet-b2"],
    isolated_subnet_ids=["subnet-a3", "subnet-b3"],
)


def looked_up(monkeypatch: pytest.MonkeyPatch, **other: str) -> list[recorder.Registered]:
    """The network of `EXISTING`, whose subnets lie in zone a or b by their names; `other` is different."""

    def call(self: Any, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        id = str(args.args["id"])
        found = {"vpcId": "vpc-0a", "availabilityZone": f"zone-{id[7]}", "cidrBlock": f"10.0.{id[8]}.0/24"}
        return {"id": id, **found, **other}

    monkeypatch.setattr(recorder.Mocks, "call", call)
    found = []
    made = recorder.record(lambda: found.append(look_up_existing_vpc(EXISTING)))
    (facts,) = found
    assert (facts.vpc_id, facts.private_subnet_ids) == ("vpc-0a", EXISTING.private_subnet_ids)
    assert facts.public_cidrs == ["10.0.1.0/24", "10.0.1.0/24"]
    return made


def test_an_existing_network_is_looked_up_and_nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [made.type for made in looked_up(monkeypatch)] == ["pulumi:pulumi:Stack"]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"vpcId": "vpc-0b"}, "existingVpc.publicSubnets: subnet-a1, subnet-b1 is not a subnet of vpc-0a"),
        ({"availabilityZone": "zone-a"}, "all of them lie in zone-a"),
    ],
)
def test_a_network_that_a_service_cannot_stand_on_is_refused(
    monkeypatch: pytest.MonkeyPatch, other: dict[str, str], words: str
) -> None:
    with pytest.raises(pulumi.RunError, match=words):
        looked_up(monkeypatch, **other)
