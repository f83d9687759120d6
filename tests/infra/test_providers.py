"""What is in a component is in its region and account: made and asked by the provider that the component was given."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from slipway.config.settings import Settings
from tests.infra.program import APP_FILE, programmed
from tests.infra.recorder import Recording
from tests.infra.test_component_types import EVERYTHING
from tests.infra.test_previews import preview

ASKED_BY_THE_PROGRAM = {"aws:index/getRegion:getRegion": 1}
"""For the values that it injects into the app, by the stack's own provider."""


@pytest.fixture
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives each component of the program itself a provider that is not the stack's own."""
    register = pulumi.ComponentResource.__init__
    providers: list[aws.Provider] = []

    def with_provider(
        self: pulumi.ComponentResource, kind: str, name: str, props: Any = None, opts: Any = None, **more: Any
    ) -> None:
        opts = opts or pulumi.ResourceOptions()
        if kind == "pulumi:pulumi:Stack":
            register(self, kind, name, props, opts, **more)
            return
        if not providers:
            providers.append(aws.Provider("elsewhere", region="eu-west-1"))
        if not opts.parent:
            opts = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(providers=providers), opts)
        register(self, kind, name, props, opts, **more)

    monkeypatch.setattr(pulumi.ComponentResource, "__init__", with_provider)


def assert_elsewhere(recording: Recording) -> None:
    inside = [each for each in recording if each.parent and each.type.startswith("aws:")]
    assert inside
    assert [f"{each.type} {each.name}" for each in inside if not each.provider] == []
    calls = [(token, provider) for token, provider in recording.calls if token.startswith("aws:")]
    assert Counter(token for token, provider in calls if not provider) == ASKED_BY_THE_PROGRAM


@pytest.mark.usefixtures("_elsewhere")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"domain": "", "grafana": False, "waf": False},
        {"cdn": True, "previews": False, "preview_domain": "", "preview_data": "empty"},
    ],
    ids=["everything", "without a domain", "behind CloudFront"],
)
def test_all_that_is_in_an_environments_components(changes: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "app.yaml"
    file.write_text(APP_FILE.read_text() + "\npreviewSeed: python -m app.seed\n")
    settings = Settings.from_files("staging").model_copy(update=EVERYTHING | changes)
    assert_elsewhere(programmed("staging", settings, file))


@pytest.mark.usefixtures("_elsewhere")
def test_all_that_is_in_a_previews_components() -> None:
    recording: Any = preview(imageDigest="")
    assert_elsewhere(recording)
