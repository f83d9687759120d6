"""Opens boto3 sessions with the account, region, keys, roles and endpoints of a stack's own AWS provider.

So checks and migrations run in the account of the resources, regardless of the shell's AWS profile.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, cached_property
from typing import Any, Protocol
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import ProfileNotFound
from botocore.loaders import create_loader

from slipway.config.errors import SlipwayError
from slipway.config.local_aws import LOCAL_ACCOUNT, is_local_host
from slipway.release.aws_errors import describe_aws_error, record_service

DURATION_UNITS = {"h": "hours", "m": "minutes", "s": "seconds"}


class ClientFactory(Protocol):
    """Creates boto3 clients of one account and region."""

    def client(self, service: str) -> Any:
        """A client of a service."""
        ...


@dataclass(frozen=True)
class AwsSession:
    """Clients of one account and region."""

    session: Any
    """A boto3 session."""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Service -> URL, if it differs from AWS's own."""
    proxies: Mapping[str, str] = field(default_factory=dict)
    attempts: int = 5
    """Maximum attempts of a request that AWS throttles or does not answer."""
    clients: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Service -> client: creating one takes longer than a request."""
    turn: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)
    """Held while a client is created: botocore allows that in one thread at a time."""

    def client(self, service: str) -> Any:
        """A client of a service."""
        with self.turn:
            if service not in self.clients:
                retries: Any = {"mode": "standard", "max_attempts": self.attempts}
                config = Config(retries=retries, proxies=dict(self.proxies) or None)
                endpoint = self.endpoints.get(service)
                self.clients[service] = self.session.client(service, endpoint_url=endpoint, config=config)
            return self.clients[service]

    @cached_property
    def account(self) -> str:
        """The credentials' account."""
        return str(self.client("sts").get_caller_identity()["Account"])

    @property
    def profile(self) -> str:
        """The profile of AWS's shared files that was named; empty for none."""
        name = str(self.session.profile_name or "")
        return "" if name == "default" else name

    def of(self, arn: str) -> AwsSession:
        """Returns this session after comparing its account and region with those of `arn`.

        Raises `SlipwayError` if they differ.
        """
        _, _, _, region, account, *_ = arn.split(":")
        if account == LOCAL_ACCOUNT:
            url = self.client("ecs").meta.endpoint_url
            if not is_local_host(urlsplit(url).hostname or ""):
                raise SlipwayError(
                    f"This stack is on the local AWS, and its requests would go to {url}.",
                    "Unset the AWS_* variables of your shell, including AWS_IGNORE_CONFIGURED_ENDPOINT_URLS.",
                )
        if self.account != account:
            raise SlipwayError(
                f"The stack is in the account {account}, and the credentials are for {self.account} "
                f"(profile {self.profile or 'none'}).",
                "Use the stack's credentials: aws:profile, aws:assumeRoles, or the variables AWS_*.",
            )
        if self.session.region_name != region:
            raise SlipwayError(
                f"The stack is in {region}, and the session's region is {self.session.region_name}.",
                f"pulumi config set aws:region {region}",
            )
        return self


_program_sessions: WeakKeyDictionary[Any, AwsSession] = WeakKeyDictionary()
"""A running program's root resource -> its session."""


def open_stack_aws_session() -> AwsSession:
    """Returns a session with the configuration `aws:*` of the running program's stack: one for all hooks of a program.

    Raises `pulumi.RunError`, which Pulumi prints without a stack trace, for a profile that does not exist.
    """
    import pulumi  # here, for it costs commands half a second
    from pulumi.runtime.config import CONFIG
    from pulumi.runtime.settings import get_root_resource

    root = get_root_resource()
    if root in _program_sessions:
        return _program_sessions[root]
    try:
        aws = create_aws_session({key[4:]: value for key, value in CONFIG.get().items() if key.startswith("aws:")})
    except SlipwayError as error:
        raise pulumi.RunError(str(error)) from None
    if root is not None:
        _program_sessions[root] = aws
    return aws


