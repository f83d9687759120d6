"""docker/database as RDS runs it: its owner is no superuser there, and in the AWS on this machine it is one."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Iterator

import pytest

from slipway_local.base_images import ensure_base_image
from slipway_local.docker_engine import ensure_docker
from tests.paths import ROOT

pytestmark = pytest.mark.e2e

POSTGRES = "postgres:15-alpine"
HOME, TEMPLATE, SEED = "shop_dev", "shop_dev_template", "shop_dev_seed"
MADE_BY_A_MIGRATION = """
CREATE EXTENSION pg_trgm; CREATE SCHEMA more; CREATE TYPE mood AS ENUM ('calm');
CREATE TABLE t (id serial PRIMARY KEY, x text, m mood); CREATE INDEX ON t USING gin (x gin_trgm_ops);
CREATE VIEW v AS SELECT x FROM t;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION more.g() RETURNS int LANGUAGE sql AS 'SELECT 2';
INSERT INTO t (x) SELECT 'seeded' FROM generate_series(1, 10)
"""


class Server:
    """A Postgres whose owner may make databases and roles, and no more."""

    def __init__(self, id: str) -> None:
        self.id = id

    def psql(self, user: str, database: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        given = {"PGHOST": "127.0.0.1", "PGPASSWORD": "x", "PGUSER": user, "PGDATABASE": database} | variables
        options = [f"--env={key}={value}" for key, value in given.items()]
        command = ["docker", "exec", *options, self.id, "psql", "--no-psqlrc", "-tAqv", "ON_ERROR_STOP=1", *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    def asked(self, user: str, database: str, statement: str) -> str:
        done = self.psql(user, database, "-c", statement)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def script(self, name: str, code: int = 0, **variables: str) -> str:
        done = self.psql("dbowner", HOME, f"--file=/scripts/{name}", **variables)
        assert (done.returncode != 0) == bool(code), done.stdout + done.stderr
        return done.stdout + done.stderr

    def fill(self, statement: str) -> None:
        """What the base's task does."""
        names = {"TEMPLATE": TEMPLATE, "SEED": SEED, "SEED_VERIFIER": "x"}
        self.script("template.sql", ACTION="open", **names)
        self.asked(SEED, f"{TEMPLATE}_next", statement)
        self.script("template.sql", ACTION="close", **names)

    def make(self, name: str, template: str, code: int = 0) -> str:
        given = {"ACTION": "make", "NAME": name, "VERIFIER": "x", "CONNECTIONS": "4", "TEMPLATE": template}
        return self.script("preview.sql", code, **given)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    ensure_docker()
    ensure_base_image(POSTGRES)
    name = f"scripts-{uuid.uuid4().hex[:8]}"
    start = ["docker", "run", "--detach", "--rm", "--name", name, f"--volume={ROOT}/docker/database:/scripts:ro"]
    start += ["--env=POSTGRES_USER=super", "--env=POSTGRES_PASSWORD=x", f"--env=POSTGRES_DB={HOME}", POSTGRES]
    subprocess.run(start, check=True, capture_output=True)
    try:
        found = Server(name)
        deadline = time.monotonic() + 60
        # By its address, where it answers only once its first start is over.
        while found.psql("super", HOME, "-c", "SELECT 1").returncode and time.monotonic() < deadline:
            time.sleep(0.3)
        found.asked("super", HOME, "CREATE ROLE dbowner LOGIN PASSWORD 'x' CREATEDB CREATEROLE")
        found.asked("super", HOME, f"ALTER DATABASE {HOME} OWNER TO dbowner")
        found.fill(MADE_BY_A_MIGRATION)
        yield found
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True)


def test_a_copy_belongs_to_its_preview_whole_and_the_template_to_nobody_who_logs_in(server: Server) -> None:
    for name in ("preview_one", "preview_two", "preview_one"):  # made twice is fine
        server.make(name, TEMPLATE)
    server.asked("preview_one", "preview_one", "INSERT INTO t (x) VALUES ('mine'); ALTER TABLE t ADD y int")
    server.asked("preview_one", "preview_one", "DROP FUNCTION more.g(); DROP EXTENSION pg_trgm CASCADE")
    assert server.asked("preview_one", "preview_one", "SELECT count(*), f() FROM t") == "11|1"
    assert server.asked("preview_two", "preview_two", "SELECT count(*), more.g() FROM t GROUP BY 2") == "10|2"
    assert "permission denied" in server.psql("preview_one", "preview_two", "-c", "SELECT 1").stderr
    owners = "SELECT datname, pg_get_userbyid(datdba), datconnlimit FROM pg_database WHERE datname ~ '_' ORDER BY 1"
    assert server.asked("super", HOME, owners).splitlines() == [
        "preview_one|preview_one|-1", "preview_two|preview_two|-1", f"{HOME}|dbowner|-1", f"{TEMPLATE}|dbowner|0",
    ]  # fmt: skip
    assert "not permitted to log in" in server.psql(SEED, HOME, "-c", "SELECT 1").stderr
    assert "too many connections" in server.psql("dbowner", TEMPLATE, "-c", "SELECT 1").stderr
    members = "SELECT count(*) FROM pg_auth_members WHERE roleid = '{}'::regrole AND member <> 'dbowner'::regrole"
    assert server.asked("super", HOME, members.format(TEMPLATE)) == "0"


def test_a_closed_template_does_not_stop_a_major_upgrade(server: Server) -> None:
    """What pg_upgrade --check asks (src/bin/pg_upgrade/check.c), and so RDS: all but template0 allow connections."""
    closed = "SELECT datname FROM pg_database WHERE NOT datallowconn AND datname <> 'template0'"
    assert server.asked("super", HOME, closed) == ""
    assert server.asked("super", TEMPLATE, "SELECT count(*) FROM t") != ""  # as a superuser, as it does


def test_a_seed_that_fails_leaves_the_template_of_before_and_the_next_one_takes_its_place(server: Server) -> None:
    server.script("template.sql", ACTION="open", TEMPLATE=TEMPLATE, SEED=SEED, SEED_VERIFIER="x")
    assert server.psql(SEED, f"{TEMPLATE}_next", "-c", "CREATE TABLE half (); SELECT 1 / 0").returncode
    server.make("preview_three", TEMPLATE)
    assert server.asked("preview_three", "preview_three", "SELECT count(*) FROM t") == "10"
    server.fill("CREATE TABLE t (x text); INSERT INTO t VALUES ('anew')")
    server.make("preview_four", TEMPLATE)
    assert server.asked("preview_four", "preview_four", "SELECT x FROM t") == "anew"


def test_nothing_but_a_template_is_copied(server: Server) -> None:
    assert "not a template of previews" in server.make("preview_five", HOME, code=1)
    server.make("preview_six", "")
    assert (
        server.asked("preview_six", "preview_six", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0"
    )
