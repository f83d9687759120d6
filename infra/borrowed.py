"""What holds a preview's data: a database of its own in its environment's server, Redis beside the app, one secret."""

from __future__ import annotations

from operator import itemgetter
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pulumi
import pulumi_aws as aws

from infra import contract
from infra.app import App
from infra.components.secrets import Group, Secrets
from infra.components.task import Container
from infra.containers import CACHE_BESIDE, Values, database_url, stack_values
from infra.errors import SlipwayError
from infra.foundation import Foundation, SecretValue
from infra.release.preview_database import database_name
from infra.settings import Settings

OWN = "own"
"""The one secret's name."""
CACHE = "cache"
DATABASE_URL = "database.url"
"""Among a preview's configured secrets, that of a database which is there already."""


class Borrowed:
    """A preview's stores and what they give the app; the secret is made as it is constructed."""

    verifier: pulumi.Output[str] | None = None
    """Of the database role's password; None where the app needs no database."""
    password: SecretValue | None = None
    """Where that password is."""
    cache: Container | None = None
    """Runs beside the app; None where it needs no cache."""
    values: Values

    def __init__(
        self,
        name: str,
        app: App,
        settings: Settings,
        *,
        foundation: Foundation,
        secrets: Secrets,
        host: pulumi.Input[str],
    ) -> None:
        generated = [variable for variable, value in app.variables.items() if value == "generated"]
        self._own = own = secrets.passwords(OWN, "database", values=[*generated, CACHE])
        self._plain = stack_values(name, settings, host)
        self._secret: dict[str, SecretValue] = {variable: own.reference(variable) for variable in generated}
        self._urls: dict[str, pulumi.Output[str]] = {}
        self._given = settings.configured_secrets()
        if DATABASE_URL in self._given:
            self._use_external_database(settings, self._given.pop(DATABASE_URL))
        elif foundation.database:
            self._use_database(app, settings, foundation)
        if CACHE in app.stores and foundation.previews:
            self._run_cache(app, foundation.previews.cache_image)
        self._more(app, settings, secrets)
        self.values = Values(
            plain=self._plain,
            secret=self._secret,
            region=aws.get_region_output().region,
            trusted_proxies=pulumi.Output.from_input(foundation.network.public_cidrs).apply(_joined),
        )

    def _use_database(self, app: App, settings: Settings, foundation: Foundation) -> None:
        facts, own, name = foundation.database, self._own, database_name(pulumi.get_stack())
        if facts is None:
            return
        # Another stack's numbers come as 5433.0.
        port = pulumi.Output.from_input(facts.endpoint_port).apply(lambda number: str(int(number)))
        self.verifier = own.value("databaseVerifier")
        self._plain |= {
            "database.host": facts.host,
            "database.port": port,
            "database.name": name,
            "database.user": name,
            "database.ca": contract.DATABASE_CA_PATH,
            "database.pool": str(settings.database_pool_size),
        }
        self.password = self._secret["database.password"] = own.reference("database")
        self._urls["database.url"] = database_url(name, own.value("database"), facts.host, port, name)

    def _use_external_database(self, settings: Settings, url: pulumi.Output[str]) -> None:
        """Nobody makes it, and nobody drops it. Only its password is a secret; its server is verified."""
        parts = pulumi.Output.unsecret(url.apply(without_password))
        names = ("host", "port", "name", "user", "ca")
        self._plain |= {f"database.{name}": parts.apply(itemgetter(name)) for name in names}
        self._plain["database.pool"] = str(settings.database_pool_size)
        self._urls |= {
            DATABASE_URL: url,
            "database.password": url.apply(lambda text: unquote(urlsplit(text).password or "")),
        }

    def _run_cache(self, app: App, image: pulumi.Input[str]) -> None:
        self.cache = Container(CACHE, image, secrets={"REDIS_PASSWORD": self._own.reference(CACHE)})
        self._plain |= CACHE_BESIDE
        self._secret["cache.password"] = self._own.reference(CACHE)
        self._urls["cache.url"] = pulumi.Output.format(
            "redis://:{0}@127.0.0.1:{1}/0", self._own.value(CACHE), contract.CACHE_PORT
        )

    def _more(self, app: App, settings: Settings, secrets: Secrets) -> None:
        """A second secret, only where something follows the configuration: URLs asked for, configured values."""
        given = self._given
        missing = app.unconfigured(given)
        if missing:
            raise SlipwayError(
                f"stacks/app.yaml asks for the secret {', '.join(missing)}, which a preview does not have.",
                f"Give previews a value of their own in stacks/Pulumi.preview.yaml: secrets: {{{missing[0]}: ...}}",
            )
        asked = {name: url for name, url in self._urls.items() if name in app.variables.values()}
        known = {name: value for name, value in given.items() if name in app.secrets}
        if not asked and not known:
            return
        group: Group = secrets.following("more", {**asked, **known})
        self._secret |= {name: group.reference(name) for name in [*asked, *known]}


def without_password(url: str) -> dict[str, str]:
    """What of a database's URL is no secret, by the kit's names. Raises `pulumi.RunError`, without it, for none."""
    parts = urlsplit(url)
    name, authority = parts.path.strip("/"), parse_qs(parts.query).get("sslrootcert", [contract.SYSTEM_CA_PATH])[0]
    if parts.scheme not in ("postgres", "postgresql") or not all(
        (parts.hostname, name, parts.username, parts.password)
    ):
        raise pulumi.RunError(
            "The preview's database URL is none: postgresql://user:password@host:5432/name, and ?sslrootcert=PATH "
            "where no public authority has signed its certificate"
        )
    found = {"host": parts.hostname, "port": parts.port or 5432, "name": name, "user": parts.username, "ca": authority}
    return {key: unquote(str(value)) for key, value in found.items()}


def _joined(networks: Any) -> str:
    return ",".join(networks)
