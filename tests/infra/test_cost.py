"""The bill of an idle stack."""

from __future__ import annotations

import pytest

from infra import cost
from infra.errors import SlipwayError
from infra.settings import DATABASE_MEMORY_GIB, Settings


def bill(stack: str) -> dict[str, cost.Line]:
    return {line.what: line for line in cost.lines(Settings.from_files(stack))}


def test_a_line_is_what_its_prices_say() -> None:
    found = bill("dev")
    assert found["NAT gateways"].total == pytest.approx(730 * 0.045)
    # A quarter of a vCPU and half a GB for 730 hours.
    assert found["web tasks, 256 CPU units"].total == pytest.approx(730 * (0.25 * 0.04048 + 0.5 * 0.004445))


def test_multi_az_is_two_databases_and_every_zone_has_its_gateway_in_production() -> None:
    found = bill("prod")
    assert found["database, db.m7g.large"].how_many == 2
    assert found["NAT gateways"].how_many == 3


def test_the_total_is_the_sum_of_the_lines() -> None:
    lines = cost.lines(Settings.from_files("staging"))
    told = cost.as_json("staging", lines)
    assert told["total"] == pytest.approx(sum(line["total"] for line in told["lines"]), abs=0.05)


def test_dev_is_cheaper_than_staging_and_that_than_production() -> None:
    totals = [cost.as_json(s, cost.lines(Settings.from_files(s)))["total"] for s in ("dev", "staging", "prod")]
    assert totals == sorted(totals)


def test_every_database_that_a_stack_may_name_has_a_price() -> None:
    assert set(DATABASE_MEMORY_GIB) <= set(cost.prices()["rds_hour"])


def test_a_size_without_a_price_is_named() -> None:
    settings = Settings.from_files("dev").model_copy(update={"cache_class": "cache.x9.huge"})
    with pytest.raises(SlipwayError, match=r"cache\.x9\.huge"):
        cost.lines(settings)
