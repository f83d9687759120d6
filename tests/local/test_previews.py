"""Previews on one environment: made, kept apart, updated, cut off, destroyed and reaped, until nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from tests.local.clone import ROOT, Clone, cloned, docker_lines
from tests.local.conftest import until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not (ROOT / "tests" / "app").is_dir(), reason="the reference app was removed"),
]

SEEDED = ["ada@example.com", "grace@example.com", "linus@example.com"]
"""Who is in the template's database: app/seed.py."""
NEEDS_NO_PERMISSION = {"sts:GetCallerIdentity"}
PULL_REQUESTS = ["pr-1", "feature/Login", "PR_3"]
POSTGRES = "postgres:15-alpine"
MISLEADING = [
    "prod", "prod-eu", "staging", "dev", "pr", "pr-", "pr--1", "pr-1-", "preview-prod", "preview-pr-1", "PR_42", "PR-1",
    "dev-pr-1", "xpr-1", "pr_1", "pr.1", "pr-77", "pr-78", "pr-prod", "pr-local",
]  # fmt: skip
"""Stacks that are no previews, whatever they are called and their tags say."""


class Previews:
    """The commands, as a pipeline calls them."""

    def __init__(self, clone: Clone) -> None:
        self.clone = clone
        self.calls = clone.root / "calls-of-aws"
        """What the commands have asked of AWS, a line each, in their own processes and in the engine's."""
        self.recorded = Clone(clone.root, clone.port)
        recorder = clone.root / "tests" / "local" / "recorded"
        more = {"PYTHONPATH": f"{recorder}:{clone.root}", "SLIPWAY_CALLS": str(self.calls)}
        self.recorded.env = clone.env | more
        self.digest = clone.status()["image_digest"]

    def __call__(self, *arguments: str, code: int = 0) -> Any:
        process = self.recorded.start("preview", *arguments, "--json")
        stdout, stderr = process.communicate(timeout=600)
        assert process.returncode == code, f"{arguments}: {process.returncode}\n{stdout}\n{stderr}"
        return json.loads(stdout) if stdout else stderr

    def create(self, name: str, *more: str) -> Any:
        return self("create", name, "--base", "local", "--image", self.digest, *more)

    @property
    def states(self) -> Path:
        """Where the engine keeps them, a file and its tags a stack."""
        return self.clone.root / ".slipway" / "state" / ".pulumi" / "stacks" / "slipway"

    def cut_off(self, moment: str, *arguments: str) -> None:
        """A command, and all that it has started, killed when it says `moment`."""
        process = self.clone.start("preview", *arguments)
        assert process.stderr
        told = any(moment in line for line in process.stderr)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert told, f"{arguments} never said {moment}"

    def containers(self, made: Any, *more: str, shown: str = "{{.ID}}") -> list[str]:
        """Those of its service, of this local AWS and no other."""
        mine = ["--filter", f"name=ecs-slipway-{made['stack']}-web-"]
        mine += ["--filter", f"label=slipway.emulator={self.clone.port}"]
        return docker_lines("ps", "--format", shown, *mine, *more)

    def container(self, made: Any, of: str) -> str:
        """The id of a container of its task."""
        found = self.containers(made, "--filter", f"label=slipway.container={of}")
        assert len(found) == 1, found
        return found[0]

    def variables(self, made: Any) -> dict[str, str]:
        told = docker_lines("inspect", "--format", "{{json .Config.Env}}", self.container(made, "web"))
        return dict(entry.split("=", 1) for entry in json.loads(" ".join(told)))

    def psql(self, made: Any, given: dict[str, str], statement: str) -> subprocess.CompletedProcess[str]:
        """From inside the preview's task."""
        login = {
            "PGHOST": given["DATABASE_HOST"],
            "PGPORT": given["DATABASE_PORT"],
            "PGUSER": given["DATABASE_USER"],
            "PGPASSWORD": given["DATABASE_PASSWORD"],
            "PGDATABASE": given["DATABASE_NAME"],
            "PGSSLMODE": "require",
        }
        options = [f"--env={key}={value}" for key, value in login.items()]
        network = f"--network=container:{self.container(made, 'web')}"
        command = ["docker", "run", "--rm", network, *options, POSTGRES, "psql", "-tAc", statement]
        return subprocess.run(command, capture_output=True, text=True)

    def register(self, made: Any, name: str) -> int:
        account = {"email": f"{name}@example.com", "display_name": name, "password": "correct horse battery staple"}
        return self.clone.request("POST", "/api/v1/users/", json.dumps(account), made["url"])[0]

    def redis(self, made: Any, password: str, *command: str) -> str:
        """What its Redis says."""
        container = self.container(made, "cache")
        ask = ["docker", "exec", container, "redis-cli", "--no-auth-warning", "-a", password, *command]
        done = subprocess.run(ask, capture_output=True, text=True)
        return done.stdout + done.stderr

    def limit(self, made: Any) -> str:
        """The limit of requests that its answers tell of: RATE_LIMIT_PER_MINUTE of the task that answers."""
        return str(self.clone.answer("GET", "/api/v1/users/", url=made["url"])[1]["RateLimit-Limit"])

    def set_in(self, file: str, old: str, new: str) -> None:
        """Change a stack's file."""
        path = self.clone.root / "stacks" / file
        assert path.read_text().count(old) == 1
        path.write_text(path.read_text().replace(old, new))

    def users(self, made: Any) -> list[str]:
        done = self.psql(made, self.variables(made), "SELECT email FROM users ORDER BY email")
        assert done.returncode == 0, done.stderr
        return done.stdout.split()


