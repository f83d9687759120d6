"""The local AWS is an optional package: what the core does with it and without it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from slipway.config import local_aws
from slipway.config.errors import SlipwayError
from slipway.pipeline import stack_access
from slipway.previews import preview_stacks


def test_only_the_stack_of_the_installed_package_is_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_aws, "find_local_aws", lambda: SimpleNamespace(stack="local"))
    assert local_aws.is_local_stack("local")
    assert not local_aws.is_local_stack("prod")
    assert local_aws.require_local_aws("A test").stack == "local"


def test_without_the_package_no_stack_is_this_machines_and_its_commands_say_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local_aws, "find_local_aws", lambda: None)
    assert not local_aws.is_local_stack("local")
    with pytest.raises(SlipwayError, match="A test needs the AWS on this machine") as refused:
        local_aws.require_local_aws("A test")
    assert "slipway-kit[local]" in refused.value.fix


ENTERS: dict[str, tuple[Any, Callable[[str], Any]]] = {
    "a command on a stack": (stack_access, stack_access.export_local_environment),
    "previews on a base": (preview_stacks, preview_stacks.open_backend),
}
"""What points the process at the local AWS: its module, and itself, called with a stack."""


@pytest.mark.parametrize("name", ENTERS)
@pytest.mark.parametrize(("stack", "is_entered"), [("local", True), ("prod", False)])
def test_the_process_is_pointed_at_it_for_its_own_stack_alone(
    monkeypatch: pytest.MonkeyPatch, name: str, stack: str, is_entered: bool
) -> None:
    entered: list[str] = []

    def enter() -> tuple[str, dict[str, str]]:
        entered.append(stack)
        return "pulumi", {}

    fake = SimpleNamespace(stack="local", enter=enter, enter_with_docker=enter, has_stack=lambda: True)
    module, call = ENTERS[name]
    monkeypatch.setattr(module, "find_local_aws", lambda: fake)
    call(stack)
    assert entered == ([stack] if is_entered else [])
