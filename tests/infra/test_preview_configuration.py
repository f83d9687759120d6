"""Previews start from their environment's configuration, which another passphrase or key encrypts than their own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.previews import base_environment, preview_stacks
from slipway.release import deployed_stack
from slipway.release.aws_session import AwsSession
from tests.infra.facts import FOUNDATION, PREVIEWS

WRONG = "`pulumi config` failed:\nerror: incorrect passphrase"


class Engine:
    """Pulumi's answers; `config`: the base's, whose secret values need `--show-secrets` and a passphrase."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], *, is_passphrase_right: bool) -> None:
        self.config, self.is_passphrase_right = config, is_passphrase_right
        monkeypatch.setattr(deployed_stack, "run_pulumi_in_project", self.answer)
        monkeypatch.setattr(AwsSession, "of", lambda aws, _: aws)
        monkeypatch.setattr(base_environment, "check_not_paused", lambda *_: None)  # it asks AWS

    def answer(self, *words: str) -> str:
        if words[0] == "stack":
            return json.dumps({"services": {}, "foundation": replace(FOUNDATION, previews=PREVIEWS).to_output()})
        if "--show-secrets" not in words:
            return json.dumps(
                {key: {"secret": True} if entry.get("secret") else entry for key, entry in self.config.items()}
            )
        if not self.is_passphrase_right:
            raise SlipwayError(WRONG)
        return json.dumps(self.config)


REGION = {"aws:region": {"value": "eu-north-1"}}
OWN_SECRET = {"slipway:secrets": {"value": '{"SENTRY_DSN":"x"}', "secret": True}}
SECRET_KEY = {"aws:accessKey": {"value": "AKIA"}, "aws:secretKey": {"value": "hidden", "secret": True}}


def test_an_environments_own_secrets_are_not_decrypted_to_read_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    Engine(monkeypatch, REGION | OWN_SECRET, is_passphrase_right=False)
    assert base_environment.open_base_environment("dev").aws.session.region_name == "eu-north-1"


def test_a_secret_of_the_provider_is_decrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    Engine(monkeypatch, REGION | SECRET_KEY, is_passphrase_right=True)
    keys = base_environment.open_base_environment("dev").aws.session.get_credentials()
    assert (keys.access_key, keys.secret_key) == ("AKIA", "hidden")


def test_another_passphrase_is_said_in_one_sentence_with_the_key_that_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    Engine(monkeypatch, REGION | SECRET_KEY, is_passphrase_right=False)
    with pytest.raises(SlipwayError) as caught:
        base_environment.open_base_environment("dev")
    assert caught.value.message == (
        "Previews read the configuration of dev, which is encrypted with another passphrase than that in "
        "PULUMI_CONFIG_PASSPHRASE."
    )
    assert "awskms://...&context_stack=dev' --stack dev" in caught.value.fix


def test_a_value_that_only_the_environments_key_decrypts_is_refused_by_its_name() -> None:
    config = {"aws:region": "eu-north-1", "aws:secretKey": {"secure": "v1:abc"}, "slipway:environment": {"A": "b"}}
    with pytest.raises(SlipwayError, match=r"stacks/Pulumi\.dev\.yaml encrypts aws:secretKey for dev alone") as caught:
        preview_stacks.ensure_no_encrypted_values("dev", config)
    assert "pulumi config rm aws:secretKey --stack dev" in caught.value.fix
    del config["aws:secretKey"]
    preview_stacks.ensure_no_encrypted_values("dev", config)