@pytest.fixture(scope="module")
def previews(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Previews]:
    with cloned(tmp_path_factory.mktemp("previews") / "repository") as clone:
        stack = clone.root / "stacks" / "Pulumi.local.yaml"
        stack.write_text(stack.read_text() + "  previewData: template\n")
        clone.slipway("up")
        found = Previews(clone)
        yield found
        found("reap", "--base", "local", "--at", "2100-01-01T00:00:00+00:00")


@pytest.fixture(scope="module")
def three(previews: Previews) -> list[Any]:
    """Made side by side."""
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(previews.create, PULL_REQUESTS))


def test_each_preview_answers_by_its_own_name_with_few_resources_for_cents(
    previews: Previews, three: list[Any]
) -> None:
    assert [made["name"] for made in three] == PULL_REQUESTS
    assert len({made["stack"] for made in three}) == len({made["url"] for made in three}) == 3
    assert [previews.clone.get("/readyz", made["url"])[0] for made in three] == [200, 200, 200]
    assert all(made["resources"] <= 12 and made["usd_a_day"] < 0.60 for made in three)
    assert all(made["image"] == previews.digest for made in three)
    told = previews.clone.slipway("logs", PULL_REQUESTS[1], "--base", "local", "-p", "release", "-p", "web")
    lines = [json.loads(line) for line in told.splitlines()]
    assert {line["process"] for line in lines} == {"release", "web"}
    assert {line["line"]["event"] for line in lines} >= {"database is up to date", "started"}
    listed = previews("list", "--base", "local")
    assert {each["stack"] for each in listed["previews"]} >= {made["stack"] for made in three}


def test_rows_of_one_preview_are_in_no_other_and_not_in_the_environment(previews: Previews, three: list[Any]) -> None:
    one, two, _ = three
    assert previews.register(one, "alan") == 201
    assert previews.users(one) == sorted([*SEEDED, "alan@example.com"])
    assert previews.users(two) == SEEDED
    assert previews.register({"url": previews.clone.status()["url"]}, "alan") == 201  # nobody is there by that name


