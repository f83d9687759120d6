"""A stack's file after `pulumi stack init`: what was there stays, and the encryption salt is added."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config.stack_file import restore_stack_file
from tests.infra.test_stack_file import stack_path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: shop\n")
    return tmp_path


PLAIN = """\
# What Pulumi writes
# when a stack is made.

config:
  # a comment before
  tier: dev # and one beside
  "zones": 2
"""


@pytest.mark.parametrize(
    ("former", "after"),
    [
        (PLAIN, PLAIN.replace("config:", "encryptionsalt: v1:new=\nconfig:")),
        (
            PLAIN.replace("\n", "\r\n"),
            PLAIN.replace("config:", "encryptionsalt: v1:new=\nconfig:").replace("\n", "\r\n"),
        ),
        (f"---\n{PLAIN}", f"---\n{PLAIN}".replace("config:", "encryptionsalt: v1:new=\nconfig:")),
        (f"{PLAIN}encryptionsalt: v1:old= # of before\n", f"{PLAIN}encryptionsalt: v1:new= # of before\n"),
    ],
)
def test_what_pulumi_writes_when_it_makes_a_stack_changes_the_salt_alone(
    project: Path, former: str, after: str
) -> None:
    stack_path(project).write_text("config:\n  shop:tier: dev\n  shop:zones: 2\nencryptionsalt: v1:new=\n")
    restore_stack_file("qa", former, project)
    assert stack_path(project).read_bytes().decode() == after


def test_a_file_that_pulumi_has_given_no_salt_or_that_is_empty_stays_as_pulumi_has_written_it(project: Path) -> None:
    stack_path(project).write_text("config:\n  tier: dev\n")
    restore_stack_file("qa", "# mine\nconfig: {tier: dev}\n", project)
    assert stack_path(project).read_text() == "config:\n  tier: dev\n"
    stack_path(project).write_text("encryptionsalt: v1:new=\n")
    restore_stack_file("qa", "", project)
    assert stack_path(project).read_text() == "encryptionsalt: v1:new=\n"
