"""Creates a preview's data stores: a database in its environment's server, a Redis sidecar, one secret."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import parse_qs, unquote, urlsplit

import pulumi
import pulumi_aws as aws

from slipway.components.outputs import DataStoreOutputs, EnvironmentOutputs, SecretReference
from slipway.components.secrets import Secrets
from slipway.components.task_definition import ContainerDefinition
from slipway.config import constants
from slipway.config.app_spec.app import DATABASE_URLS
from slipway.config.errors import SlipwayError
from slipway.program.injected_values import (
    CacheValues,
    DatabaseValues,
    InjectedValues,
    cache_sidecar_url,
    cache_sidecar_values,
    database_urls,
    stack_values,
)
from slipway.program.stack_context import StackContext
from slipway.release.preview_database import preview_database_name

PREVIEW_SECRET_NAME = "own"  # noqa: S105 - a name, no value
"""Name of the preview's secret."""
CACHE = "cache"
DATABASE_KEY = "database"
"""Key of the database password in the preview's secret."""
EXTERNAL_DATABASE_URL = "database.url"
"""Name of a preview's configured secret with the URL of an external database."""
EXTERNAL_DATABASE_PASSWORD = "database.password"  # noqa: S105 - a name, no value


class PreviewData:
    """A preview's stores and the values that they inject. The constructor creates its secrets."""

    verifier: pulumi.Output[str] | None = None
    """SCRAM verifier of its database role; None if the kit creates no database."""
    password: SecretReference | None = None
    """Password of its database role; None if the kit creates no database."""
    cache: ContainerDefinition | None = None
    """Redis sidecar; None for an app that needs no cache."""
    values: InjectedValues

    def __init__(
        self,
        context: StackContext,
        *,
        environment_outputs: EnvironmentOutputs,
        secrets: Secrets,
        host: pulumi.Input[str],
    ) -> None:
        self._context = context
        app = context.app
        generated = [variable for variable, value in app.variables.items() if value == "generated"]
        self._own_secret = secrets.create_passwords(PREVIEW_SECRET_NAME, DATABASE_KEY, values=[*generated, CACHE])
        configured = context.settings.configured_secrets()
        self._external_url = configured.pop(EXTERNAL_DATABASE_URL, None)
        self._secret_values: dict[str, pulumi.Output[str]] = {}
        database: DatabaseValues | None = None
        cache: CacheValues | None = None
        if self._external_url is not None:
            database = self._external_database_values(self._external_url)
        elif environment_outputs.database:
            database = self._preview_database_values(environment_outputs.database)
        if CACHE in app.stores and environment_outputs.previews:
            cache = self._create_cache_sidecar(environment_outputs.previews.cache_image)
        references = self._create_second_secret(secrets, configured)
        if database:
            password = database.password or references.get(EXTERNAL_DATABASE_PASSWORD)
            urls = {name: references[name] for name in DATABASE_URLS if name in references}
            database = replace(database, password=password, urls=urls)
        if cache:
            cache = replace(cache, url=references.get("cache.url"))
        self.values = InjectedValues(
            stack=stack_values(context, host),
            region=aws.get_region_output().region,
            trusted_proxies=pulumi.Output.from_input(environment_outputs.network.public_cidrs).apply(
                lambda cidrs: ",".join(str(cidr) for cidr in cidrs)
            ),
            database=database,
            cache=cache,
            generated={variable: self._own_secret.reference(variable) for variable in generated},
            configured={name: references[name] for name in configured if name in references},
        )

    def _preview_database_values(self, address: DataStoreOutputs) -> DatabaseValues:
        """Returns the preview's own database in the environment's server; its release run creates it."""
        name = preview_database_name(pulumi.get_stack())
        # Pulumi returns the numbers of another stack as 5433.0.
        port = pulumi.Output.from_input(address.endpoint_port).apply(lambda number: str(int(number)))
        self.verifier = self._own_secret.value("databaseVerifier")
        self.password = self._own_secret.reference(DATABASE_KEY)
        self._secret_values |= database_urls(
            DATABASE_URLS,
            user=name,
            password=self._own_secret.value(DATABASE_KEY),
            host=address.host,
            port=port,
            name=name,
        )
        return DatabaseValues(
            host=address.host,
            port=port,
            name=name,
            user=name,
            ca=constants.DATABASE_CA_PATH,
            pool=str(self._context.settings.database_pool_size),
            password=self.password,
        )

    def _external_database_values(self, url: pulumi.Output[str]) -> DatabaseValues:
        """Returns an external database's values: the kit neither creates nor drops it. Its certificate is verified."""
        self._secret_values |= {name: url.apply(partial(_with_driver, name)) for name in DATABASE_URLS}
        self._secret_values[EXTERNAL_DATABASE_PASSWORD] = url.apply(lambda text: unquote(urlsplit(text).password or ""))
        address = pulumi.Output.unsecret(url.apply(parse_external_database_url))
        return DatabaseValues(
            host=address.apply(lambda parsed: parsed.host),
            port=address.apply(lambda parsed: parsed.port),
            name=address.apply(lambda parsed: parsed.name),
            user=address.apply(lambda parsed: parsed.user),
            ca=address.apply(lambda parsed: parsed.ca),
            pool=str(self._context.settings.database_pool_size),
            password=None,
        )

    def _create_cache_sidecar(self, image: pulumi.Input[str]) -> CacheValues:
        password = self._own_secret.reference(CACHE)
        self.cache = ContainerDefinition(CACHE, image, secrets={"REDIS_PASSWORD": password})
        self._secret_values["cache.url"] = cache_sidecar_url(self._own_secret.value(CACHE))
        return cache_sidecar_values(password, url=None)

    def _create_second_secret(
        self, secrets: Secrets, configured: dict[str, pulumi.Output[str]]
    ) -> dict[str, SecretReference]:
        """Creates a second secret for values from the configuration: URLs that app.yaml uses, and configured secrets.

        Raises:
            SlipwayError: A required secret is not configured.
        """
        app = self._context.app
        missing = app.missing_secrets(configured)
        if missing:
            raise SlipwayError(
                f"stacks/app.yaml requires the secret {', '.join(missing)}, which is not configured for previews.",
                f"Set a value for previews in stacks/Pulumi.preview.yaml: secrets: {{{missing[0]}: ...}}",
            )
        requested = {name: value for name, value in self._secret_values.items() if name in app.variables.values()}
        used = {name: value for name, value in configured.items() if name in app.secrets}
        values = {**requested, **used}
        if not values:
            return {}
        bundle = secrets.create_from_values("more", values)
        return {name: bundle.reference(name) for name in values}


