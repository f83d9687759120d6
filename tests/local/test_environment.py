"""End to end: a clone of this repository is brought up, changed, broken into, and taken down.

One environment serves all tests of this file, in their order, for to bring one up takes a minute. It runs in a
copy of the work tree whose path has a space in it, on its own port and state, beside whatever else runs here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

from slipway_local.docker_engine import ensure_docker, stop_managed_docker
from tests.local.clone import COMMAND_SECONDS, ROOT, Clone, cloned, docker_lines
from tests.local.conftest import BASE_IMAGE
from tests.local.load import Load

EXPORT_SECONDS = 60
SCHEDULE_SECONDS = 120

ADA = {"email": "ada@example.com", "display_name": "Ada", "password": "correct horse battery"}

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not (ROOT / "tests" / "app").is_dir(), reason="the reference app was removed"),
]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    with cloned(tmp_path_factory.mktemp("a clone") / "of slipway") as clone:
        stack = clone.root / "stacks" / "Pulumi.local.yaml"
        # A day is too long for a test.
        stack.write_text(
            stack.read_text().replace("  processes:\n", "  processes:\n    cleanup: {schedule: rate(1 minute)}\n")
        )
        yield clone


@contextmanager
def changed(path: Path, change: Callable[[str], str]) -> Iterator[None]:
    """A file of the clone as `change` makes it, and afterwards as it was."""
    good = path.read_text()
    path.write_text(change(good))
    try:
        yield
    finally:
        path.write_text(good)


def test_a_first_deployment_that_fails_is_told_and_its_log_can_be_read(clone: Clone) -> None:
    path = clone.root / "app" / "main.py"
    with changed(path, lambda good: f"raise SystemExit('this is the reason')\n{good}"):
        failed = clone.slipway("up", code=1)
    assert "✗ pulumi up" in failed
    assert "✓ pulumi up" not in failed
    told = clone.slipway("logs")
    assert "this is the reason" in told
    assert re.search(r"task \S+ of slipway-local\S* stopped: .+", told)


def test_up_deploys_the_app_and_tells_where_it_answers(clone: Clone) -> None:
    told = clone.slipway("up")
    status = clone.status()
    assert f"curl {status['url']}livez\n" in told
    assert status["answers"]
    assert clone.get("/livez")[0] == 200
    assert clone.get("/readyz")[0] == 200


def test_the_tasks_run_the_digest_that_was_built(clone: Clone) -> None:
    status = clone.status()
    assert status["stack"] == "local"
    assert status["emulator"] == "running"
    assert (status["health"], status["troubles"]) == ("healthy", [])
    assert len(status["tasks"]) == 3
    assert {task["image_digest"] for task in status["tasks"]} == {status["image_digest"]}
    assert sorted(task["health"] for task in status["tasks"]) == [
        "HEALTHY",
        "HEALTHY",
        "UNKNOWN",
    ]  # the worker has no check


def test_the_image_is_a_hundred_megabytes_above_its_base(clone: Clone) -> None:
    """Symbols, C sources, tests of packages, and AWS services that nobody calls: docker/app/slim.py took them out."""
    web, *_ = docker_lines("ps", "-q", "--filter", f"label=slipway.emulator={clone.port}", "--filter", "name=web")
    (image,) = docker_lines("inspect", "--format", "{{.Image}}", web)
    app, base = (int(*docker_lines("image", "inspect", "--format", "{{.Size}}", name)) for name in (image, BASE_IMAGE))
    assert app - base < 100_000_000


def test_an_item_ends_in_postgres_in_the_cache_and_in_a_finished_export(clone: Clone) -> None:
    url = clone.status()["url"].rstrip("/")
    host = urlsplit(url)
    with httpx.Client(base_url=f"http://127.0.0.1:{host.port}", headers={"host": host.netloc}, timeout=60) as api:
        ready = api.get("/readyz").json()
        assert {name: d["status"] for name, d in ready["dependencies"].items()} == {"database": "up", "redis": "up"}
        assert api.post("/api/v1/users/", json=ADA).status_code == 201
        form = {"username": ADA["email"], "password": ADA["password"]}
        token = api.post("/api/v1/auth/token", data=form).json()["access_token"]
        api.headers["authorization"] = f"Bearer {token}"
        item = api.post("/api/v1/items/", json={"title": "Lighthouse"}).json()
        for _ in range(2):  # the second from the cache
            assert api.get(f"/api/v1/items/{item['id']}").json()["title"] == "Lighthouse"
        export = api.post("/api/v1/items/exports").headers["location"]
        deadline = time.monotonic() + EXPORT_SECONDS
        while (found := api.get(export).json())["status"] != "done":
            assert time.monotonic() < deadline, found
            time.sleep(0.5)
        assert "Lighthouse" in api.get(f"{export}/file").text


def test_the_rights_that_a_role_has_used_are_marked(clone: Clone) -> None:
    rights = json.loads(clone.shell("slipway rights local web-task --used --json"))["rights"]
    used = {row["action"] for row in rights if row["uses"]}
    assert {"sqs:SendMessage", "s3:GetObject"} <= used
    assert len(used) < len(rights)


@pytest.fixture
def secrets(clone: Clone) -> dict[str, str]:
    """The values themselves, as Secrets Manager has them."""
    manager = clone.aws("secretsmanager")
    found: dict[str, str] = {}
    for secret in manager.list_secrets()["SecretList"]:
        content = json.loads(manager.get_secret_value(SecretId=secret["ARN"])["SecretString"])
        group = secret["Name"].removeprefix("slipway-local-").rsplit("-", 1)[0]
        found |= {f"{group} {key}": value for key, value in content.items() if key != "username"}
    # Generated ones, and the password of the database's owner, which RDS keeps under a name of its own.
    owners = set(found) - OF_THE_APP - OF_THE_RELEASE
    assert len(owners) == 1
    return found | {"owner": found.pop(owners.pop())}


OF_THE_APP = {"secret-key value", "database app", "cache value"}
OF_THE_RELEASE = {"database release", "database appVerifier", "database releaseVerifier"}


def test_no_secret_shows_anywhere_but_where_it_belongs(clone: Clone, secrets: dict[str, str]) -> None:
    """Searched for in everything that a person may look at: state, logs, outputs, the plan, what images are made of."""
    run = clone.root / ".slipway"
    looked_at = {str(path): _text(path) for path in run.rglob("*") if path.is_file()}
    assert any("state" in name for name in looked_at)
    assert any("log" in name for name in looked_at)
    looked_at["status"] = clone.slipway("status", "--json")
    looked_at["app's log"] = clone.slipway("logs", "-n", "1000")
    looked_at["plan"] = clone.pulumi("preview", "--json")
    looked_at["outputs"] = clone.pulumi("stack", "output", "--json")
    looked_at["export"] = clone.pulumi("stack", "export")
    images = docker_lines("images", "--quiet", "--filter", f"reference=localhost:{clone.port}/*")
    assert images
    for image in images:
        looked_at[f"history of {image}"] = " ".join(docker_lines("history", "--no-trunc", image))
    found = {(where, name) for where, text in looked_at.items() for name, value in secrets.items() if value in text}
    assert found == set()
    saved = subprocess.run(["docker", "save", images[0]], capture_output=True, check=True).stdout
    assert [name for name, value in secrets.items() if value.encode() in saved] == []


def _text(path: Path) -> str:
    """Of a file, and of one that is packed, as the engine's own logs are."""
    content = path.read_bytes()
    packed = content.startswith(b"\x1f\x8b")
    return (zlib.decompressobj(31).decompress(content) if packed else content).decode(errors="replace")


