"""The provider under the real engine: replacement, refresh, import, secrets, errors, on the local AWS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.local.engine_stack import Stack

pytestmark = pytest.mark.e2e
Aws = Callable[[str], Any]


def test_a_replacement_creates_the_new_one_before_it_deletes_the_old(stack: Stack, aws: Aws) -> None:
    program = "group = aws.cloudwatch.LogGroup('g', name='{}')\npulumi.export('name', group.name)"
    stack.program(program.format("one"))
    stack.up()
    stack.program(program.format("two"))
    told = stack.up()
    assert told.index("created replacement") < told.index("deleted original")
    names = [group["logGroupName"] for group in aws("logs").describe_log_groups()["logGroups"]]
    assert "two" in names
    assert "one" not in names


def test_a_change_by_hand_shows_in_a_refresh_and_up_mends_it(stack: Stack, aws: Aws) -> None:
    stack.program("aws.cloudwatch.LogGroup('g', name='drifting', retention_in_days=7)")
    stack.up()
    aws("logs").put_retention_policy(logGroupName="drifting", retentionInDays=30)
    preview = stack.run("preview", "--refresh", "--stack", "probe", "--diff")
    assert "retentionInDays" in preview
    stack.run("up", "--yes", "--skip-preview", "--refresh", "--stack", "probe")
    assert aws("logs").describe_log_groups(logGroupNamePrefix="drifting")["logGroups"][0]["retentionInDays"] == 7


def test_what_is_gone_is_noticed_made_again_and_no_trouble_to_delete(stack: Stack, aws: Aws) -> None:
    stack.program("aws.cloudwatch.LogGroup('g', name='vanishing')")
    stack.up()
    aws("logs").delete_log_group(logGroupName="vanishing")
    assert "1 created" in stack.run("up", "--yes", "--skip-preview", "--refresh", "--stack", "probe")
    aws("logs").delete_log_group(logGroupName="vanishing")


def test_an_existing_resource_can_be_imported(stack: Stack, aws: Aws) -> None:
    aws("logs").create_log_group(logGroupName="found")
    aws("logs").put_retention_policy(logGroupName="found", retentionInDays=14)
    stack.program(
        "aws.cloudwatch.LogGroup('g', name='found', retention_in_days=14, opts=pulumi.ResourceOptions(import_='found'))"
    )
    assert "imported" in stack.up()


def test_a_secret_input_is_encrypted_in_the_state(stack: Stack) -> None:
    stack.program(
        "aws.cloudwatch.LogGroup('g', name='quiet', tags={'note': pulumi.Output.secret('a-very-secret-word')})"
    )
    stack.up()
    assert "a-very-secret-word" not in stack.state()
    assert "a-very-secret-word" not in (stack.root / "state").joinpath(".pulumi/stacks/probe/probe.json").read_text()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("aws.dynamodb.Table('t', attributes=[], hash_key='id')", "aws:dynamodb/table:Table"),
        ("aws.ec2.Vpc('v', cidr_block='10.0.0.0/16', instance_tenancy='dedicated')", "instanceTenancy"),
        ("aws.iam.RolePolicy('p', role='nobody', policy='{}')", "NoSuchEntity"),
    ],
)
def test_an_error_names_what_is_wrong_without_a_stack_trace(stack: Stack, body: str, words: str) -> None:
    stack.program(body)
    told = stack.up(code=1)
    assert words in told
    assert "Traceback" not in told
