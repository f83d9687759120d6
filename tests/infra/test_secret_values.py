"""`slipway secrets`: what app.yaml asks for, what a stack has, and that no value shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.config.app_spec.app import AppSpec
from slipway.config.errors import SlipwayError
from slipway.release import configured_secret_values as values
from slipway.release import deployed_stack

SECRET = "s3cr3t value"  # noqa: S105 - of no service


def app(**secrets: str) -> AppSpec:
    return AppSpec.model_validate({"source": "app", "module": "app.main:app", "port": 8000, "secrets": secrets})


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Commands that the engine was asked for; it has the secrets SENTRY_DSN and LEFT."""
    asked: list[tuple[str, ...]] = []

    def run(*arguments: str) -> str:
        asked.append(arguments)
        if arguments[:2] == ("config", "--json"):
            return json.dumps({"shop:secrets": {"secret": True}})
        if arguments[:2] == ("config", "get"):
            return json.dumps({"value": json.dumps({"SENTRY_DSN": SECRET, "LEFT": SECRET})})
        return ""

    monkeypatch.setattr(values, "run_pulumi_in_project", run)
    monkeypatch.setattr(deployed_stack, "run_pulumi_in_project", run)
    monkeypatch.setattr(values, "project_name", lambda: "shop")
    return asked


def test_what_is_missing_and_what_is_too_much_is_named(engine: Any) -> None:
    listed = values.list_secrets("dev", app(SENTRY_DSN="required", KEY="required", MAY_BE="optional"))
    assert {each.name: each.state for each in listed} == {
        "SENTRY_DSN": "set",
        "KEY": "missing",
        "MAY_BE": "optional",
        "LEFT": "unknown",
    }
    assert SECRET not in repr(listed)


@pytest.fixture
def stack_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's stack file, with comments."""
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    file = tmp_path / "stacks" / "Pulumi.dev.yaml"
    file.parent.mkdir()
    file.write_text("config:\n  # Rules.\n  tier: dev # ours\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(values, "project_name", lambda: "shop")
    return file


def encrypt(arguments: Any, *, typed: str) -> str:
    """`pulumi config set`, on the copy."""
    copy = Path(arguments[arguments.index("--config-file") + 1])
    document = yaml.safe_load(copy.read_text()) | {"encryptionsalt": "salt"}
    name = arguments[arguments.index("--path") + 1].partition(".")[2]
    document["config"].setdefault("shop:secrets", {})[name] = {"secure": f"encrypted {len(typed)}"}
    copy.write_text(yaml.safe_dump(document))
    return ""


def test_a_value_is_encrypted_into_the_stacks_file_whose_comments_stay(
    stack_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values, "run_pulumi", encrypt)
    values.set_secret("dev", "KEY", SECRET)
    values.set_secret("dev", "OTHER", SECRET)
    text = stack_file.read_text()
    assert "  # Rules.\n  tier: dev # ours\n" in text
    assert yaml.safe_load(text) == {
        "config": {"tier": "dev", "secrets": {name: {"secure": "encrypted 12"} for name in ("KEY", "OTHER")}},
        "encryptionsalt": "salt",
    }
    monkeypatch.setattr(values, "configured_names", lambda _: {"KEY", "OTHER"})
    values.unset_secret("dev", "KEY")
    assert list(yaml.safe_load(stack_file.read_text())["config"]["secrets"]) == ["OTHER"]
    values.unset_secret("dev", "OTHER")
    assert yaml.safe_load(stack_file.read_text())["config"] == {"tier": "dev"}
    assert "# Rules." in stack_file.read_text()


def test_a_value_is_in_no_argument_and_no_error(stack_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def run(arguments: Any, *, typed: str) -> str:
        asked.append((arguments, typed))
        raise SlipwayError(f"failed: {typed}", "mend it")

    monkeypatch.setattr(values, "run_pulumi", run)
    with pytest.raises(SlipwayError) as failed:
        values.set_secret("dev", "KEY", SECRET)
    ((arguments, typed),) = asked
    assert typed == SECRET
    assert SECRET not in " ".join(arguments) + str(failed.value)
    with pytest.raises(SlipwayError, match="The value of KEY is empty"):
        values.set_secret("dev", "KEY", "")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("KYE", r"does not name KYE under secrets \(it names: KEY\); nothing was changed"),
        ("KEY=abc", "no name of a variable"),
    ],
)
def test_a_name_that_app_yaml_does_not_have_is_refused(name: str, told: str) -> None:
    with pytest.raises(SlipwayError, match=told):
        values.check_name(name, app(KEY="required"), "dev")


def test_what_is_not_there_cannot_be_removed(engine: list[tuple[str, ...]]) -> None:
    with pytest.raises(SlipwayError, match="The stack dev has no secret KEY"):
        values.unset_secret("dev", "KEY")


def test_an_env_file_is_read_as_shells_and_dotenv_read_it() -> None:
    text = "# ours\n\nexport A=1\nB = 'x # y' # comment\nC=\"a\\nb\"\nD=plain # comment\nE=\nF=a=b#c\n"
    assert values.parse_env_file(text, ".env") == {
        "A": "1", "B": "x # y", "C": "a\nb", "D": "plain", "E": "", "F": "a=b#c",
    }  # fmt: skip


def test_a_wrong_line_is_named_by_its_number_and_not_shown() -> None:
    with pytest.raises(SlipwayError, match=r"\.env, line 2: no NAME=value") as failed:
        values.parse_env_file(f"A=1\n{SECRET}\n", ".env")
    assert SECRET not in str(failed.value)


def test_an_import_takes_what_app_yaml_names_and_tells_the_rest() -> None:
    found = values.split_import({"KEY": SECRET, "OTHER": "1", "MAY_BE": ""}, app(KEY="required", MAY_BE="optional"))
    assert found == ({"KEY": SECRET}, ["OTHER"], ["MAY_BE"])
