"""Stack files: what they mean, with Pulumi's own reading in mind, and single settings that are changed in them."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pulumi
import pytest

from slipway.config import stack_file
from slipway.config.errors import SlipwayError
from slipway.config.settings import Settings
from slipway.config.stack_config import dump_stack_file, read_stack_config
from slipway.config.stack_file import remove_config_value, set_config_value
from tests.paths import FIXTURES, STACK_NAMES

DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: shop\n")
    return tmp_path


def stack_path(project: Path) -> Path:
    return project / "stacks" / "Pulumi.qa.yaml"


def write(project: Path, config: str) -> Path:
    stack_path(project).write_text("config:\n" + "".join(f"  {line}\n" for line in config.splitlines()))
    return stack_path(project)


def settings(project: Path, config: str) -> Settings:
    write(project, config)
    return Settings.from_files("qa", project)


def from_pulumi(monkeypatch: pytest.MonkeyPatch, project: Path, values: dict[str, Any]) -> Settings:
    """The settings as the program has them when the engine hands it these values."""
    monkeypatch.setattr(pulumi, "get_stack", lambda: "qa")
    monkeypatch.setattr(pulumi, "get_project", lambda: "shop")
    monkeypatch.setattr(pulumi, "get_root_directory", lambda: str(project))
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    monkeypatch.setattr(pulumi.runtime.config, "get_config_env", lambda: texts)
    monkeypatch.setattr(pulumi.runtime.config, "CONFIG", type("Nothing", (), {"get": staticmethod(dict)}))
    return Settings.from_pulumi()


# What Pulumi 3.274 hands to a program for an unquoted value; it writes the same into the file when it changes that.
CHANGED_BY_PULUMI = {
    "1.10": "1.1",
    "01234": "668",
    "1_000": "1000",
    "0x1F": "31",
    "1e5": "100000",
    ".5": "0.5",
    "True": "true",
    "2026-01-31": "2026-01-31 00:00:00 +0000 UTC",
    "2026-01-31T12:00:00+00:00": "2026-01-31 12:00:00 +0000 UTC",
    "12345678901234567890": "12345678901234567000",
}
KEPT_BY_PULUMI = ["12:30", "NO", "on", "1.5", "0.1", "17", "-3", "0", "true", "10.0.0.1", "1.2.3", "5m", "v1", "a,b"]


@pytest.mark.parametrize("text", CHANGED_BY_PULUMI)
def test_an_unquoted_text_that_pulumi_would_change_is_refused_and_quoted_it_is_kept(project: Path, text: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        settings(project, f"tier: dev\nenvironment:\n  A: {text}")
    assert f"stacks/Pulumi.qa.yaml: environment.A is {text} without quotes" in caught.value.message
    assert f'A: "{text}"' in caught.value.fix
    assert settings(project, f'tier: dev\nenvironment:\n  A: "{text}"').environment == {"A": text}


@pytest.mark.parametrize("text", KEPT_BY_PULUMI)
def test_a_text_that_pulumi_keeps_needs_no_quotes(project: Path, text: str) -> None:
    assert settings(project, f"tier: dev\nshop:environment: {{A: {text.replace(',', ';')}}}").environment == {
        "A": text.replace(",", ";")
    }


def test_a_generated_file_has_the_same_values(project: Path) -> None:
    environment = {f"V{number}": text for number, text in enumerate([*CHANGED_BY_PULUMI, *KEPT_BY_PULUMI])}
    config = {"shop:tier": "dev", "shop:zones": 3, "shop:waf": True, "shop:environment": environment}
    stack_path(project).write_text(dump_stack_file({"encryptionsalt": "v1:x=", "config": config}))
    assert read_stack_config("qa", project) == config


def test_text_settings_are_texts_whatever_they_look_like(project: Path) -> None:
    assert settings(project, "tier: dev\ndatabaseVersion: 16").database_version == "16"
    with pytest.raises(SlipwayError, match=r"shop:cacheVersion is 7.0 without quotes"):
        settings(project, "tier: dev\nshop:cacheVersion: 7.0")


@pytest.mark.parametrize(("value", "message"), [("", "it has no value"), ("[a]", "a list is"), ("{a: 1}", "a mapping")])
def test_a_variable_that_is_no_text_is_refused_with_its_key(project: Path, value: str, message: str) -> None:
    with pytest.raises(SlipwayError, match=rf"environment\.A is .*: {message}"):
        settings(project, f"tier: dev\nenvironment:\n  A: {value}")


def test_defaults_are_those_of_the_model_in_files_and_in_the_program(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_files = settings(project, "tier: dev\nzones: 3\nenvironment: {A: 1.5, B: true}\nwafCountOnly: [rate]")
    values = {"shop:tier": "dev", "shop:zones": "3", "shop:environment": {"A": 1.5, "B": True}}
    assert from_pulumi(monkeypatch, project, values | {"shop:wafCountOnly": ["rate"]}) == of_files
    texts = {"shop:tier": "dev", "shop:base": "1.10", "shop:databaseVersion": "16"}
    of_program = from_pulumi(monkeypatch, project, texts)
    assert (of_program.base, of_program.database_version) == ("1.10", "16")
    assert (of_files.zones, of_files.database_version, of_files.existing_vpc) == (3, "17", None)
    assert of_files.environment == {"A": "1.5", "B": "true"}


def test_numbers_and_booleans_that_pulumi_writes_as_strings_are_read(project: Path) -> None:
    found = settings(project, 'shop:tier: dev\nshop:zones: "3"\nshop:waf: "false"')
    assert (found.zones, found.waf) == (3, False)


def test_a_misspelt_key_is_refused_in_the_program_too(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(pulumi.RunError, match=r"natGatway: there is no such key\. Did you mean natGateways"):
        from_pulumi(monkeypatch, project, {"shop:tier": "dev", "shop:natGatway": "one"})


FOREIGN = "slipway:tier, slipway:zones belong to another project than shop.*\n.*Replace slipway: by shop: in that file"


def test_the_name_of_another_project_in_a_file_is_named(project: Path) -> None:
    with pytest.raises(SlipwayError, match=FOREIGN):
        settings(project, "slipway:tier: dev\nslipway:zones: 3\nwaf: true")


def test_the_name_of_another_project_is_named_by_the_program(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"slipway:tier": "dev", "slipway:zones": "3", "shop:waf": "true"}
    with pytest.raises(pulumi.RunError, match=FOREIGN):
        from_pulumi(monkeypatch, project, values)


def test_keys_of_providers_and_of_other_programs_are_not_settings(project: Path) -> None:
    config = "tier: dev\naws:region: eu-north-1\naws:base: x\npulumi:tags: {a: b}\nmine:colour: red"
    assert settings(project, config).tier == "dev"
    assert read_stack_config("qa", project)["aws:region"] == "eu-north-1"


def test_both_forms_of_a_key_and_a_key_without_value_are_refused(project: Path) -> None:
    with pytest.raises(SlipwayError, match="tier and shop:tier are the same setting"):
        settings(project, "tier: dev\nshop:tier: prod")
    with pytest.raises(SlipwayError, match="domain has no value"):
        settings(project, "tier: dev\ndomain:")
    stack_path(project).write_text("config: [tier]\n")
    with pytest.raises(SlipwayError, match="config is not a mapping"):
        Settings.from_files("qa", project)


def test_the_program_refuses_what_pulumi_has_changed_by_the_stacks_file(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, "tier: dev\nenvironment: {A: 1.10}")
    with pytest.raises(pulumi.RunError, match=r"environment\.A is 1\.10 without quotes"):
        from_pulumi(monkeypatch, project, {"shop:tier": "dev", "shop:environment": {"A": 1.1}})


def test_a_placeholder_is_named_with_the_command_that_sets_your_own(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"shop:tier": "dev", "shop:domain": "api.example.com", "shop:hostedZoneId": "Z1"}
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: False)
    with pytest.raises(pulumi.RunError) as caught:
        from_pulumi(monkeypatch, project, values)
    assert "domain is still the placeholder api.example.com" in str(caught.value)
    assert "pulumi config set domain api.your-company.com -s qa" in str(caught.value)
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    assert from_pulumi(monkeypatch, project, values).domain == "api.example.com"


@pytest.mark.parametrize("stack", STACK_NAMES)
def test_a_setting_that_is_set_and_removed_leaves_the_file_as_it_was(project: Path, stack: str) -> None:
    source = (FIXTURES / "stacks" / f"Pulumi.{stack}.yaml").read_text()
    stack_path(project).write_text(source)
    set_config_value("qa", "rollbackTo", DIGEST, project)
    changed = stack_path(project).read_text()
    assert [line for line in changed.splitlines() if line not in source.splitlines()] == [f"  rollbackTo: {DIGEST}"]
    assert read_stack_config("qa", project)["rollbackTo"] == DIGEST
    assert remove_config_value("qa", "rollbackTo", project)
    assert stack_path(project).read_text() == source
    assert not remove_config_value("qa", "rollbackTo", project)


COMMENTED = """\
---
# head
config:
  # before the first
  shop:rollbackTo: "sha256:1" # beside
  # before tier
  shop:tier: dev   # beside tier
  shop:secrets:
    KEY:
      secure: v1:abc==
  shop:list:
    - a
    - b

  # before processes
  shop:processes:
    web: {cpu: 256}
  # at the end
