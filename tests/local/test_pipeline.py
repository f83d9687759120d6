"""The pipeline's commands in their order, on stacks of one local AWS: `local`, and `staging` and `prod` like it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.local.clone import Clone, cloned
from tests.local.test_your_app import BARE, PUT_IN, TAKE_AWAY

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    with cloned(tmp_path_factory.mktemp("pipeline") / "repository") as clone:
        if (clone.root / "tests" / "app").is_dir():
            clone.shell(TAKE_AWAY)
        clone.shell(PUT_IN)
        (clone.root / "stacks" / "app.yaml").write_text(BARE)
        local = (clone.root / "stacks" / "Pulumi.local.yaml").read_text()
        like_it = re.sub(r"^encryptionsalt.*\n", "", local, flags=re.MULTILINE) + "  githubProvider: false\n"
        clone.slipway("up")
        for stack in ("staging", "prod"):
            (clone.root / "stacks" / f"Pulumi.{stack}.yaml").write_text(like_it)
            clone.shell(f"pulumi stack init {stack}")
            clone.pulumi("up", "--yes", "--skip-preview", stack=stack)
        yield clone


def outputs(shop: Clone, stack: str) -> Any:
    return json.loads(shop.pulumi("stack", "output", "--json", stack=stack))


def change(shop: Clone, word: str) -> None:
    """Another commit: the app greets with `word`."""
    code = shop.root / "backend" / "service" / "api.py"
    code.write_text(re.sub(r'f"\w+, ', f'f"{word}, ', code.read_text()))


def greeting(shop: Clone, stack: str) -> str:
    return str(json.loads(shop.get("/greet/Ada", outputs(shop, stack)["url"])[1])["greeting"])


def test_what_staging_serves_is_promoted_by_its_digest_and_built_once(shop: Clone) -> None:
    change(shop, "Ahoy")
    shop.pulumi("up", "--yes", "--skip-preview", stack="staging")
    change(shop, "Hello")  # what the sources say meanwhile does not matter to prod
    digest = outputs(shop, "staging")["imageDigest"]
    told = json.loads(shop.shell("slipway promote staging prod --dry-run --json"))
    assert (told["digest"], told["dry_run"]) == (digest, True)
    assert told["copied"]["blobs"] > 0
    assert greeting(shop, "prod") == "Hello, Ada"
    shop.shell("slipway promote staging prod --yes")
    assert json.loads(shop.shell("slipway promote staging prod --json"))["copied"] == {"blobs": 0, "bytes": 0}
    shop.pulumi("up", "--yes", "--skip-preview", stack="prod")
    assert outputs(shop, "prod")["imageDigest"] == digest
    assert greeting(shop, "prod") == greeting(shop, "staging") == "Ahoy, Ada"
    shop.pulumi("preview", "--expect-no-changes", stack="prod")
