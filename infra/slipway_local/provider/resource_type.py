"""The base class of resource types: inputs, what forces a replacement, and five operations."""

from __future__ import annotations

import http.client
import json
import os
import re
import threading
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, ClassVar
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from slipway.config.local_aws import LOCAL_ACCOUNT
from slipway.config.project import run_dir
from slipway_local.emulator.labels import OWNER_PATH
from slipway_local.provider import input_validation

Properties = dict[str, Any]

ACCOUNT_NUMBER = re.compile(r"\d{12}")
_session = botocore.session.get_session()
_client_lock = threading.Lock()


class InitFailed(Exception):
    """The resource is there but did not come up; the engine keeps it in the state and tries again next time."""

    def __init__(self, id: str, properties: Properties, reason: str) -> None:
        super().__init__(reason)
        self.id = id
        self.properties = properties
        self.reason = reason


class OperationCancelled(Exception):
    """The user interrupted the engine while this call was waiting."""


class UnsupportedOperation(Exception):
    """An operation that the local provider does not do; the text says which and why."""


class ProviderContext:
    """Clients of the local AWS, and whether the user has interrupted."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def __call__(self, service: str, region: str | None = None) -> Any:
        """Returns a client of the local AWS for a service, in the stack's region or another."""
        return _client(service, region or self.region)

    @property
    def region(self) -> str:
        return os.environ.get("AWS_REGION", "us-east-1")

    @property
    def account(self) -> str:
        """Returns the account of the credentials that this provider works with."""
        return _account()

    @property
    def has_role(self) -> bool:
        """Returns whether this provider works in a role's session, as in a pipeline's job."""
        return _credentials().token is not None

    @property
    def port(self) -> int:
        """Returns the local AWS's port: load balancers and the registry answer on it."""
        return urlsplit(local_endpoint()).port or 80

    def sleep(self, seconds: float) -> None:
        """Do nothing for a while; raises `OperationCancelled` when interrupted."""
        if self.cancelled.wait(seconds):
            raise OperationCancelled("interrupted")

    def wait(self, done: Callable[[], bool], seconds: float, what: str, interval: float = 0.3) -> None:
        """Asks until `done`; raises `OperationCancelled` when interrupted and `TimeoutError` when it takes too long."""
        waited = 0.0
        while not done():
            if self.cancelled.wait(interval):
                raise OperationCancelled(f"interrupted while waiting for {what}")
            waited += interval
            if waited > seconds:
                raise TimeoutError(f"{what} did not come about in {seconds:.0f} s")


class ResourceType:
    """A resource type. Subclasses say what it takes and make the calls; nothing else is type-specific."""

    type_name: ClassVar[str]
    """Its Pulumi type token."""
    inputs: ClassVar[frozenset[str]]
    """Every input that the calls below honour: any other is refused by name."""
    force_replacement: ClassVar[frozenset[str]] = frozenset()
    """Inputs whose change makes a new resource."""
    name_property: ClassVar[tuple[str, int] | None] = None
    """The input that holds the physical name, and AWS's limit of its length."""
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Inputs that have a value when the program gives none, as the official provider has it."""
    secret_properties: ClassVar[frozenset[str]] = frozenset()
    """Properties that are always secret."""
    changing_outputs: ClassVar[frozenset[str]] = frozenset()
    """Outputs that an update may change: unknown in its preview."""
    ignored_in_diff: ClassVar[frozenset[str]] = frozenset()
    """Inputs whose change alone is no reason to do anything; the class says why."""
    emulator_assigned: ClassVar[frozenset[str]] = frozenset()
    """Inputs that the local AWS has a value of its own for, such as a port: the output is that value, never drift."""
    input_only_properties: ClassVar[frozenset[str]] = frozenset()
    """Inputs that are no outputs: large ones, which the state would have twice."""
    delete_before_replace: ClassVar[bool] = False
    """Two of these cannot exist at once, so a replacement deletes before it creates."""
    is_state_only: ClassVar[bool] = False
    """The emulator has nothing like it."""

    @property
    def is_taggable(self) -> bool:
        """Returns whether it takes tags, and with them the provider's default tags."""
        return "tagsAll" in self.inputs

    def must_replace(self, old: Properties, new: Properties) -> frozenset[str]:
        """Returns inputs that force a replacement only between these values, unlike `force_replacement`."""
        return frozenset()

    def prepare(self, aws: ProviderContext, inputs: Properties) -> Properties:
        """Returns the inputs with those added that follow from others, such as a hash of files.

        Raises `UnsupportedOperation` for an input that is wrong, before anything is done.
        """
        return inputs

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        """Creates the resource, and returns its id and its outputs."""
        raise NotImplementedError

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        """Returns inputs and outputs as they really are; None when it is gone. `state` is empty for an import."""
        raise NotImplementedError

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        """Change the resource in place, and return the outputs that changed; `old` and `new` are its inputs."""
        raise UnsupportedOperation(f"{self.type_name} cannot be changed in place")

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        """Deletes the resource; an error that says it is gone already counts as done."""
        raise NotImplementedError