def test_a_container_knows_its_own_secrets_alone(clone: Clone, secrets: dict[str, str]) -> None:
    seen = set()
    for about in clone.inspect_containers():
        image = about["Config"]["Image"].split(":")[0]
        mine = {"postgres": {"owner"}, "redis": {"cache value"}}.get(image, OF_THE_APP)
        known = {name for name, value in secrets.items() if value in json.dumps(about)}
        assert known == mine, (image, known)
        seen.add(image)
    assert {"postgres", "redis"} < seen


def test_nothing_listens_beyond_this_machine(clone: Clone) -> None:
    ports = " ".join(docker_lines("ps", "--filter", f"label=slipway.emulator={clone.port}", "--format", "{{.Ports}}"))
    assert "->5432/tcp" in ports
    assert "0.0.0.0" not in ports  # noqa: S104 - what must not be
    assert "[::]" not in ports


def test_up_again_changes_nothing_and_says_so(clone: Clone) -> None:
    before = clone.status()
    assert "Nothing to change." in clone.slipway("up")
    after = clone.status()
    assert before["tasks"] == after["tasks"]


def test_plain_pulumi_works_on_the_same_stack(clone: Clone) -> None:
    clone.pulumi("preview", "--expect-no-changes")
    assert clone.status()["url"] in clone.pulumi("stack", "output", "url")


