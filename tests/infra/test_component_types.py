"""Component types and the names of their children are a public interface: a change of one replaces resources.

When a change is meant: SLIPWAY_WRITE_SNAPSHOT=1 .venv/bin/python -m pytest tests/infra/test_component_types.py, give
each resource that is called otherwise an alias, and say it in the release's notes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config.settings import Settings
from tests.committed import assert_committed
from tests.infra.program import APP_FILE, programmed
from tests.infra.recorder import Registered
from tests.infra.test_previews import preview
from tests.paths import ROOT

FILE = Path(__file__).with_name("component_types.txt")
EVERYTHING = {
    "backup_copy_region": "us-west-2",
    "deploy_profile": "safe",
    "domain": "api.acme.test",
    "exec": True,
    "flow_logs": True,
    "github_repository": "acme/shop",
    "grafana": True,
    "hosted_zone_id": "Z1",
    "interface_endpoints": True,
    "managed_prometheus": True,
    "alarm_email": "ops@acme.test",
    "monitoring": True,
    "monthly_budget_usd": 100,
    "preview_data": "template",
    "preview_domain": "preview.acme.test",
    "previews": True,
    "promotes_to": "prod",
    "secrets_generation": 2,
    "tracing": True,
    "waf": True,
    "container_insights": True,
}
"""Settings with which a stack has a resource of every kind."""


def interface(resources: list[Registered], name: str) -> set[str]:
    """A line for each resource: the type of its component, its own, and its name with the stack's as STACK."""
    return {
        f"{resource.parent_type or '-'} {resource.type} {resource.name.replace(name, 'STACK')}"
        for resource in resources
        if resource.type != "pulumi:pulumi:Stack" and not resource.type.startswith("pulumi:providers:")
    }


@pytest.fixture(scope="module")
def current(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Of an environment with everything, of one without a domain, of one behind CloudFront, and of a preview."""
    file = tmp_path_factory.mktemp("app") / "app.yaml"
    file.write_text(APP_FILE.read_text() + "\npreviewSeed: python -m app.seed\n")
    everything = Settings.from_files("staging").model_copy(update=EVERYTHING)
    without_domain = everything.model_copy(update={"domain": "", "grafana": False, "waf": False})
    without_previews = {"previews": False, "preview_domain": "", "preview_data": "empty"}
    behind_cloudfront = everything.model_copy(update={"cdn": True, **without_previews})
    lines = interface(programmed("staging", everything, file), "slipway-staging")
    lines |= interface(programmed("staging", behind_cloudfront, file), "slipway-staging")
    lines |= interface(programmed("staging", without_domain, file), "slipway-staging")
    lines |= interface(preview(imageDigest=""), "slipway-pr-42")
    return sorted(line.replace("slipway-dev", "BASE") for line in lines)


def test_component_types_and_names_of_children_are_those_of_the_file(current: list[str]) -> None:
    assert_committed(FILE, "".join(f"{line}\n" for line in current))


def test_the_file_names_every_component() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "infra/slipway/components").glob("*.py"))
    tokens = {line.split('"')[1] for line in sources.splitlines() if 'super().__init__("slipway:' in line}
    assert len(tokens) > 30
    named = {line.split()[1] for line in FILE.read_text().splitlines()}
    assert tokens - named == set()