class StateOnlyResourceType(ResourceType):
    """A type that lives in the engine's state alone: created, changed and deleted there."""

    is_state_only = True

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        """Returns what the state has; there is nothing else to ask."""
        return state or None

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        """Returns nothing: the change is in the state."""
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        """Do nothing: there is nothing to delete."""


def local_endpoint() -> str:
    """Returns the URL of the local AWS. Raises `UnsupportedOperation` for one that is not this machine."""
    url = os.environ.get("AWS_ENDPOINT_URL", "")
    if urlsplit(url).hostname not in ("127.0.0.1", "localhost"):
        raise UnsupportedOperation(
            f"AWS_ENDPOINT_URL is {url or 'not set'}: the local provider talks to this machine only"
        )
    return url


@cache
def _ensure_own_local_aws(url: str) -> None:
    """Raises `UnsupportedOperation` where another clone's local AWS answers: a shell may have an outdated URL."""
    port = urlsplit(url).port or 80
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", OWNER_PATH)
        owner = json.loads(connection.getresponse().read())["run_dir"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return  # no answer, which the call itself reports; or an older version
    finally:
        connection.close()
    this_clone = str(run_dir().resolve())
    if owner != this_clone:
        raise UnsupportedOperation(
            f"the local AWS on port {port} belongs to {owner}, and this clone is {this_clone}; "
            'if a shell has variables of before: eval "$(slipway env)"'
        )


def _credentials() -> Credentials:
    """Returns a role session's credentials where the shell has some, as a pipeline's job does; else the person's keys.

    The person's key is `test`, or the number of another account of the local AWS. Keys of profiles and long-lived ones
    in the shell are not taken: they may be of a real account.
    """
    key, token = os.environ.get("AWS_ACCESS_KEY_ID", ""), os.environ.get("AWS_SESSION_TOKEN")
    if not token:
        return Credentials(key if ACCOUNT_NUMBER.fullmatch(key) else "test", "test")
    return Credentials(key, os.environ.get("AWS_SECRET_ACCESS_KEY", ""), token)


@cache
def _account() -> str:
    """Asks STS, but for the person's own keys, which say it: so a plan needs no local AWS."""
    keys = _credentials()
    if keys.token is None:
        return LOCAL_ACCOUNT if keys.access_key == "test" else str(keys.access_key)
    return str(_client("sts", os.environ.get("AWS_REGION", "us-east-1")).get_caller_identity()["Account"])


@cache
def _client(service: str, region: str) -> Any:
    url = local_endpoint()
    _ensure_own_local_aws(url)
    keys = _credentials()
    with _client_lock:  # which takes what the session has read for the clients before
        client = _session.create_client(
            service,
            endpoint_url=url,
            region_name=region,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=keys.token,
            config=Config(retries={"max_attempts": 2}, max_pool_connections=32, read_timeout=120),
        )
    input_validation.validate_requests(client)
    return client


def is_not_found(error: ClientError) -> bool:
    """Returns whether AWS says that there is no such thing."""
    code = error.response["Error"]["Code"]
    words = ("NotFound", "NoSuch", "NonExistent", "Unknown.Snapshot")
    return any(word in code for word in words) or (
        code in ("ClientException", "InvalidParameterException", "ValidationError")
        and "not found" in error.response["Error"]["Message"].lower()
    )


def tag_list(inputs: Properties, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """All tags of a resource, default ones included, as most services want them."""
    return [{key: name, value: text} for name, text in sorted((inputs.get("tagsAll") or {}).items())]


def tag_map(tags: list[dict[str, str]] | None, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """Returns a service's list of tags as a map."""
    return {tag[key]: tag[value] for tag in tags or []}


def property_names(*names: str) -> frozenset[str]:
    """Input names, written as one text with spaces or as several."""
    return frozenset(word for name in names for word in name.split())
