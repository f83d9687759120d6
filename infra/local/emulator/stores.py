"""Databases and caches are kept, as a managed service keeps them: over a restart of their container, of the Docker
engine, and the data of a database over the end of this process as well. ministack has a database in memory, and a cache
forgets a token that it was given while it ran.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import docker.errors
from docker.models.containers import ContainerCollection
from ministack.core.responses import request_scope
from ministack.services import elasticache, rds

from infra.local.emulator import host
from infra.local.emulator.labels import DATA_LABEL, labels, port

log = logging.getLogger("slipway.stores")

WATCH_SECONDS = 2.0
AUTOMATIC_NAME = re.compile(r"-[0-9a-f]{7}$")
"""What Pulumi's automatic naming adds: the next deployment of the same database has another."""

START_POSTGRES = r"""
data=$0 done=$0/slipway.done
if [ ! -e "$done" ]; then
    rm -rf "$data"/*
    "$@" -c port=5433 -c listen_addresses=127.0.0.1 & # where no client can reach it
    until pg_isready --quiet --host 127.0.0.1 --port 5433; do kill -0 $! && sleep 0.1 || exit 1; done
    kill -INT $!
    wait $! || true
    echo "$HOSTNAME" >"$done"
fi
rm -f "$data"/postmaster.pid # of a server that was killed: nobody else has this volume
if [ "$(cat "$done")" != "$HOSTNAME" ]; then
    password=$(printf %s "$POSTGRES_PASSWORD" | sed "s/'/''/g")
    printf 'ALTER ROLE "%s" PASSWORD '"'%s'"'\n' "$POSTGRES_USER" "$password" |
        su -s /bin/sh postgres -c "$(command -v postgres) --single -D $data postgres"
    echo "$HOSTNAME" >"$done"
fi
exec "$@"
"""
"""Around the image's own start. A first start that was cut off begins anew, so it is over before any client can write;
who takes over another container's data sets the owner's password to the one that it was given, its own it keeps, for
RDS may have changed it since."""

_taken: dict[str, str] = {}
"""Name of a database's container -> its volume."""
_beginning: dict[str, str] = {}
"""Name of a database's container -> the volume that it begins as a copy of."""
_launched: dict[str, tuple[str, str]] = {}
"""Container of a cache -> the token that it starts with, and when it was started last."""


def install() -> None:
    """Around the creation of their containers, and a watch over the caches."""
    rds._rds_docker_name = lambda db_id, account_id=None, region=None: f"{db_id}-{port()}"
    ContainerCollection.create = _kept(ContainerCollection.create)  # type: ignore[method-assign]  # a patch
    threading.Thread(target=_watch, daemon=True, name="stores").start()


def forget(database: str) -> None:
    """Take the data of a deleted database away."""
    volume = _taken.pop(rds._rds_docker_name(database), None)
    if volume:
        host.client().volumes.get(volume).remove(force=True)


def keep(database: str, snapshot: str) -> None:
    """Copy the data of a database that may be running: it stands still for that, for a snapshot is of one moment."""
    name = rds._rds_docker_name(database)
    if name not in _taken:
        return
    container = host.client().containers.get(name)
    running = container.status == "running"
    if running:
        container.pause()
    try:
        _copy(_taken[name], _of_snapshot(snapshot), container.image.id)
    finally:
        if running:
            container.unpause()


def begin(database: str, snapshot: str) -> None:
    """Have a database that is about to be made begin as a snapshot."""
    _beginning[rds._rds_docker_name(database)] = _of_snapshot(snapshot)


def drop(snapshot: str) -> None:
    """Take the data of a snapshot away."""
    host.client().volumes.get(_of_snapshot(snapshot)).remove(force=True)


def _of_snapshot(snapshot: str) -> str:
    return f"{snapshot.replace(':', '-')}-{port()}-snapshot"


