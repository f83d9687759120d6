"""What differs from the sources, as `pulumi preview --refresh` says it: what is unchanged is not told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway.pipeline import drift

STEPS = {"same": "web", "read": "zone", "refresh": "queue", "update": "logs", "create": "rule", "replace": "task"}
DIGEST = f"sha256:{'1' * 64}"


def test_only_what_an_up_would_change_is_drift_and_the_deployed_image_is_no_change(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "stacks" / "Pulumi.prod.yaml"
    file.parent.mkdir()
    file.write_text("config: {}\n")
    asked: list[tuple[str, ...]] = []

    def run(*arguments: str) -> str:
        asked.append(arguments)
        if arguments[0] == "stack":
            config = {"slipway:imageDigest": {"value": DIGEST}, "slipway:tier": {"value": "prod"}}
            return json.dumps([{"config": config}])
        steps = [{"op": op, "urn": f"urn:pulumi:prod::shop::a:b:C$aws:x:Y::{name}"} for op, name in STEPS.items()]
        return json.dumps({"steps": [step | {"detailedDiff": {"tags": {}}} for step in steps]})

    monkeypatch.setattr(drift, "run_pulumi_in_project", run)
    monkeypatch.setattr(drift, "project_root", lambda: tmp_path)
    found = drift.detect_drift("prod")
    assert [(each.change, each.type, each.name, each.properties) for each in found] == [
        ("update", "aws:x:Y", "logs", ["tags"]),
        ("create", "aws:x:Y", "rule", ["tags"]),
        ("replace", "aws:x:Y", "task", ["tags"]),
    ]
    _, configured, preview = asked
    assert configured[:4] == ("config", "set", "imageDigest", DIGEST)
    assert configured[-1] == preview[-1] != str(file), "the stack's own file is not written to"
    assert file.read_text() == "config: {}\n"