def test_the_clean_up_runs_by_the_clock(clone: Clone) -> None:
    logs = clone.aws("logs")
    deadline = time.monotonic() + SCHEDULE_SECONDS
    while True:
        (group,) = logs.describe_log_groups(logGroupNamePrefix="slipway-local-cleanup-logs")["logGroups"]
        lines = [event["message"] for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"]]
        if any('"clean-up done"' in line for line in lines):
            return
        assert time.monotonic() < deadline, lines
        time.sleep(1)


def test_what_was_changed_by_hand_shows_in_a_refresh_and_up_mends_it(clone: Clone) -> None:
    ecs, s3, watch = clone.aws("ecs"), clone.aws("s3"), clone.aws("cloudwatch")
    status = json.loads(clone.pulumi("stack", "output", "--json"))
    ecs.update_service(cluster=status["cluster"], service=status["services"]["web"], desiredCount=1)
    bucket = next(b["Name"] for b in s3.list_buckets()["Buckets"] if "local-bucket" in b["Name"])
    s3.delete_public_access_block(Bucket=bucket)
    (alarm,) = watch.describe_alarms(AlarmNamePrefix="slipway-local-database-cpu")["MetricAlarms"]
    kept = ("AlarmName", "Namespace", "MetricName", "Dimensions", "Statistic", "Period", "EvaluationPeriods")
    watch.put_metric_alarm(
        **{key: alarm[key] for key in kept}, ComparisonOperator=alarm["ComparisonOperator"], Threshold=99.0
    )
    preview = json.loads(clone.pulumi("preview", "--refresh", "--json"))
    changes = {s["urn"].rsplit("::", 1)[-1]: s["op"] for s in preview["steps"] if s["op"] not in ("same", "refresh")}
    assert changes == {
        "slipway-local-web": "update",
        "slipway-local-bucket": "create",
        "slipway-local-database-cpu": "update",
    }
    clone.pulumi("up", "--refresh", "--yes", "--skip-preview")
    clone.pulumi("preview", "--refresh", "--expect-no-changes")
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]["BlockPublicAcls"]
    assert watch.describe_alarms(AlarmNames=[alarm["AlarmName"]])["MetricAlarms"][0]["Threshold"] == 80
    assert len(clone.status()["tasks"]) == 3


def test_the_logs_of_app_and_emulator_can_be_read(clone: Clone) -> None:
    told = [json.loads(line) for line in clone.slipway("logs", "local", "--since", "1h").splitlines()]
    assert [line["time"] for line in told] == sorted(line["time"] for line in told)
    wrote = {line["process"]: line["line"] for line in told}
    assert {"web", "worker", "release", "cleanup"} == set(wrote)
    found = clone.slipway("logs", "--process", "web", "--grep", '"POST".*/users/').splitlines()
    assert [json.loads(line)["line"]["status"] for line in found] == [201]
    assert "There is no process wbe" in clone.slipway("logs", "-p", "wbe", code=1)
    create_from_values = clone.start("logs", "--follow", "-n", "1", "--grep", "unmatched")
    time.sleep(3)
    clone.get("/nothing-here")
    assert create_from_values.stdout
    assert json.loads(create_from_values.stdout.readline())["line"]["status"] == 404
    create_from_values.terminate()
    assert create_from_values.communicate(timeout=120) == ("", "")
    assert clone.slipway("logs", "emulator")


