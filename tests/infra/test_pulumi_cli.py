"""What the kit does with pulumi's answers: a command that fails is an error with its reason, and never an answer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slipway.config.errors import SlipwayError
from slipway.release.pulumi_cli import ACCESS_DENIED_FIX, FAILED_FIX, run_pulumi, run_pulumi_attached


def engine(folder: Path, script: str) -> Path:
    binary = folder / "pulumi"
    binary.write_text(f"#!/bin/sh\n{script}\n")
    binary.chmod(0o755)
    return binary


def test_an_answer_is_what_it_writes_in_the_folder_with_these_words_and_this_input(tmp_path: Path) -> None:
    binary = engine(tmp_path, 'echo "$@ in $(pwd) with $PASSPHRASE"; cat; echo noise >&2')
    told = run_pulumi(
        ["config", "set"], tmp_path, binary=binary, environment=os.environ | {"PASSPHRASE": "words"}, typed="secret"
    )
    assert told == f"config set in {tmp_path.resolve()} with words\nsecret"


@pytest.mark.parametrize(
    ("script", "reason"), [("echo out; echo why >&2; exit 255", "why"), ("echo only this; exit 1", "only this")]
)
def test_a_failure_is_an_error_with_its_reason(tmp_path: Path, script: str, reason: str) -> None:
    with pytest.raises(SlipwayError) as failed:
        run_pulumi(["stack", "output"], tmp_path, binary=engine(tmp_path, script))
    assert failed.value.message == f"`pulumi stack output` failed:\n{reason}"
    assert failed.value.fix == FAILED_FIX


def test_a_role_that_may_not_read_the_state_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError) as failed:
        run_pulumi(["up"], tmp_path, binary=engine(tmp_path, "echo AccessDenied: s3:GetObject >&2; exit 1"))
    assert failed.value.fix == ACCESS_DENIED_FIX


@pytest.mark.parametrize("code", [0, 255])
def test_an_interactive_command_ends_with_its_own_code(tmp_path: Path, code: int) -> None:
    log = tmp_path / "log"
    with log.open("w") as output:
        binary = engine(tmp_path, f"echo told; echo failed >&2; exit {code}")
        assert run_pulumi_attached(["up"], tmp_path, binary=binary, output=output) == code
    assert log.read_text() == "told\nfailed\n"


def test_an_engine_that_is_missing_is_named(tmp_path: Path) -> None:
    for run in (run_pulumi, run_pulumi_attached):
        with pytest.raises(SlipwayError, match="`no-such-engine` is not installed"):
            run(["up"], tmp_path, binary="no-such-engine")