def test_cached_answers_of_one_preview_are_in_no_other(previews: Previews, three: list[Any]) -> None:
    """The same request, and so the same key: to the rows of each its own answer."""
    one, two, _ = three
    ask, rows = "/api/v1/users/?limit=50", "SELECT count(*) FROM users"
    kept = []
    for made, renamed in ((one, "One"), (two, "Two"), (one, "One"), (two, "Two")):
        mine = previews.variables(made)
        told = previews.psql(made, mine, f"UPDATE users SET display_name = '{renamed}'; {rows}")  # noqa: S608
        previews.redis(made, mine["REDIS_PASSWORD"], "flushall")
        answers = [previews.clone.get(ask, made["url"]) for _ in range(2)]
        assert answers[0] == answers[1]
        assert {each["display_name"] for each in json.loads(answers[0][1])} == {renamed}
        assert len(json.loads(answers[0][1])) == int(told.stdout.split()[-1])
        (key,) = previews.redis(made, mine["REDIS_PASSWORD"], "keys", "*:cache:public:users").split()
        kept.append((key, previews.redis(made, mine["REDIS_PASSWORD"], "hkeys", key).strip()))
    assert len(set(kept)) == 1
    assert ask in kept[0][1]
    others = previews.redis(one, previews.variables(one)["REDIS_PASSWORD"], "flushall")
    assert others.strip() == "OK"
    assert previews.redis(two, previews.variables(two)["REDIS_PASSWORD"], "exists", kept[0][0]).strip() == "1"


def test_each_preview_begins_with_a_copy_of_the_seed_that_is_its_own(previews: Previews, three: list[Any]) -> None:
    one, two, _ = three
    mine, others = previews.variables(one), previews.variables(two)
    titles = "SELECT string_agg(title, ',' ORDER BY title) FROM items"
    before = previews.psql(one, mine, titles).stdout
    assert "Lighthouse" in before
    changed = previews.psql(one, mine, "UPDATE items SET title = 'Mine'; ALTER TABLE items ADD extra int")
    assert changed.returncode == 0, changed.stderr  # it owns what it was given
    assert previews.psql(one, mine, titles).stdout != before
    assert previews.psql(two, others, titles).stdout == before
    owners = previews.psql(one, mine, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert owners.stdout.split() == [mine["DATABASE_NAME"]]
    for database in ("slipway_local_template", "slipway_local_template_next"):
        done = previews.psql(one, mine | {"DATABASE_NAME": database}, "SELECT 1")
        assert "permission denied" in done.stderr or "does not exist" in done.stderr, done.stdout + done.stderr
    public = previews.clone.get("/api/v1/users/", previews.clone.status()["url"])[1]
    assert "Grace" not in public  # the environment's own database is not seeded


def test_the_credentials_of_one_preview_open_nothing_of_another(previews: Previews, three: list[Any]) -> None:
    one, two, _ = three
    mine, others = previews.variables(one), previews.variables(two)
    for name in (others["DATABASE_NAME"], "slipway_local"):
        done = previews.psql(one, mine | {"DATABASE_NAME": name}, "SELECT 1")
        assert "permission denied for database" in done.stderr, done.stdout + done.stderr
    done = previews.psql(one, mine | {"DATABASE_NAME": "postgres"}, f'DROP DATABASE "{others["DATABASE_NAME"]}"')
    assert "must be owner" in done.stderr or "permission denied" in done.stderr
    assert previews.psql(one, mine, "CREATE ROLE evil").returncode != 0
    told = previews.redis(two, mine["REDIS_PASSWORD"], "dbsize")
    assert "WRONGPASS" in told or "NOAUTH" in told
    assert previews.redis(two, others["REDIS_PASSWORD"], "dbsize").strip().isdigit()
    assert not any("PGPASSWORD" in name or "master" in value.lower() for name, value in mine.items())


def test_five_updates_serve_and_keep_the_data_while_the_environment_deploys(
    previews: Previews, three: list[Any]
) -> None:
    made = three[2]
    assert previews.register(made, "barbara") == 201
    database, before = previews.variables(made)["DATABASE_NAME"], previews.container(made, "web")
    previews.set_in("Pulumi.local.yaml", "web: {cpu: 256, memory: 512,", "web: {cpu: 256, memory: 1024,")
    base, given = previews.clone.start("up"), "{DRAIN_SECONDS: 1}"
    for limit in ("700", "700", "701", "701", "701"):  # two roll another revision out, the others renew its end
        before_it, given = given, f"{{DRAIN_SECONDS: 1, RATE_LIMIT_PER_MINUTE: {limit}}}"
        previews.set_in("Pulumi.preview.yaml", before_it, given)
        updated = previews("update", made["name"], "--image", previews.digest, "--expires", "2d")
        assert (updated["stack"], updated["resources"]) == (made["stack"], made["resources"])
        assert previews.limit(made) == limit
    stdout, stderr = base.communicate(timeout=600)
    assert base.returncode == 0, stdout + stderr
    assert previews.limit({"url": previews.clone.status()["url"]}) == "600"
    assert updated["expires"] < made["expires"]
    assert previews.users(made) == sorted([*SEEDED, "barbara@example.com"])
    assert previews.variables(made)["DATABASE_NAME"] == database

    # Of one task are all containers, stopped ones included, once the former ones have ended.
    def tasks() -> list[str]:
        return previews.containers(made, "--all", shown='{{.Label "slipway.task"}}')

    until(lambda: len(set(tasks())) == 1, 90)
    assert len(tasks()) > 1
    assert before not in previews.containers(made, "--all")


def test_a_preview_is_destroyed_under_load_twice_and_comes_back_empty(previews: Previews, three: list[Any]) -> None:
    made = three[1]
    assert previews.register(made, "dennis") == 201
    ended = threading.Event()

    def load() -> None:
        while not ended.is_set():
            previews.clone.get("/readyz", made["url"])
            time.sleep(0.02)

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(load) for _ in range(2)]
        try:
            done = previews("destroy", made["name"])
        finally:
            ended.set()
        assert all(each.exception() is None for each in asking)
    assert (done["existed"], done["database_dropped"], done["leftovers"]) == (True, True, [])
    assert previews.clone.names(made["stack"]) == set()
    assert previews("destroy", made["name"], "--base", "local")["existed"] is False
    again = previews.create(made["name"])
    assert again["url"] == made["url"]
    assert previews.users(again) == SEEDED


