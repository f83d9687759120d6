"""How a command fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from slipway.cli.failure import describe_failure, print_failure
from slipway.config.errors import SlipwayError
from tests.paths import ROOT


def test_an_error_that_the_user_can_mend_has_its_cure() -> None:
    failure = describe_failure(SlipwayError("There is no stack qa.", "pulumi stack ls"))
    assert (failure.error, failure.fix, failure.report) == ("There is no stack qa.", "pulumi stack ls", "")


def test_a_refusal_of_aws_names_the_operation_and_what_aws_says() -> None:
    refusal = {"Error": {"Code": "AccessDenied", "Message": "User: arn:aws:iam::1:user/a is not authorized"}}
    failure = describe_failure(ClientError(refusal, "DescribeServices"))
    assert "DescribeServices" in failure.error
    assert "User: arn:aws:iam::1:user/a is not authorized" in failure.error
    assert failure.fix
    assert failure.where == "AWS DescribeServices"
    assert "User: arn:aws:iam::1:user/a is not authorized" in failure.why
    assert "no AWS credentials" in describe_failure(NoCredentialsError()).error


def test_a_file_that_cannot_be_read_is_named() -> None:
    assert describe_failure(PermissionError(13, "Permission denied", "stacks/app.yaml")).error == (
        "stacks/app.yaml: Permission denied."
    )


def test_a_fault_of_the_kit_leaves_its_stack_trace_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_RUN_DIR", str(tmp_path))
    try:
        raise KeyError("cluster")
    except KeyError as error:
        failure = describe_failure(error)
    assert Path(failure.report).parent == tmp_path / "log"
    assert "raise KeyError" in Path(failure.report).read_text()
    assert failure.report in failure.fix


def test_under_json_a_failure_is_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    print_failure(describe_failure(SlipwayError("No.", "Yes.")), as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "error": "No.",
        "where": "slipway",
        "why": "",
        "fix": "Yes.",
        "exit_code": 1,
    }


def test_a_command_outside_of_a_project_says_so_without_a_trace(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "slipway.cli.main", "plan", "dev"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "infra")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"error: There is no Pulumi.yaml in {tmp_path} or above it." in done.stderr
    assert "Traceback" not in done.stderr
