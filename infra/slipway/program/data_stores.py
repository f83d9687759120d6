"""Creates the data stores that the app needs, and returns the values that they inject."""

from __future__ import annotations

from urllib.parse import quote

import pulumi
import pulumi_aws as aws

from slipway.components.alarms import HasAlarms
from slipway.components.backup_copies import BackupCopies
from slipway.components.iam_roles import Statement
from slipway.components.outputs import DataStoreOutputs, NetworkOutputs, SecretReference
from slipway.components.rds_database import RdsDatabase
from slipway.components.redis_cache import RedisCache
from slipway.components.s3_bucket import S3Bucket
from slipway.components.secrets import SecretBundle, Secrets
from slipway.components.sqs_queue import SqsQueue
from slipway.config import constants, names
from slipway.config.app_spec.app import DATABASE_URLS, FORMER_PREFIX
from slipway.program.component_args.data import (
    backup_copies_args,
    rds_database_args,
    redis_cache_args,
    s3_bucket_args,
    sqs_queue_args,
)
from slipway.program.database_roles import DatabaseRole, DatabaseRoles
from slipway.program.injected_values import (
    BucketValues,
    CacheValues,
    DatabaseValues,
    InjectedValues,
    QueueValues,
    database_urls,
    stack_values,
)
from slipway.program.stack_context import StackContext

APP_ROLE_KEY = "app"
"""Key of the processes' database password in its secret."""
RELEASE_ROLE_KEY = "release"
"""Key of the release task's database password in its secret."""
CACHE_URL_KEY = "cache"
"""Key of the cache's URL in the secret of URLs."""


def _url_key(name: str, role: str) -> str:
    """Returns the key of a database URL in the secret of URLs: `database-app`, `database-app-asyncpg`."""
    driver = name.removeprefix(DATABASE_URLS[0]).replace(".", "-")
    return f"database-{role}{driver}"