def create_aws_session(provider_config: Mapping[str, Any]) -> AwsSession:
    """Creates a session from the provider's configuration: keys without `aws:`, lists and maps as such or as JSON.

    Missing values come from the sources of both boto3 and the provider: environment, shared files, the host's role.
    Raises `SlipwayError` for a profile that does not exist and for a malformed duration.
    """
    config = {key: _parse_config_value(value) for key, value in provider_config.items()}
    source = botocore.session.Session(profile=config.get("profile"))
    for key, variable in (("sharedConfigFiles", "config_file"), ("sharedCredentialsFiles", "credentials_file")):
        if config.get(key):
            source.set_config_variable(variable, config[key][0])
    try:
        source.get_scoped_config()
    except ProfileNotFound as error:
        raise describe_aws_error(error) from None
    _share_service_data_loader(source)
    if config.get("customCaBundle"):
        source.set_config_variable("ca_bundle", config["customCaBundle"])
    if config.get("region"):
        source.set_config_variable("region", config["region"])
    if config.get("accessKey"):
        source.set_credentials(config["accessKey"], config.get("secretKey", ""), config.get("token"))
    endpoints = {service: url for entry in config.get("endpoints") or [] for service, url in entry.items()}
    proxies = {scheme: config[key] for scheme, key in (("http", "httpProxy"), ("https", "httpsProxy")) if key in config}
    roles = config.get("assumeRoles") or [role for role in (config.get("assumeRole"),) if role]
    for role in roles:
        source = _assume_role(source, role, endpoints.get("sts"))
    session = boto3.Session(botocore_session=source)
    session.events.register("after-call", record_service)
    if config.get("allowedAccountIds") == [LOCAL_ACCOUNT]:
        session.events.register_first("before-send", _block_nonlocal_requests)
    return AwsSession(session, endpoints, proxies)


def _share_service_data_loader(session: Any) -> None:
    """Shares AWS's service descriptions among sessions: reading them is slow."""
    session.register_component("data_loader", _service_data_loader(session.get_config_variable("data_path")))


@cache
def _service_data_loader(folder: str | None) -> Any:
    return create_loader(folder)


def _block_nonlocal_requests(request: Any, **_: Any) -> None:
    """Raises `RuntimeError` for a request to another machine; called when its URL is final."""
    host = urlsplit(request.url).hostname or ""
    if not is_local_host(host):
        raise RuntimeError(
            f"this stack is on the local AWS, and a request would have gone to {host}. AWS_ENDPOINT_URL must"
            ' be the local AWS: eval "$(slipway env)", or use `slipway up`'
        )


def _assume_role(source: Any, role: Mapping[str, Any], endpoint: str | None) -> Any:
    """Returns a session of an assumed role; botocore renews its credentials."""
    names = {
        "sessionName": "RoleSessionName",
        "externalId": "ExternalId",
        "policy": "Policy",
        "sourceIdentity": "SourceIdentity",
    }
    more: dict[str, Any] = {theirs: role[ours] for ours, theirs in names.items() if role.get(ours)}
    if role.get("duration"):
        more["DurationSeconds"] = parse_duration_seconds(role["duration"])
    if role.get("policyArns"):
        more["PolicyArns"] = [{"arn": arn} for arn in role["policyArns"]]
    if role.get("tags"):
        more["Tags"] = [{"Key": key, "Value": value} for key, value in role["tags"].items()]
    if role.get("transitiveTagKeys"):
        more["TransitiveTagKeys"] = role["transitiveTagKeys"]
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=lambda service, **options: source.create_client(service, endpoint_url=endpoint, **options),
        source_credentials=source.get_credentials(),
        role_arn=role["roleArn"],
        extra_args=more,
    )
    assumed = botocore.session.Session()
    _share_service_data_loader(assumed)
    assumed.set_config_variable("region", source.get_config_variable("region"))
    # botocore has no public API to assume a role with keys that are not in a file.
    vars(assumed)["_credentials"] = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    return assumed


def parse_duration_seconds(duration: str) -> int:
    """Returns the seconds of a duration in the provider's form, `1h30m`. Raises `SlipwayError` for anything else."""
    total = timedelta()
    number = ""
    for letter in duration:
        if letter.isdigit():
            number += letter
        elif letter in DURATION_UNITS and number:
            total += timedelta(**{DURATION_UNITS[letter]: int(number)})
            number = ""
        else:
            raise SlipwayError(f"aws:assumeRoles: {duration!r} is not a duration.", "Write it as 1h, 30m or 1h30m.")
    return int(total.total_seconds())


def _parse_config_value(value: Any) -> Any:
    """Returns a parsed value: Pulumi passes lists and maps to a program as JSON."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        return json.loads(value)
    return value