def a_killed_destroy(previews: Previews, name: str) -> None:
    previews.cut_off("deleting", "destroy", name)


def somebody_deleted_it(previews: Previews, name: str) -> None:
    """Its service, its rule, its target group."""
    ecs, elb = previews.clone.aws("ecs"), previews.clone.aws("elbv2")
    (cluster,) = ecs.list_clusters()["clusterArns"]
    (service,) = [arn for arn in ecs.list_services(cluster=cluster, maxResults=100)["serviceArns"] if name in arn]
    ecs.delete_service(cluster=cluster, service=service, force=True)
    (group,) = [each for each in elb.describe_target_groups()["TargetGroups"] if name in each["TargetGroupName"]]
    (balancer,) = elb.describe_load_balancers()["LoadBalancers"]
    listeners = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    rules = [each for at in listeners for each in elb.describe_rules(ListenerArn=at["ListenerArn"])["Rules"]]
    (rule,) = [each for each in rules if group["TargetGroupArn"] in str(each)]
    elb.delete_rule(RuleArn=rule["RuleArn"])
    elb.delete_target_group(TargetGroupArn=group["TargetGroupArn"])


def its_state_is_lost(previews: Previews, name: str) -> None:
    for path in previews.states.glob(f"{name}.*"):
        path.unlink()
    refused = str(previews("create", name, "--base", "local", code=1))  # its rule would take the old place
    assert "listener-rule/" in refused
    assert f"slipway preview destroy {name} --base local --fix" in refused
    assert not list(previews.states.glob(f"{name}.*"))
    told = previews("destroy", name, "--base", "local", code=1)
    kinds = ("service/", "targetgroup/", "listener-rule/", "secret:", "log-group:")
    assert all(kind in str(told["leftovers"]) for kind in kinds), told


@pytest.mark.parametrize(
    ("moment", "accident"),
    [
        ("Creating the preview", a_killed_destroy),
        ("has its database", somebody_deleted_it),
        ("rolling out", its_state_is_lost),
    ],
)
def test_a_create_that_is_killed_is_finished_by_the_next_one_and_destroy_ends_any_accident(
    previews: Previews, moment: str, accident: Callable[[Previews, str], None]
) -> None:
    name = "pr-9"
    previews.cut_off(moment, "create", name, "--base", "local", "--image", previews.digest)
    assert list(previews.states.glob("*.attrs")) == []  # one that a kill leaves empty hides all stacks from the engine
    made = previews.create(name)
    assert previews.clone.get("/readyz", made["url"])[0] == 200
    accident(previews, name)
    done = previews("destroy", name, "--base", "local", "--fix")
    assert (done["database_dropped"], done["leftovers"]) == (True, [])
    assert bool(done["fixed"]) is (accident is its_state_is_lost)
    assert previews.clone.names(f"slipway-{name}") == set()


