"""Facts: what an environment exports is what a reader gets; and a network that was there before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pulumi
import pytest

from infra.components.existing_network import existing_network
from infra.foundation import Foundation
from infra.settings import ExistingVpc
from tests.infra import recorder
from tests.infra.facts import FOUNDATION


def test_what_was_exported_is_what_another_stack_reads() -> None:
    assert Foundation.of(FOUNDATION.plain()) == FOUNDATION


def test_a_store_that_the_app_does_not_need_is_not_exported() -> None:
    bare = replace(FOUNDATION, database=None, cache=None)
    assert "database" not in bare.plain()
    assert Foundation.of(bare.plain()) == bare
    assert FOUNDATION.stores("cache") == [FOUNDATION.cache]


def test_what_is_missing_is_named() -> None:
    given = FOUNDATION.plain()
    del given["network"]["vpc_id"]
    with pytest.raises(KeyError, match="vpc_id"):
        Foundation.of(given)


GIVEN = ExistingVpc(
    id="vpc-0a",
    publicSubnets=["subnet-a1", "subnet-b1"],
    privateSubnets=["subnet-a2", "subnet-b2"],
    isolatedSubnets=["subnet-a3", "subnet-b3"],
)


def looked_up(monkeypatch: pytest.MonkeyPatch, **other: str) -> list[recorder.Registered]:
    """The network of `GIVEN`, whose subnets lie in zone a or b by their names; `other` is different."""

    def call(self: Any, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        id = str(args.args["id"])
        found = {"vpcId": "vpc-0a", "availabilityZone": f"zone-{id[7]}", "cidrBlock": f"10.0.{id[8]}.0/24"}
        return {"id": id, **found, **other}

    monkeypatch.setattr(recorder.Mocks, "call", call)
    found = []
    made = recorder.record(lambda: found.append(existing_network(GIVEN)))
    (facts,) = found
    assert (facts.vpc_id, facts.private_subnet_ids) == ("vpc-0a", GIVEN.private_subnets)
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
