"""The local AWS is an optional package: what the core does with it and without it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from slipway.config import local_aws
from slipway.config.errors import SlipwayError


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