FOREIGN = {
    "AWS_PROFILE": "corp",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_ENDPOINT_URL_ECS": "http://127.0.0.1:9",
    "PULUMI_BACKEND_URL": "s3://somebody-elses",
    "http_proxy": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
}
"""A shell of somebody who works with a real account behind a proxy."""


def test_a_changed_line_is_served_from_any_shell_also_after_the_engine_was_killed(clone: Clone) -> None:
    before = clone.status()
    path = clone.root / "app" / "main.py"
    path.write_text(
        path.read_text() + '\n\n@app.get("/changed", include_in_schema=False)\n'
        'async def changed() -> str:\n    return "new code"\n'
    )
    usual = clone.env
    clone.env = usual | FOREIGN
    try:
        up = clone.start("up")
        engine = _wait_for_child(clone, "pulumi")
        time.sleep(2)
        os.kill(engine, signal.SIGKILL)
        up.communicate(timeout=COMMAND_SECONDS)
        assert up.returncode != 0
        clone.slipway("up")
        assert "Nothing to change." in clone.slipway("up")
        after = clone.status()
        assert '"' in clone.slipway("logs", "-n", "1")
    finally:
        clone.env = usual
    assert clone.get("/changed") == (200, '"new code"')
    assert before["image_digest"] != after["image_digest"]
    assert len(after["tasks"]) == 3  # nothing is doubled
    assert {task["image_digest"] for task in after["tasks"]} == {after["image_digest"]}


def test_a_change_taken_back_is_deployed_with_secrets_made_anew_and_a_configured_one(
    clone: Clone, secrets: dict[str, str]
) -> None:
    """The same sources as before have the same tag, and the registry lets no tag move by a push."""
    shutil.copy2(ROOT / "app" / "main.py", clone.root / "app" / "main.py")
    before = {task["id"] for task in clone.status()["tasks"]}
    stack = clone.root / "stacks" / "Pulumi.local.yaml"
    stack.write_text(stack.read_text() + "  secretsGeneration: 2\n")
    dsn = "https://nobody@127.0.0.1:9/1"
    clone.pulumi("config", "set", "--secret", "--path", "slipway:secrets.SENTRY_DSN", dsn)
    assert dsn not in stack.read_text()
    signed_before = _token(clone)
    with Load(clone.port, urlsplit(clone.status()["url"]).netloc, 20, "/readyz") as load:
        exports = [_export(clone, signed_before)]
        clone.slipway("up")
        exports.append(_export(clone, signed_before))
    assert load.failed() == [], load.summary()
    for export in exports:
        _done(clone, signed_before, export)
    assert clone.get("/changed")[0] == 404
    assert not before & {task["id"] for task in clone.status()["tasks"]}
    environments = [dict(pair.split("=", 1) for pair in about["Config"]["Env"]) for about in clone.inspect_containers()]
    ours = [found for found in environments if "SECRET_KEY" in found]
    former = {secrets[name] for name in OF_THE_APP - {"secret-key value"}}
    assert len(ours) >= 3  # two web tasks and a worker
    for found in ours:
        assert found["SENTRY_DSN"] == dsn
        assert found["FORMER_SECRET_KEY"] == secrets["secret-key value"] != found["SECRET_KEY"]
        assert not former & set(found.values())
    assert clone.get("/readyz")[0] == 200  # with a new password in Postgres, and in Redis
    assert dsn not in clone.pulumi("stack", "export")
    tokens = secrets["cache value"], ours[0]["REDIS_PASSWORD"]
    assert [_redis_takes(clone, token) for token in tokens] == [True, True]
    assert _may_log_in(clone) == {"slipway_local_app_1": True, "slipway_local_app_2": True}

    stack.write_text(stack.read_text() + "  secretsRetired: 1\n")
    with Load(clone.port, urlsplit(clone.status()["url"]).netloc, 20, "/readyz") as load:
        clone.slipway("up")
    assert load.failed() == [], load.summary()
    assert [_redis_takes(clone, token) for token in tokens] == [False, True]
    assert _may_log_in(clone) == {"slipway_local_app_1": False, "slipway_local_app_2": True}
    assert _asked(clone, "GET", "/api/v1/users/me", signed_before).status_code == 401
    assert _asked(clone, "GET", "/api/v1/users/me", _token(clone)).status_code == 200


