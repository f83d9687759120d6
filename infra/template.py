"""The database that those of previews begin as a copy of: migrated and filled by their environment, then closed."""

from __future__ import annotations

import pulumi

from infra import contract, naming
from infra.app import App
from infra.components.release_step import ReleaseStep, ReleaseStepArgs
from infra.components.secrets import Group
from infra.components.task import Container, TaskArgs
from infra.containers import CACHE_BESIDE, DatabaseStep, Values, database_url, owner_of_the_database
from infra.foundation import Foundation, Place, SecretValue
from infra.processes import Processes
from infra.release.gate import Step, migrated
from infra.release.migrate import Words
from infra.release.program import oldest_revisions_go
from infra.settings import Settings
from infra.stores import Stores

TOLD: Words = {
    "called": "The template of previews",
    "so": "The one before stays, and what serves was not asked",
    "mend": "Mend previewSeed of stacks/app.yaml, or say previewData: empty, and run `up` again.",
}


def template_of_previews(
    name: str, app: App, settings: Settings, *, foundation: Foundation, stores: Stores, processes: Processes
) -> str:
    """Its name. It is made anew when the app's image or the seed is another one: after the environment's own migration.

    One task, its containers one after the other: the kit opens an empty database with the owner's password, the app's
    release command and its seed fill it as a role that gets at no other, the kit closes it.
    """
    owner, image, facts = stores.database_step, processes.database_image, foundation.database
    if owner is None or image is None or facts is None:
        raise AssertionError("app.py asks for a database where there is a seed")
    base = naming.identifier(name)
    template, seed = f"{base}_template", f"{base}_seed"
    app, passwords = app.in_a_preview(), stores.secrets.passwords("previews-seed", "seed", values=["cache"])

    values = _values(app, stores, passwords, database=f"{template}_next", user=seed)
    kit = _kit(stores.values, owner, image, {"TEMPLATE": template, "SEED": seed}, passwords.reference("seedVerifier"))
    fills = processes.one_off_container(app, values)
    steps = [
        kit.but(name="open", environment={**kit.environment, "ACTION": "open"}),
        *([fills.but(name="migrate")] if app.release else []),
        fills.but(name="seed", command=app.preview_seed),
        kit.but(name="close", environment={**kit.environment, "ACTION": "close"}),
    ]
    before = ["", *(step.name for step in steps)]
    chain = [step.but(after=last, essential=step is steps[-1]) for step, last in zip(steps, before, strict=False)]

    rollout = contract.ROLLOUTS[settings.deploy_profile]
    sizes = {"cpu": contract.RELEASE_CPU, "memory": contract.RELEASE_MEMORY}
    task = TaskArgs.of(settings, foundation, rollout, containers=chain, **sizes)
    place = Place(foundation.network, foundation.cluster, [facts])
    made = ReleaseStep(f"{name}-template", ReleaseStepArgs(place, task))
    processes.template = made.task
    step = Step(
        made.task.arn,
        foundation.cluster.arn,
        foundation.network.private_subnet_ids,
        made.security_group_id,
        timeout=settings.release_timeout_minutes * 60,
        told=TOLD,
    )
    opts = pulumi.ResourceOptions(parent=made, depends_on=[*made.ready, *processes.after])
    done = migrated(f"{name}-template", step, processes.room, opts)
    oldest_revisions_go(done.urn, cluster_arn=foundation.cluster.arn, task_definition_arn=made.task.arn)
    return template


def _values(app: App, stores: Stores, passwords: Group, *, database: str, user: str) -> Values:
    """The environment's, with the template in the place of its database; its cache is out of reach."""
    host, port = (stores.values.plain[key] for key in ("database.host", "database.port"))
    plain = {**stores.values.plain, "database.name": database, "database.user": user, **CACHE_BESIDE}
    own = {"database.password": passwords.reference("seed"), "cache.password": passwords.reference("cache")}
    urls = {
        "database.url": database_url(user, passwords.value("seed"), host, port, database),
        "cache.url": pulumi.Output.format(
            "redis://:{0}@127.0.0.1:{1}/0", passwords.value("cache"), contract.CACHE_PORT
        ),
    }
    asked = {key: url for key, url in urls.items() if key in app.variables.values()}
    group = stores.secrets.following("previews-seed-urls", asked) if asked else None
    own |= {key: group.reference(key) for key in asked} if group else {}
    return Values(plain, {**stores.values.secret, **own}, stores.values.region, stores.values.trusted_proxies)


def _kit(
    values: Values, database: DatabaseStep, image: pulumi.Input[str], asked: dict[str, str], verifier: SecretValue
) -> Container:
    """psql as the server's owner, without any code of the app."""
    plain, owner = owner_of_the_database(values, database)
    tls = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": contract.DATABASE_CA_PATH}
    environment = {**plain, **tls, "SCRIPT": "template.sql", **asked}
    return Container("kit", image, environment=environment, secrets={**owner, "SEED_VERIFIER": verifier})
