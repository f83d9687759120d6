"""Which Python an app gets on this machine where its own image cannot be pulled."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slipway.config import constants
from slipway.config.errors import SlipwayError
from slipway_local import base_images
from slipway_local.python_requirement import read_requires_python

IMAGE = "python:3.13-slim"


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Image -> target of the stand-ins that are built: no registry answers, and there is no image yet."""
    built: dict[str, str] = {}
    monkeypatch.setattr(base_images, "_pull_image", lambda reference: "no such host")
    monkeypatch.setattr(base_images, "_build_stand_in", built.__setitem__)

    def label(reference: str) -> str | None:
        if reference == base_images.STAND_IN_BASE_IMAGE:
            return base_images._recipe_hash(base_images.RECIPE_DIR / "base")
        return base_images._recipe_hash() if reference in built else None

    monkeypatch.setattr(base_images, "_read_recipe_label", label)
    return built


@pytest.mark.parametrize("allowed", ["", ">=3.11", ">=3.11.4,<3.14"])
def test_an_app_that_allows_3_11_runs_on_it_and_one_sentence_says_so(built: dict[str, str], allowed: str) -> None:
    (image,) = base_images.ensure_base_images([IMAGE], allowed)
    assert built == {IMAGE: "python"}
    assert image.origin == (
        "a stand-in with Python 3.11 of Debian, which the app allows: on this machine it runs on 3.11, elsewhere on "
        "python:3.13-slim"
    )


def test_an_app_that_does_not_is_refused_even_where_another_app_has_made_the_stand_in(built: dict[str, str]) -> None:
    for _ in range(2):
        with pytest.raises(SlipwayError, match=r"requires-python, >=3\.13, does not allow the stand-in's Python 3\.11"):
            base_images.ensure_base_images([IMAGE], ">=3.13")
        base_images.ensure_base_images([IMAGE], ">=3.11")


def test_no_other_image_of_python_has_a_stand_in(built: dict[str, str]) -> None:
    with pytest.raises(SlipwayError) as failure:
        base_images.ensure_base_images(["python:3.13-alpine"])
    assert failure.value.message == "python:3.13-alpine cannot be pulled, and docker/local has no stand-in for it."
    assert failure.value.fix.startswith("Pull or load that image into Docker, or use one of: python:3.11-slim")
    assert built == {}


@pytest.mark.usefixtures("built")
def test_the_collectors_image_names_the_setting_that_asks_for_it() -> None:
    with pytest.raises(SlipwayError, match="has no stand-in for it") as failure:
        base_images.ensure_base_images([constants.COLLECTOR_IMAGE])
    assert failure.value.fix.startswith("Set `tracing` to false")


def test_a_first_stand_in_without_root_is_refused(built: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_images, "_read_recipe_label", lambda _: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SlipwayError, match="cannot be pulled, and building a stand-in takes root") as failure:
        base_images.ensure_base_images(["redis:7-alpine"])
    assert failure.value.fix == (
        "Load that image into Docker (docker load), or run this as root once to build redis:7-alpine."
    )
    assert built == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[project]\nname = "a"\nrequires-python = ">=3.12"\n', ">=3.12"),
        ('[tool.poetry.dependencies]\npython = "^3.12"\n', ">=3.12,<4"),
        ('[tool.poetry.dependencies]\npython = "~3.12"\n', "~=3.12.0"),
        ('[tool.poetry.dependencies]\npython = ">=3.10,<3.13"\n', ">=3.10,<3.13"),
        ('[project]\nname = "a"\n', ""),
    ],
)
def test_requires_python_is_read_as_each_tool_writes_it(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert read_requires_python(tmp_path) == expected


def test_without_a_pyproject_nothing_is_required(tmp_path: Path) -> None:
    assert read_requires_python(tmp_path) == ""


@pytest.mark.parametrize("text", ["[project", '[project]\nrequires-python = "new"\n'])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(SlipwayError, match=r"pyproject\.toml: requires-python cannot be read"):
        read_requires_python(tmp_path)
