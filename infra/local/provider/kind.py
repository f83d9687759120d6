"""What a resource type is: a short class with its inputs, what forces a replacement, and five calls."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, ClassVar
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.local.provider import strict

Properties = dict[str, Any]

_session = botocore.session.get_session()
_making = threading.Lock()


class InitFailed(Exception):
    """The resource is there but did not come up; the engine keeps it in the state and tries again next time."""

    def __init__(self, id: str, properties: Properties, reason: str) -> None:
        super().__init__(reason)
        self.id, self.properties, self.reason = id, properties, reason


class Cancelled(Exception):
    """The user interrupted the engine while this call was waiting."""


class Refused(Exception):
    """An operation that the local provider does not do; the text says which and why."""


class Context:
    """What a type's calls need: clients of the local AWS, and whether the user has interrupted."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def __call__(self, service: str, region: str | None = None) -> Any:
        """A client of the local AWS for a service, in the stack's region or another."""
        return _client(service, region or self.region)

    @property
    def region(self) -> str:
        return os.environ.get("AWS_REGION", "us-east-1")

    @property
    def account(self) -> str:
        return "000000000000"

    @property
    def port(self) -> int:
        """The local AWS's port: load balancers and the registry answer on it."""
        return urlsplit(endpoint()).port or 80

    def pause(self, seconds: float) -> None:
        """Do nothing for a while; raises `Cancelled` when interrupted."""
        if self.cancelled.wait(seconds):
            raise Cancelled("interrupted")

    def wait(self, done: Callable[[], bool], seconds: float, what: str, interval: float = 0.3) -> None:
        """Ask until `done`; raises `Cancelled` when interrupted and `TimeoutError` when it takes too long."""
        waited = 0.0
        while not done():
            if self.cancelled.wait(interval):
                raise Cancelled(f"interrupted while waiting for {what}")
            waited += interval
            if waited > seconds:
                raise TimeoutError(f"{what} did not come about in {seconds:.0f} s")


class Kind:
    """A resource type. Subclasses say what it takes and make the calls; nothing else is type-specific."""

    type_name: ClassVar[str]
    """Its Pulumi type token."""
    inputs: ClassVar[frozenset[str]]
    """Every input that the calls below honour: any other is refused by name."""
    replace: ClassVar[frozenset[str]] = frozenset()
    """Inputs whose change makes a new resource."""
    named: ClassVar[tuple[str, int] | None] = None
    """The input that holds the physical name, and AWS's limit of its length."""
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Inputs that have a value when the program gives none, as the official provider has it."""
    secret: ClassVar[frozenset[str]] = frozenset()
    """Properties that are always secret."""
    moving: ClassVar[frozenset[str]] = frozenset()
    """Outputs that an update may change: unknown in its preview."""
    uncompared: ClassVar[frozenset[str]] = frozenset()
    """Inputs whose change alone is no reason to do anything; the class says why."""
    elsewhere: ClassVar[frozenset[str]] = frozenset()
    """Inputs that the local AWS has a value of its own for, such as a port: the output is that value, never drift."""
    input_only: ClassVar[frozenset[str]] = frozenset()
    """Inputs that are no outputs: large ones, which the state would have twice."""
    delete_first: ClassVar[bool] = False
    """Two of these cannot exist at once, so a replacement deletes before it creates."""
    state_only: ClassVar[bool] = False
    """The emulator has nothing like it."""

    @property
    def taggable(self) -> bool:
        """Whether it takes tags, and with them the provider's default tags."""
        return "tagsAll" in self.inputs

    def prepare(self, aws: Context, given: Properties) -> Properties:
        """Add inputs that follow from others (a hash of files); raise `Refused` for a wrong one."""
        return given

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        """Make it; its id and outputs."""
        raise NotImplementedError

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        """Inputs and outputs as they really are; None when it is gone. `known` is empty for an import."""
        raise NotImplementedError

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        """Change it in place; `old` and `new` are the inputs. Returns the outputs that changed."""
        raise Refused(f"{self.type_name} cannot be changed in place")

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        """Take it away; an error that says it is gone already is taken for done."""
        raise NotImplementedError


class StateOnly(Kind):
    """A type that lives in the engine's state alone: made, changed and taken away there."""

    state_only = True

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        """What the state has; there is nothing else to ask."""
        return known or None

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        """Changed in the state."""
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        """There is nothing to take away."""


def endpoint() -> str:
    """The local AWS; refuses to talk to anything that is not this machine."""
    url = os.environ.get("AWS_ENDPOINT_URL", "")
    if urlsplit(url).hostname not in ("127.0.0.1", "localhost"):
        raise Refused(f"AWS_ENDPOINT_URL is {url or 'not set'}: the local provider talks to this machine only")
    return url


@cache
def _client(service: str, region: str) -> Any:
    url = endpoint()
    # Keys of the local AWS, whatever account this machine's own settings name.
    with _making:  # which takes what the session has read for the clients before
        client = _session.create_client(
            service,
            endpoint_url=url,
            region_name=region,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106
            config=Config(retries={"max_attempts": 2}, max_pool_connections=32, read_timeout=120),
        )
    strict.watch(client)
    return client


def gone(error: ClientError) -> bool:
    """Whether AWS says that there is no such thing."""
    code = error.response["Error"]["Code"]
    words = ("NotFound", "NoSuch", "NonExistent", "Unknown.Snapshot")
    return any(word in code for word in words) or (
        code in ("ClientException", "InvalidParameterException", "ValidationError")
        and "not found" in error.response["Error"]["Message"].lower()
    )


def tag_list(given: Properties, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """All tags of a resource, default ones included, as most services want them."""
    return [{key: name, value: text} for name, text in sorted((given.get("tagsAll") or {}).items())]


def tag_map(tags: list[dict[str, str]] | None, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """A service's list of tags as a map."""
    return {tag[key]: tag[value] for tag in tags or []}


def set_of(*names: str) -> frozenset[str]:
    """Input names, written as one text with spaces or as several."""
    return frozenset(word for name in names for word in name.split())
