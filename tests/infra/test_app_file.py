"""stacks/app.yaml: what it may say, what it means, and what it is told when it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slipway.config.app_spec.app import AppSpec
from slipway.config.app_spec.loader import load_app, parse_app
from slipway.config.errors import SlipwayError
from slipway.config.settings import Settings

MODULE = {"source": "../apps/bare", "module": "service.api:application"}


def app(stack: str = "local", changes: dict[str, Any] | None = None, **given: Any) -> AppSpec:
    values = Settings.from_files(stack).model_dump(by_alias=True) | (changes or {})
    return parse_app(MODULE | given, Settings.load(values, "the stack's file"))


def why(stack: str = "local", changes: dict[str, Any] | None = None, **given: Any) -> str:
    with pytest.raises(SlipwayError) as caught:
        app(stack, changes, **given)
    return str(caught.value)


def test_a_module_is_all_that_it_takes() -> None:
    found = app()
    assert list(found.web_processes) == ["web"]
    assert found.web_processes["web"].paths == ("/*",)
    assert (found.stores, found.release, found.workers, found.scheduled) == (set(), (), {}, {})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"module": ""}, ["set one of module and dockerfile"]),
        ({"dockerfile": "docker/app/Dockerfile"}, ["set one of module and dockerfile"]),
        ({"module": "app/main.py"}, ["module is 'app/main.py'"]),
        ({"source": "nowhere"}, ["source is 'nowhere'", "no such folder"]),
        ({"module": "", "dockerfile": "nowhere/Dockerfile"}, ["dockerfile is 'nowhere/Dockerfile'"]),
        ({"port": 0}, ["port is 0"]),
        ({"jobTimeout": 0}, ["jobTimeout", "greater than or equal to 1"]),
        ({"jobTimeout": 60}, ["jobTimeout is 60", "killed after 90 s", "again after 90 s", "Allowed are 62 to 28800"]),
        ({"jobTimeout": 28801}, ["jobTimeout is 28801", "after 43201 s", "SQS's 43200 s", "Allowed are 62 to 28800"]),
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
        ({"processes": {"web": {"schedule": "rate(1 day)"}}}, ["processes.web has a schedule", "cannot have"]),
        ({"processes": {"web": {"tasks": 3, "maxTasks": 2}}}, ["processes.web.maxTasks is 2", "at least tasks, 3"]),
        ({"variables": {"A": "database.adress"}}, ["variables.A is 'database.adress'", "database.url"]),
        ({"variables": {"A": "database.url"}}, ["nothing needs the database"]),
        ({"variables": {"1A": "stack.name"}}, ["variables.1A"]),
        ({"variables": {"OLD": "generated.former"}}, ["variables.OLD is generated.former", "FORMER_"]),
        ({"environment": {"A": 1}, "variables": {"A": "stack.name"}}, ["A: set in more than one of environment"]),
        ({"needs": ["postgres"]}, ["needs.0 is 'postgres'"]),
        ({"processes": {"web": {"secrets": ["DSN"]}}}, ["DSN is not a secret variable", "there are none"]),
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
    for text, words in (("processes: {web: ", "line 1"), ("- web", "not a mapping")):
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
    assert (list(found.web_processes), list(found.workers), list(found.scheduled)) == (
        ["web", "admin"],
        ["worker"],
        ["night"],
    )
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


WORKER_OF_FOUR = {"web": {}, "w": {"command": "w", "tasks": 4}}


def test_connections_are_counted_over_all_processes_and_the_pool_that_fits_is_named() -> None:
    changes: dict[str, Any] = {"databasePoolSize": 10, "processes": {}, "previewLimit": 3}
    error = why(changes=changes, needs=["database"], processes=WORKER_OF_FOUR)
    # 80 % of 84 are 67.
    for line in (
        "databasePoolSize is 10: 122 database connections are needed, and 67 may be used",
        "web: 1 task x 2 revisions during a rollout x databasePoolSize 10 = 20",
        "w: 4 tasks x 2 revisions during a rollout x databasePoolSize 10 = 80",
        "3 previews (previewLimit) x 4 = 12",
        "people and the release task = 10",
        "Set databasePoolSize to 4 or less, or set databaseClass to db.t4g.small (157 may be used)",
    ):
        assert line in error
    assert app(changes={"databasePoolSize": 90, "processes": {}}).stores == set()  # without a database there is no pool


def test_the_pool_size_that_an_error_names_is_the_largest_that_fits() -> None:
    def changes(size: int) -> dict[str, Any]:
        return {"databasePoolSize": size, "processes": {}, "previewLimit": 3}

    assert app(changes=changes(4), needs=["database"], processes=WORKER_OF_FOUR).stores == {"database"}
    assert "Set databasePoolSize to 4 or less" in why(changes=changes(5), needs=["database"], processes=WORKER_OF_FOUR)


def test_where_no_pool_fits_none_is_proposed() -> None:
    changes = {"databasePoolSize": 1, "processes": {}, "previewLimit": 15}
    error = why(changes=changes, needs=["database"], processes=WORKER_OF_FOUR)
    assert "Set databaseClass to db.t4g.small (157 may be used), or run fewer tasks" in error


def test_a_rollout_runs_both_revisions_with_a_server_process_for_each_vcpu() -> None:
    error = why(
        changes={"databasePoolSize": 9, "processes": {}},
        needs=["database"],
        processes={"web": {"cpu": 4096, "memory": 8192}},
    )
    assert "1 task x 2 revisions during a rollout x 4 server processes (one for each vCPU)" in error


@pytest.mark.parametrize(
    ("worker", "changes", "words"),
    [
        ({"maxTasks": 2}, {"containerInsights": False}, "containerInsights is false"),
        ({"tasks": 0, "maxTasks": 2}, {}, "Set tasks to 1"),
        ({"maxTasks": 2, "needs": []}, {}, "scales on the queue"),
    ],
)
def test_a_worker_scales_only_where_that_can_work(worker: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    given = {"command": "w", "needs": ["queue"]} | worker
    assert words in why(changes={"processes": {}} | changes, processes={"web": {}, "w": given})


def test_production_serves_with_two_tasks_and_keeps_the_data_that_it_has() -> None:
    assert "set processes.web.tasks to 2" in why("prod", {"processes": {}})
    two = {"processes": {"web": {"tasks": 2}}}
    assert "databaseMultiAz" in why("prod", two | {"databaseMultiAz": False}, needs=["database"])
    assert "cacheNodes" in why("prod", two | {"cacheNodes": 1}, needs=["cache"])
    assert app("prod", two | {"databaseMultiAz": False, "cacheNodes": 1}).stores == set()


@pytest.mark.parametrize("stack", ["local", "dev", "staging", "prod"])
def test_the_repositorys_own_file_fits_every_stack(stack: str) -> None:
    assert load_app(Settings.from_files(stack)).web_processes


def test_editors_know_every_key_and_what_it_is_for() -> None:
    schema = AppSpec.json_schema()
    process = schema["$defs"]["ProcessSpec"]["properties"]
    without_description = {
        name for keys in (schema["properties"], process) for name, key in keys.items() if "description" not in key
    }
    assert without_description <= {"port", "tasks", "health", "processes", "needs"}
    assert "database.url" in schema["properties"]["variables"]["additionalProperties"]["enum"]


def test_environment_values_are_the_text_that_is_written(tmp_path: Path) -> None:
    """Cases of people who wrote a version, a time or a postal code, and got another text."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "backend").mkdir()
    texts = {"A": "1.10", "B": "12:30", "C": "NO", "D": "01234", "E": "1_000", "F": "1e5", "G": "2026-01-31", "NO": "y"}
    lines = [f"  {name}: {text}" for name, text in texts.items()]
    (tmp_path / "stacks" / "app.yaml").write_text(
        "\n".join(["source: backend", "module: api:app", "environment:", *lines, '  H: ""', ""])
    )
    settings = Settings.load({"tier": "dev"}, "a stack's file")
    assert load_app(settings, tmp_path).environment == texts | {"H": ""}


