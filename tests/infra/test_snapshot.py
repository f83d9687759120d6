"""No input or option of any resource changes unseen: one snapshot, a block for each resource."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config.app_spec import loader
from slipway.graph.program_run import run_program
from slipway.graph.snapshot import format_snapshot
from tests.committed import assert_committed
from tests.infra.program import APP_FILE
from tests.paths import ROOT

FILE = ROOT / "tests" / "infra" / "snapshot.txt"
CDN_FILE = FILE.with_name("snapshot_cdn.txt")
STACK = "prod"
EVERYTHING = {
    "backupCopyRegion": "us-west-2",
    "databaseRestoreFrom": "before",
    "deployProfile": "safe",
    "githubRepository": "acme/shop",
    "grafana": True,
    "interfaceEndpoints": True,
    "managedPrometheus": True,
    "monitoring": True,
    "offHours": {"stop": "0 20 * * 1-5", "start": "0 7 * * 1-5", "zone": "Europe/Berlin", "alsoInProd": True},
    "previewData": "template",
    "previewDomain": "preview.acme.test",
    "previews": True,
    "promotesFrom": "another",
    "promotesTo": "other",
    "secretsGeneration": 2,
    "stateBucket": "state",
    "stateKey": "arn:aws:kms:eu-central-1:123456789012:key/state",
    "tracing": True,
}
"""Settings that create what prod's file does not."""


def test_a_stack_with_everything_is_what_its_snapshot_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app_file = tmp_path / "app.yaml"
    app_file.write_text(f"{APP_FILE.read_text()}\npreviewSeed: seed\n")
    monkeypatch.setattr(loader, "APP_FILE", app_file)
    assert_committed(FILE, format_snapshot(run_program(STACK, invent_outputs=True, overrides=EVERYTHING)))


def test_cloudfront_changes_what_its_snapshot_says() -> None:
    """The resources of the stack that are new or others with `cdn`."""
    without, behind = (
        format_snapshot(run_program(STACK, invent_outputs=True, overrides={"cdn": cdn})).strip().split("\n\n")
        for cdn in (False, True)
    )
    assert_committed(CDN_FILE, "\n\n".join(block for block in behind if block not in without) + "\n")


def test_a_snapshot_tells_resources_apart_and_has_no_secret() -> None:
    block = {
        "type": "aws:ecs/service:Service",
        "urn": "urn:pulumi:s::p::slipway:ecs:WebService$aws:ecs/service:Service::web",
        "parent": "urn:pulumi:s::p::slipway:ecs:WebService::web",
        "inputs": {"desiredCount": 2, "tags": {"tier": "prod", "kind": "preview"}},
        "options": {"hooks": {"before_create": ["web-capacity"]}},
    }
    secret = block | {
        "urn": "urn:pulumi:s::p::x::secret",
        "inputs": {"secretString": '{"app": "hunter2"}'},
        "options": {},
    }
    text = format_snapshot([block, secret])
    assert '  desiredCount = 2\n  tags.kind = "preview"\n  (hooks) {' in text
    assert "keys app" in text
    assert "hunter2" not in text
