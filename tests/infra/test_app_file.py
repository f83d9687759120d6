"""stacks/app.yaml: what it may say, what it means, and what it is told when it is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.app import App
from infra.app_file import app_of, load_app
from infra.errors import SlipwayError
from infra.settings import ROOT, Settings

MODULE = {"source": "tests/apps/bare", "module": "service.api:application"}


def app(stack: str = "local", changes: dict[str, Any] | None = None, **given: Any) -> App:
    values = Settings.from_files(stack).model_dump(by_alias=True) | (changes or {})
    return app_of(MODULE | given, Settings.load(values, "the stack's file"))


def why(stack: str = "local", changes: dict[str, Any] | None = None, **given: Any) -> str:
    with pytest.raises(SlipwayError) as caught:
        app(stack, changes, **given)
    return str(caught.value)


def test_a_module_is_all_that_it_takes() -> None:
    found = app()
    assert list(found.served) == ["web"]
    assert found.served["web"].paths == ("/*",)
    assert (found.stores, found.release, found.workers, found.scheduled) == (set(), (), {}, {})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"module": ""}, ["say one of module and dockerfile"]),
        ({"dockerfile": "docker/app/Dockerfile"}, ["say one of module and dockerfile"]),
        ({"module": "app/main.py"}, ["module is 'app/main.py'"]),
        ({"source": "nowhere"}, ["source is 'nowhere'", "no such folder"]),
        ({"module": "", "dockerfile": "nowhere/Dockerfile"}, ["dockerfile is 'nowhere/Dockerfile'"]),
        ({"port": 0}, ["port is 0"]),
        ({"jobTimeout": 0}, ["jobTimeout", "greater than or equal to 1"]),
        ({"jobTimeout": 60}, ["jobTimeout is 60", "killed after 90 s", "after 90 s", "Take 62 to 28800"]),
        ({"jobTimeout": 28801}, ["jobTimeout is 28801", "after 43201 s", "SQS's 43200 s", "Take 62 to 28800"]),
        ({"ports": 1}, ["ports: there is no such key"]),
        ({"health": {"live": "livez"}}, ["health.live is 'livez'", "begins with /"]),
        ({"health": {"live": "/a'b"}}, ["health.live"]),
        ({"processes": {"web": {"memory": 700}}}, ["processes.web.memory is 700", "512, 1024, 2048"]),
        ({"processes": {"web": {"spot": {"base": -1}}}}, ["processes.web.spot", "greater than or equal to 0"]),
        ({"processes": {"web": {"cpu": 300}}}, ["processes.web.cpu is 300", "256, 512, 1024"]),
        ({"processes": {"Web": {}}}, ["process 'Web'", "small letters"]),
        ({"processes": {"a-very-long-name": {"command": "x"}}}, ["16 characters", "room for 12"]),
        ({"processes": {"web": {}, "worker": {}}}, ["processes.worker.command is missing"]),
        ({"processes": {"web": {}, "night": {"command": "x", "schedule": "daily"}}}, ["processes.night.schedule"]),
        ({"processes": {"web": {"schedule": "rate(1 day)"}}}, ["it serves, or it runs by the clock"]),
        ({"processes": {"web": {"tasks": 3, "maxTasks": 2}}}, ["processes.web.maxTasks is 2", "at least tasks, 3"]),
        ({"variables": {"A": "database.adress"}}, ["variables.A is 'database.adress'", "database.url"]),
        ({"variables": {"A": "database.url"}}, ["nothing needs the database"]),
        ({"variables": {"1A": "stack.name"}}, ["variables.1A"]),
        ({"variables": {"OLD": "generated.former"}}, ["variables.OLD is generated.former", "FORMER_"]),
        ({"environment": {"A": 1}, "variables": {"A": "stack.name"}}, ["A: said twice"]),
        ({"needs": ["postgres"]}, ["needs.0 is 'postgres'"]),
        ({"processes": {"web": {"secrets": ["DSN"]}}}, ["DSN is no secret variable"]),
        ({"secrets": {"DSN": "maybe"}}, ["secrets.DSN is 'maybe'"]),
    ],
)
def test_what_is_wrong_is_named_with_its_key_and_what_is_allowed(given: dict[str, Any], words: list[str]) -> None:
    changes = {"processes": {}}
    for word in [*words, "stacks/app.yaml"]:
        assert word in why(changes=changes, **given)


def test_a_file_that_is_no_yaml_is_told_where(tmp_path: Path) -> None:
    (tmp_path / "stacks").mkdir()
    settings = Settings.from_files("local")
    with pytest.raises(SlipwayError, match=r"no stacks.app\.yaml"):
        load_app(settings, tmp_path)
    for text, words in (("processes: {web: ", "line 1"), ("- web", "no mapping")):
        (tmp_path / "stacks" / "app.yaml").write_text(text)
        with pytest.raises(SlipwayError, match=words):
            load_app(settings, tmp_path)


def test_a_stack_changes_sizes_and_variables_and_leaves_the_rest() -> None:
    changes = {
        "processes": {"web": {"cpu": 1024, "memory": 2048}, "other": {"tasks": 9}},
        "environment": {"LOG_LEVEL": "debug"},
    }
    found = app(changes=changes, processes={"web": {"tasks": 2}}, environment={"LOG_LEVEL": "info", "DEBUG": False})
    web = found.processes["web"]
    assert (web.cpu, web.memory, web.tasks) == (1024, 2048, 2)
    assert found.environment == {"LOG_LEVEL": "debug", "DEBUG": "false"}
    assert list(found.processes) == ["web"]  # the sizes of a process that this app does not have are somebody else's


def test_each_process_is_of_the_kind_that_it_says() -> None:
    found = app(
        processes={
            "web": None,
            "admin": {"command": "serve-admin", "paths": ["/admin/*"]},
            "worker": {"command": "work --slowly"},
            "night": {"command": ["python", "-m", "night"], "schedule": "rate(1 day)"},
        }
    )
    assert (list(found.served), list(found.workers), list(found.scheduled)) == (["web", "admin"], ["worker"], ["night"])
    assert found.processes["worker"].command == ("work", "--slowly")


def test_a_store_is_there_when_any_process_needs_it_and_only_who_needs_it_has_it() -> None:
    found = app(processes={"web": {}, "worker": {"command": "w", "needs": ["queue.take", "bucket.write"]}})
    assert found.stores == {"queue", "bucket"}
    assert found.needs_of("web") == ()
    assert found.needs_of("release") == ()
    assert app(needs=["cache"], processes={"web": {}, "w": {"command": "w", "needs": ["database"]}}).needs_of(
        "release"
    ) == ("database", "cache")


def test_secrets_go_to_every_process_or_to_those_that_name_them() -> None:
    found = app(
        variables={"KEY": "generated"},
        secrets=["DSN"],
        processes={"web": {}, "worker": {"command": "w", "secrets": ["DSN"]}},
    )
    assert found.secrets == {"DSN": "required"}
    assert (found.secrets_of("web"), found.secrets_of("worker")) == ({"KEY", "DSN"}, {"DSN"})


def test_connections_are_counted_over_all_processes_with_the_numbers_in_the_message() -> None:
    worker = {"command": "w", "tasks": 4}
    told = why(
        changes={"databasePoolSize": 10, "processes": {}, "previewLimit": 3},
        needs=["database"],
        processes={"web": {}, "w": worker},
    )
    # 1 x 2 x 10 + 4 x 2 x 10 + 3 x 4 + 10 = 122, and 80 % of 84 are 67.
    for word in ("databasePoolSize is 10", "1 web tasks x 2", "4 w tasks x 2", "3 previews", "122", "67"):
        assert word in told
    assert app(changes={"databasePoolSize": 90, "processes": {}}).stores == set()  # without a database there is no pool


def test_a_rollout_runs_both_revisions_with_a_server_process_for_each_vcpu() -> None:
    four = {"web": {"cpu": 4096, "memory": 8192}}
    assert "1 web tasks x 2 (a rollout runs both revisions) x 4 x 9" in why(
        changes={"databasePoolSize": 9, "processes": {}}, needs=["database"], processes=four
    )


@pytest.mark.parametrize(
    ("worker", "changes", "words"),
    [
        ({"maxTasks": 2}, {"containerInsights": False}, "containerInsights false"),
        ({"tasks": 0, "maxTasks": 2}, {}, "set both to 0"),
        ({"maxTasks": 2, "needs": []}, {}, "scales on the queue"),
    ],
)
def test_a_worker_scales_only_where_that_can_work(worker: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    given = {"command": "w", "needs": ["queue"]} | worker
    assert words in why(changes={"processes": {}} | changes, processes={"web": {}, "w": given})


def test_production_serves_with_two_tasks_and_keeps_the_data_that_it_has() -> None:
    assert "processes.web.tasks is 1" in why("prod", {"processes": {}})
    two = {"processes": {"web": {"tasks": 2}}}
    assert "databaseMultiAz" in why("prod", two | {"databaseMultiAz": False}, needs=["database"])
    assert "cacheNodes" in why("prod", two | {"cacheNodes": 1}, needs=["cache"])
    assert app("prod", two | {"databaseMultiAz": False, "cacheNodes": 1}).stores == set()


@pytest.mark.parametrize("stack", ["local", "dev", "staging", "prod"])
def test_the_repositorys_own_file_fits_every_stack(stack: str) -> None:
    assert load_app(Settings.from_files(stack)).served


def test_editors_know_every_key_and_what_it_is_for() -> None:
    """When this fails on purpose: make schema, and commit the new stacks/app.schema.json."""
    schema = json.loads((ROOT / "stacks" / "app.schema.json").read_text())
    assert schema == App.json_schema()
    process = schema["$defs"]["Process"]["properties"]
    assert {
        name for keys in (schema["properties"], process) for name, key in keys.items() if "description" not in key
    } <= {
        "port",
        "tasks",
        "health",
        "processes",
        "needs",
    }
    assert "database.url" in schema["properties"]["variables"]["additionalProperties"]["enum"]
