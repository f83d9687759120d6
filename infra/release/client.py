"""AWS for the release: with the account, region, keys, roles and endpoints of the stack's own provider.

Whatever profile or account the shell has that `up` is started from, what is checked and migrated is in the account that
the resources are in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, cached_property
from typing import Any, Protocol
from urllib.parse import urlsplit

import boto3
import botocore.session
import pulumi
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import ProfileNotFound
from botocore.loaders import create_loader

from infra.errors import SlipwayError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LOCAL_ACCOUNT = "000000000000"
"""The account of the AWS on this machine; AWS gives it to nobody."""
UNITS = {"h": "hours", "m": "minutes", "s": "seconds"}


class Clients(Protocol):
    """Whatever makes boto3 clients of one account and region."""

    def client(self, service: str) -> Any:
        """A client of a service."""
        ...


@dataclass(frozen=True)
class Aws:
    """Clients of one account and region."""

    session: Any
    """A boto3 session."""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Service -> URL, where the provider has another than AWS's."""
    proxies: Mapping[str, str] = field(default_factory=dict)
    attempts: int = 5
    """How often a call is tried that AWS does not answer, or throttles."""
    made: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Service -> its client: to make one takes longer than to ask it."""

    def client(self, service: str) -> Any:
        """A client of a service."""
        if service not in self.made:
            retries: Any = {"mode": "standard", "max_attempts": self.attempts}
            config = Config(retries=retries, proxies=dict(self.proxies) or None)
            self.made[service] = self.session.client(service, endpoint_url=self.endpoints.get(service), config=config)
        return self.made[service]

    @cached_property
    def account(self) -> str:
        """The account that these credentials belong to."""
        return str(self.client("sts").get_caller_identity()["Account"])

    def of(self, arn: str) -> Aws:
        """Itself, after looking that it is where `arn` is.

        Raises `SlipwayError` when its account or its region is another one.
        """
        _, _, _, region, account, *_ = arn.split(":")
        if account == LOCAL_ACCOUNT:
            url = self.client("ecs").meta.endpoint_url
            if urlsplit(url).hostname not in LOOPBACK:
                raise SlipwayError(
                    f"This stack is in the AWS of this machine, and these calls would go to {url}.",
                    "Unset the AWS_* variables of your shell that say so.",
                )
        if self.account != account:
            raise SlipwayError(
                f"The stack is in the account {account}, and these credentials are of {self.account}.",
                "Give the stack's own: aws:profile, aws:assumeRoles, or the variables AWS_*.",
            )
        if self.session.region_name != region:
            raise SlipwayError(
                f"The stack is in {region}, and the release would look in {self.session.region_name}.",
                f"pulumi config set aws:region {region}",
            )
        return self


def session() -> Aws:
    """Of the stack whose program runs: with its configuration `aws:*`.

    Raises `pulumi.RunError`, which the engine shows without a stack trace, for a profile that does not exist.
    """
    from pulumi.runtime.config import CONFIG

    try:
        return configured({key[4:]: value for key, value in CONFIG.get().items() if key.startswith("aws:")})
    except SlipwayError as error:
        raise pulumi.RunError(str(error)) from None


def configured(given: Mapping[str, Any]) -> Aws:
    """As the provider's configuration says it: its keys without `aws:`, lists and maps as themselves or as JSON.

    What it leaves out is looked for where boto3 and the provider both look: environment, shared files, the host's role.
    """
    config = {key: _parsed(value) for key, value in given.items()}
    source = botocore.session.Session(profile=config.get("profile"))
    for key, variable in (("sharedConfigFiles", "config_file"), ("sharedCredentialsFiles", "credentials_file")):
        if config.get(key):
            source.set_config_variable(variable, config[key][0])
    try:
        source.get_scoped_config()
    except ProfileNotFound as error:
        raise SlipwayError(
            f"{error}.", "Make it (aws configure --profile NAME), or change aws:profile or AWS_PROFILE."
        ) from None
    _knowing_services(source)
    if config.get("customCaBundle"):
        source.set_config_variable("ca_bundle", config["customCaBundle"])
    if config.get("region"):
        source.set_config_variable("region", config["region"])
    if config.get("accessKey"):
        source.set_credentials(config["accessKey"], config.get("secretKey", ""), config.get("token"))
    endpoints = {service: url for each in config.get("endpoints") or [] for service, url in each.items()}
    proxies = {scheme: config[key] for scheme, key in (("http", "httpProxy"), ("https", "httpsProxy")) if key in config}
    roles = config.get("assumeRoles") or [role for role in (config.get("assumeRole"),) if role]
    for role in roles:
        source = _assumed(source, role, endpoints.get("sts"))
    found = boto3.Session(botocore_session=source)
    if config.get("allowedAccountIds") == [LOCAL_ACCOUNT]:
        found.events.register_first("before-send", _refuse_what_leaves_this_machine)
    return Aws(found, endpoints, proxies)


def _knowing_services(session: Any) -> None:
    """Give a session AWS's descriptions of its services, which are read once for all: each hook of a program opens
    one."""
    session.register_component("data_loader", _descriptions(session.get_config_variable("data_path")))


@cache
def _descriptions(folder: str | None) -> Any:
    return create_loader(folder)


def _refuse_what_leaves_this_machine(request: Any, **_: Any) -> None:
    """The last moment before a request is sent, when its address can change no more, whatever has made it."""
    host = urlsplit(request.url).hostname or ""
    if host not in LOOPBACK and not host.endswith(".localhost"):
        raise RuntimeError(
            f"this stack is in the AWS of this machine, and a request would have gone to {host}. AWS_ENDPOINT_URL has"
            ' to be the local AWS: eval "$(.venv/bin/slipway env)", or use `make up`'
        )


def _assumed(source: Any, role: Mapping[str, Any], endpoint: str | None) -> Any:
    """A session in a role; its credentials are renewed when they run out."""
    names = {
        "sessionName": "RoleSessionName",
        "externalId": "ExternalId",
        "policy": "Policy",
        "sourceIdentity": "SourceIdentity",
    }
    more: dict[str, Any] = {theirs: role[ours] for ours, theirs in names.items() if role.get(ours)}
    if role.get("duration"):
        more["DurationSeconds"] = seconds(role["duration"])
    if role.get("policyArns"):
        more["PolicyArns"] = [{"arn": arn} for arn in role["policyArns"]]
    if role.get("tags"):
        more["Tags"] = [{"Key": key, "Value": value} for key, value in role["tags"].items()]
    if role.get("transitiveTagKeys"):
        more["TransitiveTagKeys"] = role["transitiveTagKeys"]
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=lambda service, **given: source.create_client(service, endpoint_url=endpoint, **given),
        source_credentials=source.get_credentials(),
        role_arn=role["roleArn"],
        extra_args=more,
    )
    assumed = botocore.session.Session()
    _knowing_services(assumed)
    assumed.set_config_variable("region", source.get_config_variable("region"))
    # botocore's own way to a role from keys that are not in a file: it has no public one.
    vars(assumed)["_credentials"] = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    return assumed


def seconds(duration: str) -> int:
    """The seconds of a duration as the provider writes one: `1h30m`."""
    found, number = timedelta(), ""
    for letter in duration:
        if letter.isdigit():
            number += letter
        elif letter in UNITS and number:
            found, number = found + timedelta(**{UNITS[letter]: int(number)}), ""
        else:
            raise SlipwayError(f"aws:assumeRoles: {duration!r} is no duration.", "Write it as 1h, 30m or 1h30m.")
    return int(found.total_seconds())


def _parsed(value: Any) -> Any:
    """Pulumi hands lists and maps to a program as JSON."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        return json.loads(value)
    return value