def _asked(clone: Clone, method: str, path: str, token: str = "", **more: Any) -> httpx.Response:
    host = urlsplit(clone.status()["url"])
    headers = {"host": host.netloc} | ({"authorization": f"Bearer {token}"} if token else {})
    return httpx.request(method, f"http://127.0.0.1:{host.port}{path}", headers=headers, timeout=60, **more)


def _token(clone: Clone) -> str:
    form = {"username": ADA["email"], "password": ADA["password"]}
    token: str = _asked(clone, "POST", "/api/v1/auth/token", data=form).json()["access_token"]
    return token


def _export(clone: Clone, token: str) -> str:
    answer = _asked(clone, "POST", "/api/v1/items/exports", token)
    assert answer.status_code == 202, answer.text
    return answer.headers["location"]


def _done(clone: Clone, token: str, export: str) -> None:
    deadline = time.monotonic() + EXPORT_SECONDS
    while (found := _asked(clone, "GET", export, token).json())["status"] != "done":
        assert time.monotonic() < deadline, found
        time.sleep(0.5)


def _container(clone: Clone, name: str) -> str:
    label = f"label=slipway.emulator={clone.port}"
    (found,) = docker_lines("ps", "-q", "--filter", label, "--filter", f"name={name}")
    return found


def _redis_takes(clone: Clone, token: str) -> bool:
    ask = ["redis-cli", "--tls", "--insecure", "--no-auth-warning", "ping"]
    command = ["docker", "exec", "-e", "REDISCLI_AUTH", _container(clone, "slipway-local-cache"), *ask]
    env = os.environ | {"REDISCLI_AUTH": token}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False).stdout.strip() == "PONG"


def _may_log_in(clone: Clone) -> dict[str, bool]:
    """The app's roles in Postgres, asked as the server's owner."""
    sql = "SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname LIKE 'slipway_local_app_%' ORDER BY 1"
    shell = f'psql -At -F " " -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c "{sql}"'
    words = docker_lines("exec", _container(clone, "slipway-local-database"), "sh", "-c", shell)
    return {name: may == "t" for name, may in zip(words[::2], words[1::2], strict=True)}


def test_a_dockerfile_that_fails_shows_the_builds_own_lines_and_the_old_app_serves_on(clone: Clone) -> None:
    dockerfile = clone.root / "docker" / "app" / "Dockerfile"
    with changed(dockerfile, lambda good: good + "\nRUN echo this is the reason && false\n"):
        told = clone.slipway("up", code=1)
    assert "this is the reason" in told
    assert "Traceback" not in told
    assert clone.get("/livez")[0] == 200


def test_a_wrong_setting_is_named_with_what_is_allowed_before_anything_changes(clone: Clone) -> None:
    stack = clone.root / "stacks" / "Pulumi.local.yaml"
    with changed(stack, lambda good: re.sub(r"memory: 512", "memory: 700", good, count=1)):
        told = clone.slipway("up", code=1)
    assert "processes.web.memory is 700" in told
    assert "512, 1024, 2048" in told
    assert "Traceback" not in told


def test_another_range_of_the_network_is_refused_before_anything_is_touched(clone: Clone) -> None:
    stack = clone.root / "stacks" / "Pulumi.local.yaml"
    before = clone.status()["tasks"]
    with changed(stack, lambda good: good + "  vpcCidr: 10.99.0.0/16\n"):
        told = clone.pulumi("preview", code=1)
    assert "vpcCidr is 10.99.0.0/16" in told
    assert "10.20.0.0/16 (vpc-" in told
    clone.pulumi("preview", "--expect-no-changes")
    assert clone.status()["tasks"] == before


