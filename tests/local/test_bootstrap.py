"""The state's bucket and key, made in the local S3 and KMS; then Pulumi itself keeps a stack and a secret there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from slipway.pipeline import state_bootstrap
from slipway.previews import preview_stacks as previews
from slipway.previews.expiry import decide_reaping
from slipway.previews.identity import BASE_TAG, EXPIRES_TAG, KIND_TAG, NAME_TAG, inspect_stack, why_not_a_preview
from slipway.previews.preview_stacks import PulumiBackend
from slipway.release.aws_session import AwsSession
from slipway_local.emulator.process import Emulator
from slipway_local.session import open_session

pytestmark = pytest.mark.e2e
PROJECT = "name: probe\nruntime: yaml\n"
PREVIEWS = "name: slipway\nruntime: {name: python}\nstackConfigDir: stacks\n"
PROGRAM = """import pulumi
config = pulumi.Config()
pulumi.export("url", config.require("url"))
pulumi.export("word", config.require_secret_object("secrets").apply(lambda found: found["database.url"]))
"""


def slipway(*arguments: str) -> str:
    command = [sys.executable, "-m", "slipway.cli.main", "bootstrap", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | open_session().environ())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def at_the_emulator(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_PORT", str(emulator.port))


def test_the_printed_lines_log_in_and_keep_a_secret_under_the_key(emulator: Emulator, tmp_path: Path) -> None:
    assert "the bucket" in slipway("--dry-run")
    told = slipway()
    login, make = re.findall(r"^  (pulumi (?:login|stack init) .*)$", told, re.MULTILINE)
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    secret = ["pulumi config set --secret word opensesame", "pulumi config get word"]
    lines = [login, make.replace("STACK", "dev"), *secret]
    env = {key: value for key, value in open_session().environ().items() if key != "PULUMI_BACKEND_URL"}
    env |= {"PULUMI_HOME": str(tmp_path / "home"), "PULUMI_CONFIG_PASSPHRASE": ""}
    done = subprocess.run(["sh", "-ec", "\n".join(lines)], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.stdout.endswith("opensesame\n"), done.stdout + done.stderr
    file = (tmp_path / "Pulumi.dev.yaml").read_text()
    assert "secretsprovider: awskms://alias/slipway-state" in file
    assert "opensesame" not in file


def test_it_is_versioned_encrypted_closed_and_by_tls_only(aws: Callable[[str], Any], local: AwsSession) -> None:
    made = state_bootstrap.bootstrap_state_backend(local, "shop")
    s3 = aws("s3")
    assert s3.get_bucket_versioning(Bucket=made.bucket)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket=made.bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": made.key_arn}
    closed = s3.get_public_access_block(Bucket=made.bucket)["PublicAccessBlockConfiguration"]
    assert set(closed.values()) == {True}
    assert len(closed) == 4
    (tls,) = json.loads(s3.get_bucket_policy(Bucket=made.bucket)["Policy"])["Statement"]
    assert (tls["Effect"], tls["Principal"], tls["Action"]) == ("Deny", "*", "s3:*")
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert tls["Resource"] == [f"arn:aws:s3:::{made.bucket}", f"arn:aws:s3:::{made.bucket}/*"]
    assert aws("kms").get_key_rotation_status(KeyId=made.key_arn)["KeyRotationEnabled"] is True


def test_run_again_it_makes_nothing_anew_and_mends_what_was_loosened(
    aws: Callable[[str], Any], local: AwsSession
) -> None:
    first = state_bootstrap.bootstrap_state_backend(local, "again")
    aws("s3").put_object(Bucket=first.bucket, Key=".pulumi/meta.yaml", Body=b"version: 1")
    aws("s3").put_bucket_versioning(Bucket=first.bucket, VersioningConfiguration={"Status": "Suspended"})
    second = state_bootstrap.bootstrap_state_backend(local, "again")
    assert (first.missing_resources(), second.missing_resources()) == (
        [f"the bucket {first.bucket}", f"the key {first.key_alias}"],
        [],
    )
    assert second.key_arn == first.key_arn
    assert aws("s3").get_bucket_versioning(Bucket=first.bucket)["Status"] == "Enabled"
    assert aws("s3").get_object(Bucket=first.bucket, Key=".pulumi/meta.yaml")["Body"].read() == b"version: 1"


def test_another_account_is_in_both_policies_and_stays_there(aws: Callable[[str], Any], local: AwsSession) -> None:
    first = state_bootstrap.bootstrap_state_backend(local, "shared", also_for=["444455556666"])
    again = state_bootstrap.bootstrap_state_backend(local, "shared", also_for=["777788889999"])
    last = state_bootstrap.bootstrap_state_backend(local, "shared")
    assert (first.accounts, again.accounts) == (("444455556666",), ("444455556666", "777788889999"))
    assert last.accounts == again.accounts
    key = json.loads(aws("kms").get_key_policy(KeyId=last.key_arn, PolicyName="default")["Policy"])
    for policy in (json.loads(aws("s3").get_bucket_policy(Bucket=last.bucket)["Policy"]), key):
        assert "arn:aws:iam::777788889999:root" in json.dumps(policy)


def test_a_dry_run_makes_nothing(aws: Callable[[str], Any], local: AwsSession) -> None:
    planned = state_bootstrap.bootstrap_state_backend(local, "looked", dry_run=True)
    assert len(planned.missing_resources()) == 2
    assert planned.bucket not in [each["Name"] for each in aws("s3").list_buckets()["Buckets"]]
    assert planned.key_alias not in [each["AliasName"] for each in aws("kms").list_aliases()["Aliases"]]


class Bucket:
    """Previews' stacks in a bucket that `slipway bootstrap` made, with a program that makes nothing in AWS."""

    def __init__(self, state: state_bootstrap.StateBackend, root: Path) -> None:
        (root / "stacks").mkdir()
        (root / "Pulumi.yaml").write_text(PREVIEWS)
        (root / "__main__.py").write_text(PROGRAM)
        session = open_session()
        env = session.environ() | {"PULUMI_BACKEND_URL": state.backend, "PULUMI_HOME": str(root / "home")}
        self.root, self.engine = root, PulumiBackend(str(session.toolchain.pulumi), env)

    def up(self, stack: str, expires: str, *init: str) -> None:
        """As `bring_up` does it."""
        if not self.engine.has(stack):
            self.engine.ask("stack", "init", stack, "--no-select", *init, folder=self.root)
        for key, value in {KIND_TAG: "preview", BASE_TAG: "dev", NAME_TAG: stack, EXPIRES_TAG: expires}.items():
            self.engine.ask("stack", "tag", "set", key, value, "--stack", stack)
        config = {"kind": "preview", "base": "dev", "url": f"https://{stack}.preview.acme.test/"}
        previews.write_stack_file(self.engine, stack, {f"slipway:{key}": value for key, value in config.items()})
        previews.set_secret(self.engine, stack, 'secrets["database.url"]', "postgresql://u:opensesame@h/d")
        self.engine.run("up", "--yes", "--skip-preview", "--stack", stack, folder=self.root)

    def destroy(self, stack: str) -> None:
        """As `take_down` does it: on a machine that has never seen the stack's file."""
        (self.root / "stacks" / f"Pulumi.{stack}.yaml").unlink()
        previews.write_stack_file(self.engine, stack, {"slipway:kind": "preview"})
        self.engine.run("destroy", "--yes", "--skip-preview", "--remove", "--stack", stack, folder=self.root)