@pytest.mark.parametrize(
    ("value", "message"), [(None, "it has no value"), (["a"], "a list is"), ({"a": 1}, "a mapping")]
)
def test_an_environment_value_that_is_no_text_is_refused_with_its_key(value: Any, message: str) -> None:
    error = why(environment={"A": value})
    assert f"environment.A is {value!r}: {message}" in error
    assert "JSON in quotes" in error or '""' in error


@pytest.mark.parametrize(
    ("command", "cure"),
    [
        ("GREETING=hello python3 serve.py", "env GREETING=hello python3 serve.py, or set GREETING under environment"),
        (["GREETING=hello", "python3"], "env GREETING=hello python3"),
        ("cd api && python3 serve.py", "sh -c 'cd api && python3 serve.py'"),
        ("python3 serve.py > /dev/null", "sh -c 'python3 serve.py > /dev/null'"),
        ("uvicorn api:app --port $PORT", "sh -c 'exec uvicorn api:app --port $PORT'"),
        ("uvicorn api:app --port ${PORT}", "sh -c 'exec uvicorn api:app --port ${PORT}'"),
        ("'' serve", "its first word, the program, is empty"),
        ("python3 'serve.py", "No closing quotation"),
    ],
)
@pytest.mark.parametrize("key", ["web", "worker", "release"])
def test_a_command_that_only_a_shell_understands_is_refused_with_the_one_that_works(
    key: str, command: str | list[str], cure: str
) -> None:
    document = {"release": command} if key == "release" else {"processes": {"web": {}, key: {"command": command}}}
    error = why(changes={"processes": {}}, **document)
    assert f"{'release' if key == 'release' else f'processes.{key}.command'} is {command!r}" in error
    assert cure in error


@pytest.mark.parametrize(
    "command",
    [
        "env GREETING=hello python3 serve.py",
        "sh -c 'cd api && exec python3 serve.py --port $PORT'",
        "celery -A app worker --queues=a,b",
        "python3 -c 'print(1); x = \"$HOME\"'",
    ],
)
def test_a_command_of_a_program_with_any_arguments_is_allowed(command: str) -> None:
    assert app(processes={"web": {"command": command}}).processes["web"].command


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"processes": ["web"]}, "processes is ['web']: allowed is a mapping"),
        ({"processes": {"web": 3}}, "processes.web is 3: allowed is a mapping"),
        ({"environment": ["A"]}, "environment is ['A']: allowed is a mapping"),
        ({"needs": "database"}, "needs is 'database': allowed is a list"),
        ({"secrets": [{"A": 1}]}, "secrets is [{'A': 1}]: allowed is a mapping"),
        ({"port": "http"}, "port is 'http': allowed is a whole number"),
        ({"processes": {"web": {"comand": "x"}}}, "processes.web.comand: there is no such key. Did you mean command?"),
        ({"health": {"alive": "/"}}, "health.alive: there is no such key. Did you mean live?"),
        ({"health": {"xyz": "/"}}, "health.xyz: there is no such key. Allowed are live, ready"),
    ],
)
def test_a_value_of_another_type_and_a_misspelt_key_are_explained(document: dict[str, Any], message: str) -> None:
    assert message in why(changes={"processes": {}, "environment": {}}, **document)
