"""The provider's gRPC service: what is the same for every type."""

from __future__ import annotations

import json
import secrets as random_source
from collections.abc import Callable
from typing import Any

import grpc
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from infra.errors import SlipwayError
from infra.local.provider import journal
from infra.local.provider.codec import UNKNOWN, decode, encode, has_unknown
from infra.local.provider.diff import as_written, changed
from infra.local.provider.invokes import INVOKES
from infra.local.provider.kind import Cancelled, Context, InitFailed, Kind, Properties, Refused, gone
from infra.local.provider.types import TYPES

VERSION = "7.51.1"
NAME_SUFFIX = 7
"""Random hex digits behind an automatic name, as Pulumi's own providers have it."""
CONFIG = frozenset({"region", "defaultTags", "allowedAccountIds", "version"})
KINDS = provider_pb2.PropertyDiff.Kind


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves one engine."""

    def __init__(self) -> None:
        self.aws = Context()
        self.default_tags: dict[str, str] = {}

    # ---- configuration

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=True, accept_resources=False, accept_outputs=False, supports_autonaming_configuration=True
        )

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": "aws", "version": VERSION}))

    def CheckConfig(self, request: Any, context: Any) -> Any:
        given, _ = decode(request.news)
        failures = [
            provider_pb2.CheckFailure(property=key, reason=f"the local provider has no setting {key!r}")
            for key in sorted(set(given) - CONFIG)
        ]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        """A changed setting (default tags) shows in the resources that it concerns."""
        same = request.olds == request.news
        kinds = provider_pb2.DiffResponse
        return kinds(changes=kinds.DIFF_NONE if same else kinds.DIFF_SOME)

    def Configure(self, request: Any, context: Any) -> Any:
        given, _ = decode(request.args)
        tags = given.get("defaultTags") or {}
        tags = json.loads(tags) if isinstance(tags, str) else tags
        self.default_tags = dict(tags.get("tags") or {})
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True,
            supportsPreview=True,
            acceptResources=False,
            acceptOutputs=False,
            supports_autonaming_configuration=True,
        )

    def Cancel(self, request: Any, context: Any) -> Any:
        self.aws.cancelled.set()
        return empty_pb2.Empty()

    # ---- resources

    def Check(self, request: Any, context: Any) -> Any:
        kind = TYPES.get(_token(request.urn))
        if kind is None:
            _fail(context, f"{_token(request.urn)}: the local provider does not have this type (infra/local/provider)")
            raise AssertionError("unreachable: the call was aborted")
        old, _ = decode(request.olds)
        given, hidden = decode(request.news)
        given = {key: value for key, value in given.items() if value is not None and key != "__defaults"}
        beyond = sorted(set(given) - kind.inputs)
        if beyond:
            failures = [
                provider_pb2.CheckFailure(
                    property=key, reason=f"the local provider does not do {key!r} of {kind.type_name}"
                )
                for key in beyond
            ]
            return provider_pb2.CheckResponse(inputs=request.news, failures=failures)
        given = {**kind.defaults, **given}
        if kind.named and kind.named[0] not in given:
            given[kind.named[0]] = _automatic_name(kind.named, request, old)
            given["__defaults"] = [kind.named[0]]
        if kind.taggable:
            given["tagsAll"] = {**self.default_tags, **(given.get("tags") or {})}
            hidden |= {"tagsAll"} & {f"{name}All" for name in hidden}
        try:
            given = kind.prepare(self.aws, given)
        except (Refused, SlipwayError) as refusal:
            failure = provider_pb2.CheckFailure(reason=str(refusal))
            return provider_pb2.CheckResponse(inputs=request.news, failures=[failure])
        return provider_pb2.CheckResponse(inputs=encode(given, hidden | kind.secret))

    def Diff(self, request: Any, context: Any) -> Any:
        kind = TYPES[_token(request.urn)]
        old, _ = decode(request.old_inputs)
        new, _ = decode(request.news)
        names = changed(kind, old, new)
        forcing = [name for name in names if name in kind.replace or (kind.named and name == kind.named[0])]
        detailed = {}
        for name in names:
            verb = "ADD" if name not in old else "DELETE" if name not in new else "UPDATE"
            suffix = "_REPLACE" if name in forcing else ""
            detailed[name] = provider_pb2.PropertyDiff(kind=KINDS.Value(verb + suffix), inputDiff=True)
        chosen_name = kind.named and kind.named[0] in new and kind.named[0] not in new.get("__defaults", [])
        collides = bool(chosen_name and kind.named and old.get(kind.named[0]) == new.get(kind.named[0]))
        response = provider_pb2.DiffResponse
        return response(
            changes=response.DIFF_SOME if names else response.DIFF_NONE,
            replaces=forcing,
            diffs=names,
            deleteBeforeReplace=bool(forcing) and (kind.delete_first or collides),
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: Any) -> Any:
        kind = TYPES[_token(request.urn)]
        given, hidden = decode(request.properties)
        given.pop("__defaults", None)
        if request.preview:
            later = dict.fromkeys(kind.elsewhere, UNKNOWN)
            return provider_pb2.CreateResponse(id="", properties=_outputs(kind, given | later, hidden | kind.secret))

        def create() -> Any:
            id, outputs = kind.create(self.aws, given)
            journal.record("created", _stack(request.urn), kind.type_name, id, given | outputs)
            return provider_pb2.CreateResponse(id=id, properties=_outputs(kind, given | outputs, hidden | kind.secret))

        return self._guard(context, kind, given, hidden, create, _stack(request.urn))

    def Read(self, request: Any, context: Any) -> Any:
        kind = TYPES.get(_token(request.urn))
        if kind is None:
            _fail(context, f"{_token(request.urn)}: the local provider does not have this type")
            raise AssertionError("unreachable: the call was aborted")
        known, hidden = decode(request.properties)
        inputs, hidden_inputs = decode(request.inputs)

        def read() -> Any:
            found = _found(kind, self.aws, request.id, known)
            if found is None:
                return provider_pb2.ReadResponse()
            imported = not known
            written = {
                key: as_written(inputs[key], found[key]) if key in inputs else found[key]
                for key in found.keys() - (kind.elsewhere if known else ())
                if key in inputs or (imported and key in kind.inputs and found[key] not in (None, [], {}))
            }
            properties = known | {key: as_written(known[key], v) if key in known else v for key, v in found.items()}
            marks = hidden | hidden_inputs | kind.secret
            return provider_pb2.ReadResponse(
                id=request.id, properties=_outputs(kind, properties, marks), inputs=encode(inputs | written, marks)
            )

        return self._guard(context, kind, known, hidden, read, _stack(request.urn))

    def Update(self, request: Any, context: Any) -> Any:
        kind = TYPES[_token(request.urn)]
        known, known_hidden = decode(request.olds)
        old, _ = decode(request.old_inputs)
        new, hidden = decode(request.news)
        marks = hidden | kind.secret | (known_hidden - set(new))
        old.pop("__defaults", None)
        new.pop("__defaults", None)
        kept = {key: value for key, value in known.items() if key not in kind.inputs - kind.elsewhere}
        after = {key: value for key, value in new.items() if key not in kept} | kept
        if request.preview:
            moving = dict.fromkeys(kind.moving, UNKNOWN)
            return provider_pb2.UpdateResponse(properties=_outputs(kind, after | moving, marks))

        def update() -> Any:
            outputs = kind.update(self.aws, request.id, known | old, new)
            return provider_pb2.UpdateResponse(properties=_outputs(kind, after | outputs, marks))

        return self._guard(context, kind, after, marks, update, _stack(request.urn))

    def Delete(self, request: Any, context: Any) -> Any:
        kind = TYPES[_token(request.urn)]
        known, hidden = decode(request.properties)

        def delete() -> Any:
            try:
                kind.delete(self.aws, request.id, known)
            except ClientError as error:
                if not gone(error):
                    raise
            journal.record("deleted", _stack(request.urn), kind.type_name, request.id, known)
            return empty_pb2.Empty()

        return self._guard(context, kind, known, hidden, delete, _stack(request.urn))

    def Invoke(self, request: Any, context: Any) -> Any:
        function = INVOKES.get(request.tok)
        if function is None:
            _fail(context, f"{request.tok}: the local provider does not have this function (infra/local/provider)")
            raise AssertionError("unreachable: the call was aborted")
        arguments, _ = decode(request.args)
        if has_unknown(arguments):
            return provider_pb2.InvokeResponse()

        def invoke() -> Any:
            response: Any = provider_pb2.InvokeResponse()
            getattr(response, "return").CopyFrom(encode(function(self.aws, arguments)))  # `return` is a keyword
            return response

        return self._guard(context, None, {}, set(), invoke)

    def _guard(
        self,
        context: Any,
        kind: Kind | None,
        properties: Properties,
        hidden: set[str],
        call: Callable[[], Any],
        stack: str = "",
    ) -> Any:
        """Run a call; what goes wrong becomes the engine's message on the resource, in AWS's words."""
        try:
            return call()
        except InitFailed as failure:
            if kind and failure.id:
                journal.record("created", stack, kind.type_name, failure.id, properties | failure.properties)
            marks = hidden | (kind.secret if kind else set())
            _fail_initialisation(context, failure, encode(properties | failure.properties, marks))
        except ClientError as error:
            found = error.response["Error"]
            _fail(context, f"{error.operation_name}: {found.get('Code')}: {found.get('Message')}")
        except BotoCoreError as error:
            _fail(context, f"the local AWS: {error}")
        except (Cancelled, Refused, SlipwayError, TimeoutError) as error:
            _fail(context, str(error))
        raise AssertionError("unreachable: the call was aborted")


def _outputs(kind: Kind, properties: Properties, marks: set[str] | frozenset[str]) -> Any:
    return encode({key: value for key, value in properties.items() if key not in kind.input_only}, marks)


def _found(kind: Kind, aws: Context, id: str, known: Properties) -> Properties | None:
    """What there is; None also where AWS answers with an error that says there is no such thing."""
    try:
        return kind.read(aws, id, known)
    except ClientError as error:
        if gone(error):
            return None
        raise


def _stack(urn: str) -> str:
    """The stack in a URN."""
    return urn.split("::")[0].removeprefix("urn:pulumi:")


def _token(urn: str) -> str:
    """The type in a URN: urn:pulumi:stack::project::parent$type::name."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def _automatic_name(named: tuple[str, int], request: Any, old: Properties) -> str:
    """The old automatic name, else the resource's name with a random suffix, within the type's limit."""
    key, limit = named
    if key in old.get("__defaults", []) and old.get(key):
        return str(old[key])
    proposed = request.autonaming.proposed_name if request.HasField("autonaming") else ""
    if proposed and len(proposed) <= limit:
        return str(proposed)
    suffix = (bytes(request.randomSeed).hex() or random_source.token_hex(NAME_SUFFIX))[:NAME_SUFFIX]
    stem = request.urn.rsplit("::", 1)[-1][: limit - NAME_SUFFIX - 1].rstrip("-")
    return f"{stem}-{suffix}"


def _fail(context: Any, message: str) -> None:
    context.abort(grpc.StatusCode.UNKNOWN, message)


def _fail_initialisation(context: Any, failure: InitFailed, properties: Any) -> None:
    """Tell the engine that the resource exists and why it is not well: it goes into the state."""
    detail = any_pb2.Any()
    detail.Pack(provider_pb2.ErrorResourceInitFailed(id=failure.id, properties=properties, reasons=[failure.reason]))
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=failure.reason, details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, failure.reason)