class DataStores:
    """Database, cache, queue and bucket of an environment. The constructor creates them."""

    database: RdsDatabase | None = None
    database_roles: DatabaseRoles | None = None
    cache: RedisCache | None = None
    queue: SqsQueue | None = None
    bucket: S3Bucket | None = None
    secrets: Secrets
    """Secrets of their passwords."""
    values: InjectedValues

    def __init__(
        self, context: StackContext, *, network: NetworkOutputs, key_arn: pulumi.Input[str], secrets: Secrets
    ) -> None:
        self._context = context
        self._network = network
        self._key_arn = key_arn
        self.secrets = secrets
        stores = context.app.stores
        generated = self._create_generated_values()
        if "database" in stores:
            self._create_database()
        if "cache" in stores:
            self._create_cache()
        if "queue" in stores:
            self.queue = SqsQueue(context.name, sqs_queue_args(context.app))
        if "bucket" in stores:
            self.bucket = S3Bucket(f"{context.name}-bucket", s3_bucket_args(context.settings))
        urls = self._create_url_secret()
        self.values = InjectedValues(
            stack=stack_values(context, context.settings.domain or "*"),
            region=aws.get_region_output().region,
            trusted_proxies=pulumi.Output.all(*network.public_cidrs).apply(",".join),
            database=self._database_values(APP_ROLE_KEY, urls),
            release_database=self._database_values(RELEASE_ROLE_KEY, urls),
            cache=self._cache_values(urls),
            queue=self._queue_values(),
            bucket=BucketValues(name=self.bucket.bucket) if self.bucket else None,
            generated=generated,
            configured=self._create_configured_secrets(),
        )

    @property
    def database_outputs(self) -> DataStoreOutputs | None:
        """Returns the database's address; None if the app needs none."""
        return self.database.outputs if self.database else None

    @property
    def cache_outputs(self) -> DataStoreOutputs | None:
        """Returns the cache's address; None if the app needs none."""
        return self.cache.outputs if self.cache else None

    @property
    def alarm_sources(self) -> list[HasAlarms]:
        """Returns the stores that declare alarms."""
        stores: list[HasAlarms | None] = [self.database, self.cache, self.queue]
        return [store for store in stores if store]

    @property
    def backup_source_arn(self) -> pulumi.Input[str]:
        """Returns the ARN of the database whose backups are copied to another region; empty for none."""
        return self.database.arn if self.database and self._context.settings.backup_copy_region else ""

    def statements(self, process: str) -> list[Statement]:
        """Returns the IAM statements of a process, or `release`, for the queue and the bucket, as app.yaml declares."""
        statements: list[Statement] = []
        for need in self._context.app.needs_of(process):
            store, _, side = need.partition(".")
            if self.queue and store == "queue":
                statements.append(self.queue.send_statement if side == "send" else self.queue.consume_statement)
            if self.bucket and store == "bucket" and side in ("", "read"):
                statements += self.bucket.read_statements
            if self.bucket and store == "bucket" and side in ("", "write"):
                statements += self.bucket.write_statements
        return statements

    def _create_generated_values(self) -> dict[str, SecretReference]:
        generated: dict[str, SecretReference] = {}
        for variable, value in self._context.app.variables.items():
            if value != "generated":
                continue
            bundle = self.secrets.create_generated_value(variable.lower().replace("_", "-"))
            generated[variable] = bundle.reference()
            former = bundle.former()
            if former:
                generated[FORMER_PREFIX + variable] = former
        return generated

    def _create_database(self) -> None:
        name = self._context.name
        settings = self._context.settings
        self.database = RdsDatabase(name, rds_database_args(settings, network=self._network, key_arn=self._key_arn))
        if settings.backup_copy_region:
            BackupCopies(name, backup_copies_args(settings, key_arn=self._key_arn, database_arn=self.database.arn))
        self._database_passwords = self.secrets.create_passwords("database", APP_ROLE_KEY, RELEASE_ROLE_KEY)
        self.database_roles = DatabaseRoles(
            owner=self._role_name("owner"),
            users=self._role_name("users"),
            readers=self._role_name("readers"),
            release=self._role_name(RELEASE_ROLE_KEY, settings.secrets_generation),
            app=self._role_name(APP_ROLE_KEY, settings.secrets_generation),
            master_secret_arn=self.database.master_secret_arn,
            release_verifier=self._database_passwords.reference("releaseVerifier"),
            app_verifier=self._database_passwords.reference("appVerifier"),
            metrics=self._create_metrics_role(),
            retired=[
                self._role_name(role, generation)
                for generation in range(1, settings.secrets_retired + 1)
                for role in (APP_ROLE_KEY, RELEASE_ROLE_KEY, "metrics")
            ],
        )

    def _role_name(self, role: str, generation: int | None = None) -> str:
        """Returns a role's name. Generations do not share roles: tasks of the previous one run during a rollout."""
        name = f"{names.postgres_identifier(self._context.name)}_{role}"
        return name if generation is None else f"{name}_{generation}"

    def _create_metrics_role(self) -> DatabaseRole | None:
        if not (self._context.settings.monitoring and self._context.app.metrics_port):
            return None
        bundle = self.secrets.create_passwords("metrics", "metrics")
        return DatabaseRole(
            user=self._role_name("metrics", self._context.settings.secrets_generation),
            password=bundle.reference("metrics"),
            verifier=bundle.reference("metricsVerifier"),
        )

    def _create_cache(self) -> None:
        self._cache_token = self.secrets.create_generated_value("cache")
        self.cache = RedisCache(
            self._context.name,
            redis_cache_args(
                self._context.settings,
                network=self._network,
                key_arn=self._key_arn,
                auth_token=self._cache_token.value(),
            ),
        )

    def _create_url_secret(self) -> SecretBundle | None:
        """Creates the secret with the URLs of app.yaml, which contain passwords."""
        requested = set(self._context.app.variables.values())
        urls: dict[str, pulumi.Output[str]] = {}
        if self.database and self.database_roles:
            users = {APP_ROLE_KEY: self.database_roles.app, RELEASE_ROLE_KEY: self.database_roles.release}
            address = self.database.outputs
            for key, user in users.items():
                role_urls = database_urls(
                    requested,
                    user=user,
                    password=self._database_passwords.value(key),
                    host=address.host,
                    port=address.endpoint_port,
                    name=self.database.database_name,
                )
                urls |= {_url_key(name, key): url for name, url in role_urls.items()}
        if self.cache and "cache.url" in requested:
            urls[CACHE_URL_KEY] = pulumi.Output.format(
                "rediss://:{0}@{1}:{2}/0?ssl_cert_reqs=required&ssl_ca_certs={3}",
                self._cache_token.value(),
                self.cache.outputs.host,
                self.cache.outputs.endpoint_port,
                quote(self._cache_ca, safe="/"),
            )
        return self.secrets.create_from_values("urls", urls) if urls else None

    @property
    def _cache_ca(self) -> str:
        return constants.CACHE_CA_PATH if self._context.settings.cache_ca else constants.SYSTEM_CA_PATH

    def _database_values(self, role: str, urls: SecretBundle | None) -> DatabaseValues | None:
        if self.database is None or self.database_roles is None:
            return None
        requested = [name for name in DATABASE_URLS if name in self._context.app.variables.values()]
        return DatabaseValues(
            host=self.database.outputs.host,
            port=pulumi.Output.format("{0}", self.database.outputs.endpoint_port),
            name=self.database.database_name,
            user=self.database_roles.app if role == APP_ROLE_KEY else self.database_roles.release,
            ca=constants.DATABASE_CA_PATH,
            pool=str(self._context.settings.database_pool_size),
            password=self._database_passwords.reference(role),
            urls={name: urls.reference(_url_key(name, role)) for name in requested} if urls else {},
        )

    def _cache_values(self, urls: SecretBundle | None) -> CacheValues | None:
        if self.cache is None:
            return None
        asks_for_url = "cache.url" in self._context.app.variables.values()
        return CacheValues(
            host=self.cache.outputs.host,
            port=pulumi.Output.format("{0}", self.cache.outputs.endpoint_port),
            ca=self._cache_ca,
            tls="true",
            password=self._cache_token.reference(),
            url=urls.reference(CACHE_URL_KEY) if urls and asks_for_url else None,
        )

    def _queue_values(self) -> QueueValues | None:
        if self.queue is None:
            return None
        return QueueValues(url=self.queue.url, name=self.queue.name, timeout=str(self._context.app.job_timeout))

    def _create_configured_secrets(self) -> dict[str, SecretReference]:
        """Stores the configured secrets; `check_configured_secrets` has compared them with app.yaml."""
        configured = self._context.settings.configured_secrets()
        if not configured:
            return {}
        bundle = self.secrets.create_from_values("configured", configured)
        return {name: bundle.reference(name) for name in configured}