def test_a_preview_is_destroyed_whose_environment_has_lost_its_state(previews: Previews) -> None:
    name, state = "pr-10", previews.states / "local.json"
    previews.create(name)
    away = state.rename(previews.clone.root / "local.json")
    try:
        done = previews("destroy", name, "--base", "local")
    finally:
        away.rename(state)
    assert (done["existed"], done["database_dropped"], done["leftovers"]) == (True, False, [])
    assert previews.clone.names(f"slipway-{name}") == set()
    again = previews("destroy", name, "--base", "local")
    assert (again["existed"], again["database_dropped"]) == (False, True)


def test_an_environment_that_bears_previews_is_not_destroyed(previews: Previews, three: list[Any]) -> None:
    told = previews.clone.slipway("down", code=1)
    assert three[0]["stack"] in told
    assert previews.clone.status()["health"] == "healthy"


def test_reap_takes_what_is_past_its_time_and_nothing_that_only_looks_like_it(
    previews: Previews, three: list[Any]
) -> None:
    made = MISLEADING
    for file in (previews.states / "pr-1.json", previews.states / "pr-1.pulumi-tags"):
        for stack in made:  # with a real preview's state and tags: all but the name is right, or the name alone
            (previews.states / f"{stack}{file.suffix}").write_text(file.read_text().replace(":pr-1:", f":{stack}:"))
        (previews.states.parent / "another").mkdir(exist_ok=True)
        (previews.states.parent / "another" / f"pr-1{file.suffix}").write_text(file.read_text())
    kept = previews("reap", "--base", "local", "--dry-run")
    assert [each for each in kept["decisions"] if each["action"] == "destroy"] == []
    closed = previews("reap", "--base", "local", "--dry-run", "--open-prs", "2,3")
    assert [each["stack"] for each in closed["decisions"] if each["action"] == "destroy"] == ["pr-1"]
    done = previews("reap", "--base", "local", "--at", "2100-01-01T00:00:00+00:00")
    assert sorted(done["destroyed"]) == sorted(each["stack"] for each in three)
    assert done["failed"] == {}
    stacks = previews.clone.shell("pulumi stack ls --json")
    assert {each["name"] for each in json.loads(stacks)} >= {"local", *made}
    assert previews("list", "--base", "local")["previews"] == []
    assert previews.clone.status()["health"] == "healthy"
    assert [previews.clone.names(each["stack"]) for each in three] == [set()] * 3
    assert not list((previews.clone.root / "stacks").glob("Pulumi.pr-1*"))
    for stack in made:  # their tags say that they stand on it: it would not go down
        for path in (previews.states / f"{stack}.json", previews.states / f"{stack}.pulumi-tags"):
            path.unlink()


def test_the_pipelines_role_may_do_all_that_the_commands_have_done(previews: Previews) -> None:
    iam = previews.clone.aws("iam")
    (role,) = [each["RoleName"] for each in iam.list_roles()["Roles"] if "previews-pipeline" in each["RoleName"]]
    allowed = []
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        for statement in iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            allowed += [actions] if isinstance(actions, str) else actions
    asked = {call.replace("tagging:", "tag:") for call in previews.calls.read_text().split()} - NEEDS_NO_PERMISSION
    assert {"ecs:RunTask", "ecs:CreateService", "secretsmanager:CreateSecret", "tag:GetResources"} <= asked
    assert sorted(call for call in asked if not any(fnmatch(call, action) for action in allowed)) == []


def test_no_file_of_a_preview_is_left_to_commit(previews: Previews) -> None:
    assert not [path for path in Path(previews.clone.root / ".slipway" / "previews").iterdir() if path.is_dir()]
