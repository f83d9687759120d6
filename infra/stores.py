"""What holds a stack's data: the stores that the app needs and no other, and the values that they give it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import pulumi
import pulumi_aws as aws

from infra import contract, naming
from infra.app import FORMER, App
from infra.components.alarms import Watched
from infra.components.backup_copies import BackupCopies, BackupCopiesArgs
from infra.components.cache import Cache, CacheArgs
from infra.components.database import Database, DatabaseArgs
from infra.components.queue import Queue, QueueArgs
from infra.components.roles import Statement
from infra.components.secrets import Secrets
from infra.components.storage import Storage, StorageArgs
from infra.containers import DatabaseStep, Login, Values, database_url, stack_values
from infra.foundation import NetworkFacts, SecretValue, StoreFacts
from infra.settings import Settings


class Stores:
    """An environment's stores, made as it is constructed."""

    database_facts: StoreFacts | None = None
    cache_facts: StoreFacts | None = None
    database_step: DatabaseStep | None = None
    queue: Queue | None = None
    bucket: Storage | None = None
    copied_arn: pulumi.Input[str] = ""
    """What AWS Backup copies to another region; empty for nothing."""
    secrets: Secrets
    """Where its passwords are."""
    watched: list[Watched]
    values: Values

    def __init__(
        self,
        name: str,
        app: App,
        settings: Settings,
        *,
        network: NetworkFacts,
        key_arn: pulumi.Input[str],
        secrets: Secrets,
    ) -> None:
        self._app, self._settings, self.secrets = app, settings, secrets
        self.watched = []
        self._urls: dict[str, pulumi.Output[str]] = {}
        # Without a domain the load balancer's own name is good enough.
        self._plain = stack_values(name, settings, settings.domain or "*")
        self._secret: dict[str, SecretValue] = {}
        for variable, value in app.variables.items():
            if value == "generated":
                group = secrets.generated(variable.lower().replace("_", "-"))
                self._secret[variable] = group.reference()
                if former := group.former():
                    self._secret[FORMER + variable] = former
        self._for_release: dict[str, pulumi.Input[str]] = {}
        self._secret_for_release: dict[str, SecretValue] = {}
        if "database" in app.stores:
            self._make_database(name, network, key_arn)
        if "cache" in app.stores:
            self._make_cache(name, network, key_arn)
        if "queue" in app.stores:
            self.queue = Queue(name, QueueArgs(contract.visibility_seconds(app.job_timeout)))
            self.watched.append(self.queue)
            self._plain |= {"queue.url": self.queue.url, "queue.name": self.queue.name}
            self._plain["queue.timeout"] = str(app.job_timeout)
        if "bucket" in app.stores:
            self.bucket = Storage(f"{name}-bucket", StorageArgs.of(settings))
            self._plain["bucket.name"] = self.bucket.bucket
        self._make_urls()
        self._configure(app)
        self.values = Values(
            plain=self._plain,
            secret=self._secret,
            region=aws.get_region_output().region,
            trusted_proxies=pulumi.Output.all(*network.public_cidrs).apply(",".join),
            for_release=self._for_release,
            secret_for_release=self._secret_for_release,
        )

    def statements(self, process: str) -> list[Statement]:
        """What a process, or `release`, may do in AWS: as it needs queue and bucket."""
        found: list[Statement] = []
        for need in self._app.needs_of(process):
            store, _, side = need.partition(".")
            if self.queue and store == "queue":
                found.append(self.queue.send if side == "send" else self.queue.take)
            if self.bucket and store == "bucket":
                found += self.bucket.read if side in ("", "read") else []
                found += self.bucket.write if side in ("", "write") else []
        return found

    def _make_database(self, name: str, network: NetworkFacts, key_arn: pulumi.Input[str]) -> None:
        database = Database(name, DatabaseArgs.of(self._settings, network=network, key_arn=key_arn))
        self.watched.append(database)
        if self._settings.backup_copy_region:
            copies = BackupCopiesArgs.of(self._settings, key_arn=key_arn, database_arn=database.arn)
            BackupCopies(name, copies)
            self.copied_arn = database.arn
        self.database_facts = facts = database.facts
        passwords = self.secrets.passwords("database", "app", "release")
        base = naming.identifier(name)
        # Each generation logs in as users of its own: those of the one before live on while their tasks do.
        generation = self._settings.secrets_generation
        users = {"app": f"{base}_app_{generation}", "release": f"{base}_release_{generation}"}
        self.database_step = DatabaseStep(
            owner=f"{base}_owner",
            users=f"{base}_users",
            release=users["release"],
            app=users["app"],
            master_secret_arn=database.master_secret_arn,
            release_verifier=passwords.reference("releaseVerifier"),
            app_verifier=passwords.reference("appVerifier"),
            metrics=self._login_for_metrics(f"{base}_metrics_{generation}"),
            retired=[
                f"{base}_{user}_{number}"
                for number in range(1, self._settings.secrets_retired + 1)
                for user in ("app", "release", "metrics")
            ],
        )
        self._plain |= {
            "database.host": facts.host,
            "database.port": pulumi.Output.format("{0}", facts.endpoint_port),
            "database.name": database.database_name,
            "database.user": users["app"],
            "database.ca": contract.DATABASE_CA_PATH,
            "database.pool": str(self._settings.database_pool_size),
        }
        self._for_release["database.user"] = users["release"]
        self._secret["database.password"] = passwords.reference("app")
        self._secret_for_release["database.password"] = passwords.reference("release")
        if "database.url" in self._app.variables.values():
            for user, login in users.items():
                self._urls[f"database-{user}"] = database_url(
                    login, passwords.value(user), facts.host, facts.endpoint_port, database.database_name
                )

    def _login_for_metrics(self, user: str) -> Login | None:
        if not (self._settings.monitoring and self._app.metrics_port):
            return None
        password = self.secrets.passwords("metrics", "metrics")
        return Login(user, password.reference("metrics"), password.reference("metricsVerifier"))

    def _make_cache(self, name: str, network: NetworkFacts, key_arn: pulumi.Input[str]) -> None:
        token = self.secrets.generated("cache")
        args = CacheArgs.of(self._settings, network=network, key_arn=key_arn, auth_token=token.value())
        cache = Cache(name, args)
        self.watched.append(cache)
        self.cache_facts = facts = cache.facts
        authority = contract.CACHE_CA_PATH if self._settings.cache_ca else contract.SYSTEM_CA_PATH
        self._plain |= {
            "cache.host": facts.host,
            "cache.port": pulumi.Output.format("{0}", facts.endpoint_port),
            "cache.ca": authority,
            "cache.tls": "true",
        }
        self._secret["cache.password"] = token.reference()
        if "cache.url" in self._app.variables.values():
            self._urls["cache"] = pulumi.Output.format(
                "rediss://:{0}@{1}:{2}/0?ssl_ca_certs={3}",
                token.value(),
                facts.host,
                facts.endpoint_port,
                quote(authority, safe="/"),
            )

    def _make_urls(self) -> None:
        """URLs with a password in them are secrets, made of what was generated and where the store is."""
        if not self._urls:
            return
        urls = self.secrets.following("urls", self._urls)
        if "database-app" in self._urls:
            self._secret["database.url"] = urls.reference("database-app")
            self._secret_for_release["database.url"] = urls.reference("database-release")
        if "cache" in self._urls:
            self._secret["cache.url"] = urls.reference("cache")

    def _configure(self, app: App) -> None:
        """The secret variables that somebody has to give a value."""
        given: Mapping[str, pulumi.Output[str]] = self._settings.configured_secrets()
        missing = app.unconfigured(given)
        if missing:
            raise pulumi.RunError(
                f"stacks/app.yaml asks for the secret {', '.join(missing)}, which the stack does not have. "
                f"pulumi config set --secret --path 'secrets.{missing[0]}' VALUE"
            )
        unknown = [name for name in given if name not in app.secrets]
        if unknown:
            raise pulumi.RunError(
                f"The stack has the secret {', '.join(unknown)}, which stacks/app.yaml does not ask for. "
                f"Name it there under secrets, or: pulumi config rm --path 'secrets.{unknown[0]}'"
            )
        if given:
            configured = self.secrets.following("configured", given)
            self._secret |= {name: configured.reference(name) for name in given}