def test_a_second_clone_is_told_what_is_in_its_way(clone: Clone, tmp_path: Path) -> None:
    second = Clone(clone.root, clone.port)
    second.env |= {"SLIPWAY_RUN_DIR": str(tmp_path / "run")}
    told = second.slipway("up", code=1)
    assert str(clone.port) in told
    assert "SLIPWAY_PORT" in told
    assert clone.status()["answers"]


def lighthouses(clone: Clone) -> int:
    """How many of Ada's items there are, asked after a new login."""
    url = clone.status()["url"].rstrip("/")
    host = urlsplit(url)
    with httpx.Client(base_url=f"http://127.0.0.1:{host.port}", headers={"host": host.netloc}, timeout=60) as api:
        form = {"username": ADA["email"], "password": ADA["password"]}
        answer = api.post("/api/v1/auth/token", data=form)
        assert answer.status_code == 200, answer.text
        api.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        return api.get("/api/v1/items/").text.count("Lighthouse")


def test_a_task_that_ended_shows_in_the_status_until_the_one_in_its_place_is_healthy(clone: Clone) -> None:
    killed, _ = docker_lines(
        "ps", "--quiet", "--filter", f"label=slipway.emulator={clone.port}", "--filter", "name=web"
    )
    docker_lines("kill", killed)
    status = clone.status()
    assert (status["health"], len(status["troubles"])) == ("degraded", 1)
    assert "1 of 2 tasks healthy" in status["troubles"][0]
    _until(lambda: clone.status()["health"] == "healthy")


def test_a_store_that_is_down_shows_in_the_status_and_comes_back_with_what_it_held(clone: Clone) -> None:
    (database,) = docker_lines("ps", "--quiet", *clone.store("rds"))
    docker_lines("stop", database)
    process = clone.start("status")
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 2, told  # it answers, and not all is well
    assert "degraded" in told
    assert re.search(rf"slipway-local-database-\S*-{clone.port}: its container is exited", told)
    docker_lines("start", database)
    _until(lambda: clone.status()["health"] == "healthy")
    _until(lambda: clone.get("/readyz")[0] == 200)  # its container runs before Postgres answers
    assert lighthouses(clone) == 1


def test_an_emulator_that_is_gone_is_said_to_be_and_the_database_keeps_its_data(clone: Clone) -> None:
    os.kill(int((clone.root / ".slipway" / "emulator.pid").read_text().split()[0]), signal.SIGKILL)
    time.sleep(1)
    assert clone.status()["emulator"] == "stopped"
    assert re.search(r"has ended.*its \d\d\d resources with it", clone.slipway("up"))
    assert lighthouses(clone) == 1
    # Two web tasks, a worker, Postgres, Redis: nothing of the emulator before. The clean-up comes and goes.
    _until(lambda: len(clone.containers()) == 5)


def test_a_destroyed_stack_leaves_nothing_that_the_next_one_could_collide_with(clone: Clone) -> None:
    assert len(clone.names("slipway-local")) > 40
    clone.pulumi("destroy", "--yes", "--skip-preview")
    assert clone.names("slipway-local") == set()
    assert clone.volumes() == []


def test_down_leaves_no_container_no_volume_no_process(clone: Clone) -> None:
    clone.slipway("down")
    assert clone.processes() == []
    assert clone.status()["emulator"] == "stopped"
    ensure_docker()  # `down` has stopped the engine, if nothing else ran in it
    try:
        assert clone.containers() == []
        assert clone.volumes() == []
    finally:
        stop_managed_docker()


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SCHEDULE_SECONDS
    while not done():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.5)


def _wait_for_child(clone: Clone, name: str) -> int:
    """The pid of the engine that works on this copy."""
    deadline = time.monotonic() + COMMAND_SECONDS
    while time.monotonic() < deadline:
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                environ = (entry / "environ").read_bytes()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            is_up = Path(words[0].decode(errors="replace")).name == name and b"up" in words
            if is_up and str(clone.root).encode() in environ:
                return int(entry.name)
        time.sleep(0.1)
    raise AssertionError(f"no {name} was started")