def test_previews_stacks_are_kept_in_the_bucket_found_by_their_tags_and_removed(
    aws: Callable[[str], Any], local: AwsSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "ensure_project_folder", lambda _: tmp_path)
    state = state_bootstrap.bootstrap_state_backend(local, "previews")
    bucket = Bucket(state, tmp_path)
    provider = state.secrets_provider.replace("STACK", "pr-2")
    bucket.up("pr-1", "2026-03-01T00:00:00+00:00")  # under a passphrase, as the pipeline's
    bucket.up("pr-2", "2026-03-09T00:00:00+00:00", "--secrets-provider", provider)
    bucket.up("pr-2", "2026-03-10T00:00:00+00:00")
    engine = bucket.engine
    engine.ask("stack", "init", "dev", "--no-select", folder=tmp_path)
    assert engine.has("dev")
    assert sorted(engine.previews("dev")) == ["pr-1", "pr-2"]
    assert engine.previews("prod") == []
    seen = [inspect_stack(engine, stack) for stack in engine.previews("dev")]
    assert [why_not_a_preview(each, "dev") for each in seen] == ["", ""]
    (second,) = [each for each in seen if each.stack == "pr-2"]
    assert second.outputs["url"] == "https://pr-2.preview.acme.test/"
    assert second.config
    assert "opensesame" not in str(second.config)
    assert second.config["url"] == "https://pr-2.preview.acme.test/"
    now = datetime(2026, 3, 5, tzinfo=UTC)
    assert {each.stack: each.action for each in decide_reaping(seen, "dev", now)} == {"pr-1": "destroy", "pr-2": "keep"}
    shown = engine.ask("stack", "output", "word", "--show-secrets", "--stack", "pr-2", folder=tmp_path)
    assert shown.strip() == "postgresql://u:opensesame@h/d"
    assert "opensesame" not in (tmp_path / "stacks" / "Pulumi.pr-2.yaml").read_text()
    assert "opensesame" not in str(engine.state("pr-2"))

    for stack in ("pr-1", "pr-2"):
        bucket.destroy(stack)
    assert engine.previews("dev") == []
    assert engine.has("dev")
    kept = [each["Key"] for each in aws("s3").list_objects_v2(Bucket=state.bucket)["Contents"]]
    # No lock, and of a stack that was removed what the engine itself keeps: the state before that.
    assert [key for key in kept if key.startswith((".pulumi/locks/", ".pulumi/stacks/slipway/pr-"))] == [
        ".pulumi/stacks/slipway/pr-1.json.bak",
        ".pulumi/stacks/slipway/pr-2.json.bak",
    ]