@dataclass(frozen=True)
class ExternalDatabase:
    """Address of an external database: the part of its URL that is not secret."""

    host: str
    port: str
    name: str
    user: str
    ca: str
    """Path of the certificate authority in the container."""


def _with_driver(name: str, url: str) -> str:
    """Returns a libpq URL as the value `name` of app.yaml has it: SQLAlchemy's asyncpg takes no libpq parameters."""
    driver = name.removeprefix(EXTERNAL_DATABASE_URL).removeprefix(".")
    if not driver:
        return url
    address = url.partition("://")[2]
    return f"postgresql+{driver}://{address.partition('?')[0] if driver == 'asyncpg' else address}"


def parse_external_database_url(url: str) -> ExternalDatabase:
    """Returns the address in a database's URL.

    Raises:
        pulumi.RunError: The URL is invalid. The error does not contain it.
    """
    parts = urlsplit(url)
    name = parts.path.strip("/")
    host = parts.hostname
    user = parts.username
    if parts.scheme not in ("postgres", "postgresql") or not (host and name and user and parts.password):
        raise pulumi.RunError(
            "The preview's database URL is not of the form postgresql://user:password@host:5432/name. Add "
            "?sslrootcert=PATH if no public authority has signed its certificate."
        )
    ca = parse_qs(parts.query).get("sslrootcert", [constants.SYSTEM_CA_PATH])[0]
    return ExternalDatabase(
        host=host,
        port=str(parts.port or 5432),
        name=unquote(name),
        user=unquote(user),
        ca=ca,
    )