def _copy(source: str, target: str, image: str, target_labels: dict[str, str] | None = None) -> None:
    client = host.client()
    client.volumes.create(target, labels=labels() | (target_labels or {}))
    client.containers.run(
        image,
        ["cp", "-a", "/source/.", "/target/"],
        entrypoint=[],
        user="root",
        network_mode="none",
        labels=labels(),
        remove=True,
        volumes={source: {"bind": "/source", "mode": "ro"}, target: {"bind": "/target", "mode": "rw"}},
    )


def _kept(original: Callable[..., Any]) -> Callable[..., Any]:
    def create(self: ContainerCollection, *arguments: Any, **options: Any) -> Any:
        service = (options.get("labels") or {}).get("ministack")
        if service not in ("rds", "elasticache"):
            return original(self, *arguments, **options)
        if service == "elasticache":
            options["name"] = f"{options['labels'].get('rg_id') or options['name']}-{port()}"
        elif "/var/lib/postgresql" in str(options.get("tmpfs")):
            _on_a_volume(self.client, options)
        options["restart_policy"] = {"Name": "unless-stopped"}
        container = original(self, *arguments, **options)
        if service == "elasticache":
            command = options.get("command") or []
            token = command[command.index("--requirepass") + 1] if "--requirepass" in command else ""
            _launched[container.id] = (token, "")
        return container

    return create


def _on_a_volume(client: Any, options: dict[str, Any]) -> None:
    """Give a database a volume in place of memory: that of the same database before, where its emulator has ended."""
    (path,) = options.pop("tmpfs")
    environment = options["environment"]
    database = AUTOMATIC_NAME.sub("", options["labels"]["db_id"])
    same = " ".join([database, environment["POSTGRES_USER"], environment.get("POSTGRES_DB", ""), options["image"]])
    left = client.volumes.list(filters={"label": [f"{DATA_LABEL}={same}", *(f"{k}={v}" for k, v in labels().items())]})
    beginning = _beginning.pop(options["name"], "")
    free = None if beginning else next((volume.name for volume in left if volume.name not in _taken.values()), None)
    if free:
        log.info("database %s takes over the data that %s had", options["name"], free)
    volume = free or f"{options['name']}-data"
    if beginning:
        _copy(beginning, volume, options["image"], {DATA_LABEL: same})
    else:
        client.volumes.create(volume, labels=labels() | {DATA_LABEL: same})
    _taken[options["name"]] = volume
    options["volumes"] = {volume: {"bind": path, "mode": "rw"}}
    entrypoint = options.get("entrypoint") or ["docker-entrypoint.sh"]
    options["command"] = [*entrypoint, *(options.get("command") or ["postgres"])]
    options["entrypoint"] = ["sh", "-c", START_POSTGRES, path]
    options["init"] = True


def _watch() -> None:
    while True:
        time.sleep(WATCH_SECONDS)
        for (account, region, name), group in elasticache._replication_groups.all_items():
            with request_scope(account, region):
                for container in group.get("_docker_container_ids") or []:
                    try:
                        _give_tokens(group, container)
                    except docker.errors.APIError as error:
                        log.warning("cache %s: %s", name, error)


def _give_tokens(group: dict[str, Any], id: str) -> None:
    """A cache that has started again knows the token of its first start only."""
    container = host.client().containers.get(id)
    started = container.attrs["State"]["StartedAt"]
    first, seen = _launched.get(id, ("", started))
    if container.status != "running" or started == seen:
        return
    tokens = group.get("_auth_tokens") or []
    if tokens != [first]:
        rules = ["resetpass", *(f">{token}" for token in tokens)] if tokens else ["resetpass", "nopass"]
        login = elasticache._node_cli_args(bool(group.get("TransitEncryptionEnabled")), first)
        done = container.exec_run(["redis-cli", *login, "-p", "6379", "ACL", "SETUSER", "default", "on", *rules])
        if b"OK" not in done.output and b"WRONGPASS" not in done.output:  # it knows a later one already
            return  # it is not up yet: at the next look
    _launched[id] = (first, started)