encryptionsalt: v1:x=
"""


def test_comments_order_and_forms_are_kept(project: Path) -> None:
    stack_path(project).write_text(COMMENTED)
    set_config_value("qa", "rollbackTo", DIGEST, project)
    assert stack_path(project).read_text() == COMMENTED.replace("sha256:1", DIGEST)
    remove_config_value("qa", "rollbackTo", project)
    without = COMMENTED.replace('  shop:rollbackTo: "sha256:1" # beside\n', "")
    assert stack_path(project).read_text() == without
    remove_config_value("qa", "secrets", project)
    without = without.replace("  shop:secrets:\n    KEY:\n      secure: v1:abc==\n", "")
    assert stack_path(project).read_text() == without
    remove_config_value("qa", "list", project)
    without = without.replace("  shop:list:\n    - a\n    - b\n", "")
    assert stack_path(project).read_text() == without
    remove_config_value("qa", "processes", project)
    assert stack_path(project).read_text() == without.replace("  shop:processes:\n    web: {cpu: 256}\n", "")


def test_a_new_setting_has_the_form_of_the_others(project: Path) -> None:
    stack_path(project).write_text(COMMENTED)
    set_config_value("qa", "zones", 3, project)
    assert read_stack_config("qa", project)["shop:zones"] == 3
    for line in COMMENTED.splitlines():
        assert line in stack_path(project).read_text().splitlines()


@pytest.mark.parametrize("text", ["", "encryptionsalt: v1:x=\n", "config:\n", "config: {tier: dev}\n", "config: {}\n"])
def test_a_file_without_or_with_short_config_gets_it(project: Path, text: str) -> None:
    stack_path(project).write_text(text)
    before = read_stack_config("qa", project)
    set_config_value("qa", "protect", False, project)
    assert read_stack_config("qa", project) == before | {"protect": False}
    assert remove_config_value("qa", "protect", project)
    assert read_stack_config("qa", project) == before
    assert text.partition("config")[0] in stack_path(project).read_text()


ODD_TEXTS = ["", "null", "~", "a: b", "# x", "x # y", "sha256:1", "x y", "ü", "- a", "[a", "*a", "&a", "!a", "%a", "@a"]


@pytest.mark.parametrize("value", [*ODD_TEXTS, *KEPT_BY_PULUMI, *CHANGED_BY_PULUMI])
def test_any_text_is_read_back_as_it_was_set(project: Path, value: str) -> None:
    write(project, "tier: dev")
    set_config_value("qa", "base", value, project)
    assert Settings.from_files("qa", project).base == value


def test_windows_line_ends_permissions_and_links_are_kept(project: Path) -> None:
    target = project / "real.yaml"
    target.write_bytes(b"config:\r\n  tier: dev # why\r\n")
    target.chmod(0o640)
    stack_path(project).symlink_to(target)
    set_config_value("qa", "tier", "staging", project)
    assert target.read_bytes() == b"config:\r\n  tier: staging # why\r\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert stack_path(project).is_symlink()


def test_a_write_that_fails_leaves_the_file_and_nothing_beside_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(project, "tier: dev")

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(SlipwayError, match=r"Pulumi\.qa\.yaml cannot be written: No space left on device"):
        set_config_value("qa", "tier", "staging", project)
    assert path.read_text() == "config:\n  tier: dev\n"
    assert list(path.parent.iterdir()) == [path]


def test_a_stack_without_a_file_is_named_with_those_that_have_one(project: Path) -> None:
    write(project, "tier: dev")
    with pytest.raises(SlipwayError, match=r"no stack file stacks/Pulumi\.prod\.yaml.\n.*qa"):
        set_config_value("prod", "tier", "prod", project)
    assert stack_file.stack_file_path("prod", project).exists() is False


def test_a_key_in_both_forms_is_not_changed(project: Path) -> None:
    file = write(project, "tier: dev\nshop:tier: prod")
    before = file.read_text()
    with pytest.raises(SlipwayError) as refusal:
        set_config_value("qa", "tier", "prod", project)
    assert refusal.value.message == "stacks/Pulumi.qa.yaml: tier and shop:tier are the same setting."
    assert refusal.value.fix == "Delete one of them."
    assert file.read_text() == before
