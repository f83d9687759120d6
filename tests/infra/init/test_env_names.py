"""Each way to read an environment variable: source -> names, whether they are required, and their default."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from slipway.cli.init.detect import DetectedApp
from tests.infra.init.apps import read, repository

APP = "from fastapi import FastAPI\napp = FastAPI()\n"

Found = tuple[str, bool, str]


def variables(folder: Path, source: str, **files: str) -> list[Found]:
    """Name, required and default of each variable that a repository with this `config.py` reads."""
    found: DetectedApp = read(repository(folder, main_py=APP, config_py=dedent(source), **files))
    return [(v.name, v.required, v.default) for v in found.variables]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('import os\nA = os.environ["A"]', [("A", True, "")]),
        ('import os as o\nA = o.environ["A"]', [("A", True, "")]),
        ('from os import environ as env\nA = env["A"]', [("A", True, "")]),
        ('import os\nA = os.environ.get("A", "x")', [("A", False, "x")]),
        ('from os import getenv\nA = int(getenv("A", 5))', [("A", False, "5")]),
        ('import os\nA = os.getenv("A") or "x"', [("A", False, "x")]),
        ('import os\nif "A" in os.environ: pass', [("A", False, "")]),
        ('import os\nKEY = "A"\nA = os.environ[KEY]', [("A", True, "")]),
        ('import os\nos.environ.setdefault("A", "1")', [("A", False, "1")]),
        ('import os\nos.environ["A"] = "written, not read"', []),
        ("import os\ndef f(name): return os.environ[name]", []),
        ('import os\nos.environ["A"]\nos.getenv("A", "x")', [("A", True, "x")]),
        ('from starlette.config import Config\nc = Config(".env")\nA = c("A")', [("A", True, "")]),
        (
            'from starlette.config import Config\nc = Config(".env")\nA = c("A", cast=int, default=3)',
            [("A", False, "3")],
        ),
        ('from starlette.config import Config\nc = Config(env_prefix="P_")\nA = c("A")', [("P_A", True, "")]),
        ('from decouple import config\nA = config("A")', [("A", True, "")]),
        ('from decouple import config as c\nA = c("A", default="x", cast=str)', [("A", False, "x")]),
        ('from environs import Env\nenv = Env()\nenv.read_env()\nA = env.int("A", 7)', [("A", False, "7")]),
        ('from environs import env\nA = env.str("A")', [("A", True, "")]),
        ('config = {"A": 1}\nA = config.get("A")', []),
    ],
)
def test_reading_by_a_call(source: str, expected: list[Found], tmp_path: Path) -> None:
    assert variables(tmp_path, source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("class S(BaseSettings):\n    a: str\n    b: int = 3", [("A", True, ""), ("B", False, "3")]),
        ("class S(BaseSettings, env_prefix='X_'):\n    a: str", [("X_A", True, "")]),
        ("class S(BaseSettings):\n    model_config = {'env_prefix': 'X_'}\n    a: str", [("X_A", True, "")]),
        ("class S(BaseSettings):\n    class Config:\n        env_prefix = 'X_'\n    a: str", [("X_A", True, "")]),
        (
            "class S(BaseSettings):\n    model_config = SettingsConfigDict(case_sensitive=True)\n    Mixed: str",
            [("Mixed", True, "")],
        ),
        ("class S(BaseSettings):\n    a: str = Field(alias='OTHER')", [("OTHER", True, "")]),
        ("class S(BaseSettings):\n    a: str = Field('x', validation_alias='OTHER')", [("OTHER", False, "x")]),
        ("class S(BaseSettings):\n    a: str = Field(validation_alias=AliasChoices('B', 'C'))", [("B", True, "")]),
        ("class S(BaseSettings):\n    a: str = Field(..., env='OLD')", [("OLD", True, "")]),
        ("class S(BaseSettings):\n    a: Annotated[str, Field(alias='OTHER')]", [("OTHER", True, "")]),
        ("class S(BaseSettings):\n    a: list[str] = Field(default_factory=list)", [("A", False, "")]),
        ("class S(BaseSettings):\n    a: ClassVar[str] = 'x'\n    _b: str = 'y'", []),
        (
            "class Base(BaseSettings):\n    a: str\n"
            "class S(Base):\n    model_config = {'env_prefix': 'X_'}\n    b: str",
            [("A", True, ""), ("X_A", True, ""), ("X_B", True, "")],
        ),
        (
            "class D(BaseModel):\n    host: str\n    port: int = 1\n"
            "class S(BaseSettings):\n    model_config = SettingsConfigDict(env_nested_delimiter='__')\n    db: D",
            [("DB__HOST", True, ""), ("DB__PORT", False, "1")],
        ),
        (
            "class D(BaseSettings):\n    model_config = {'env_prefix': 'DB_'}\n    host: str\n"
            "class S(BaseSettings):\n    db: D = D()",
            [("DB_HOST", True, "")],
        ),
        ("class S(BaseModel):\n    a: str", []),
        ("class S(BaseSettings):\n    me: 'S | None' = None\n    a: str", [("A", True, ""), ("ME", False, "")]),
    ],
)
def test_classes_of_pydantic_settings(source: str, expected: list[Found], tmp_path: Path) -> None:
    imports = (
        "from typing import Annotated, ClassVar\nfrom pydantic import AliasChoices, BaseModel, Field\n"
        "from pydantic_settings import BaseSettings, SettingsConfigDict\n"
    )
    assert variables(tmp_path, imports + source) == expected


def test_pydantic_1_has_its_settings_in_pydantic(tmp_path: Path) -> None:
    source = "from pydantic import BaseSettings\nclass S(BaseSettings):\n    a: str"
    assert variables(tmp_path, source) == [("A", True, "")]


def test_a_settings_class_of_another_file_is_a_base_too(tmp_path: Path) -> None:
    base = """
        from pydantic_settings import BaseSettings
        class Base(BaseSettings):
            model_config = {'env_prefix': 'X_'}
    """
    source = "from base import Base\nclass S(Base):\n    a: str"
    assert variables(tmp_path, source, base_py=base) == [("X_A", True, "")]


def test_what_tests_and_scripts_read_is_none_of_the_apps(tmp_path: Path) -> None:
    other = 'import os\nA = os.environ["NOT_OF_THE_APP"]'
    files = {"tests__test_a_py": other, "test_b_py": other, "conftest_py": other, "scripts__release_py": other}
    assert variables(tmp_path, "import os\nA = os.environ['A']", **files) == [("A", True, "")]


def test_a_script_that_the_app_imports_belongs_to_it(tmp_path: Path) -> None:
    script = 'import os\nA = os.environ["A"]'
    assert variables(tmp_path, "from scripts import tool", scripts__tool_py=script) == [("A", True, "")]


def test_examples_are_read_and_a_persons_own_values_are_not(tmp_path: Path) -> None:
    repository(tmp_path, main_py=APP)
    (tmp_path / ".env").write_text("TOKEN=abc-my-own\nPLAIN=mine\n")
    (tmp_path / ".env.example").write_text('# A comment\nexport PLAIN="x"   # told\n# OFF=1\nEMPTY=\nnot a line\n')
    assert read(tmp_path).example_values == {"TOKEN": "", "PLAIN": "x", "OFF": "1", "EMPTY": ""}
