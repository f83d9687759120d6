"""The provider's gRPC service: what is the same for every type."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from slipway.config.errors import SlipwayError
from slipway_local.provider import journal
from slipway_local.provider.codec import UNKNOWN, decode, encode, has_unknown
from slipway_local.provider.diff import changed_inputs, normalize_to_written
from slipway_local.provider.grpc_errors import abort_call, abort_init_failed
from slipway_local.provider.invokes import INVOKES
from slipway_local.provider.resource_type import (
    InitFailed,
    OperationCancelled,
    Properties,
    ProviderContext,
    ResourceType,
    UnsupportedOperation,
    is_not_found,
)
from slipway_local.provider.types import RESOURCE_TYPES
from slipway_local.provider.urns import automatic_name, stack_of_urn, type_token_of_urn

PROVIDER_VERSION = "7.51.1"
CONFIG_KEYS = frozenset({"region", "defaultTags", "allowedAccountIds", "version"})
PropertyDiffKind = provider_pb2.PropertyDiff.Kind


class LocalAwsProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves one engine."""

    def __init__(self) -> None:
        self.aws = ProviderContext()
        self.default_tags: dict[str, str] = {}

    # ---- configuration

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=True, accept_resources=False, accept_outputs=False, supports_autonaming_configuration=True
        )

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=PROVIDER_VERSION)

    def GetSchema(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": "aws", "version": PROVIDER_VERSION}))

    def CheckConfig(self, request: Any, context: Any) -> Any:
        inputs, _ = decode(request.news)
        failures = [
            provider_pb2.CheckFailure(property=key, reason=f"the local provider has no setting {key!r}")
            for key in sorted(set(inputs) - CONFIG_KEYS)
        ]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        """Reports no difference: changed default tags show in the resources that have them."""
        same = request.olds == request.news
        kinds = provider_pb2.DiffResponse
        return kinds(changes=kinds.DIFF_NONE if same else kinds.DIFF_SOME)

    def Configure(self, request: Any, context: Any) -> Any:
        inputs, _ = decode(request.args)
        tags = inputs.get("defaultTags") or {}
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
        resource_type = RESOURCE_TYPES.get(type_token_of_urn(request.urn))
        if resource_type is None:
            abort_call(context, f"{type_token_of_urn(request.urn)}: the local provider does not have this type")
            raise AssertionError("unreachable: the call was aborted")
        old, _ = decode(request.olds)
        inputs, hidden = decode(request.news)
        inputs = {key: value for key, value in inputs.items() if value is not None and key != "__defaults"}
        unsupported = sorted(set(inputs) - resource_type.inputs)
        if unsupported:
            failures = [
                provider_pb2.CheckFailure(
                    property=key, reason=f"the local provider does not do {key!r} of {resource_type.type_name}"
                )
                for key in unsupported
            ]
            return provider_pb2.CheckResponse(inputs=request.news, failures=failures)
        inputs = {**resource_type.defaults, **inputs}
        if resource_type.name_property and resource_type.name_property[0] not in inputs:
            inputs[resource_type.name_property[0]] = automatic_name(resource_type.name_property, request, old)
            inputs["__defaults"] = [resource_type.name_property[0]]
        if resource_type.is_taggable:
            inputs["tagsAll"] = {**self.default_tags, **(inputs.get("tags") or {})}
            hidden |= {"tagsAll"} & {f"{name}All" for name in hidden}
        try:
            inputs = resource_type.prepare(self.aws, inputs)
        except (UnsupportedOperation, SlipwayError) as refusal:
            failure = provider_pb2.CheckFailure(reason=str(refusal))
            return provider_pb2.CheckResponse(inputs=request.news, failures=[failure])
        return provider_pb2.CheckResponse(inputs=encode(inputs, hidden | resource_type.secret_properties))

    def Diff(self, request: Any, context: Any) -> Any:
        resource_type = RESOURCE_TYPES[type_token_of_urn(request.urn)]
        old, _ = decode(request.old_inputs)
        new, _ = decode(request.news)
        names = changed_inputs(resource_type, old, new)
        name_property = resource_type.name_property[0] if resource_type.name_property else ""
        force_replacement = resource_type.force_replacement | resource_type.must_replace(old, new) | {name_property}
        forcing = [name for name in names if name in force_replacement]
        detailed = {}
        for name in names:
            verb = "ADD" if name not in old else "DELETE" if name not in new else "UPDATE"
            suffix = "_REPLACE" if name in forcing else ""
            detailed[name] = provider_pb2.PropertyDiff(kind=PropertyDiffKind.Value(verb + suffix), inputDiff=True)
        is_chosen_name = name_property in new and name_property not in new.get("__defaults", [])
        collides = is_chosen_name and old.get(name_property) == new.get(name_property)
        response = provider_pb2.DiffResponse
        return response(
            changes=response.DIFF_SOME if names else response.DIFF_NONE,
            replaces=forcing,
            diffs=names,
            deleteBeforeReplace=bool(forcing) and (resource_type.delete_before_replace or collides),
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: Any) -> Any:
        resource_type = RESOURCE_TYPES[type_token_of_urn(request.urn)]
        inputs, hidden = decode(request.properties)
        inputs.pop("__defaults", None)
        if request.preview:
            later = dict.fromkeys(resource_type.emulator_assigned, UNKNOWN)
            return provider_pb2.CreateResponse(
                id="",
                properties=_encode_outputs(resource_type, inputs | later, hidden | resource_type.secret_properties),
            )

        def create() -> Any:
            id, outputs = resource_type.create(self.aws, inputs)
            journal.record_operation(
                "created", stack_of_urn(request.urn), resource_type.type_name, id, inputs | outputs
            )
            return provider_pb2.CreateResponse(
                id=id,
                properties=_encode_outputs(resource_type, inputs | outputs, hidden | resource_type.secret_properties),
            )

        return self._run_operation(context, resource_type, inputs, hidden, create, stack_of_urn(request.urn))

    def Read(self, request: Any, context: Any) -> Any:
        resource_type = RESOURCE_TYPES.get(type_token_of_urn(request.urn))
        if resource_type is None:
            abort_call(context, f"{type_token_of_urn(request.urn)}: the local provider does not have this type")
            raise AssertionError("unreachable: the call was aborted")
        state, hidden = decode(request.properties)
        inputs, hidden_inputs = decode(request.inputs)

        def read() -> Any:
            resource = _read_existing(resource_type, self.aws, request.id, state)
            if resource is None:
                return provider_pb2.ReadResponse()
            imported = not state
            written = {
                key: normalize_to_written(inputs[key], resource[key]) if key in inputs else resource[key]
                for key in resource.keys() - (resource_type.emulator_assigned if state else ())
                if key in inputs or (imported and key in resource_type.inputs and resource[key] not in (None, [], {}))
            }
            properties = state | {
                key: normalize_to_written(state[key], v) if key in state else v for key, v in resource.items()
            }
            marks = hidden | hidden_inputs | resource_type.secret_properties
            return provider_pb2.ReadResponse(
                id=request.id,
                properties=_encode_outputs(resource_type, properties, marks),
                inputs=encode(inputs | written, marks),
            )

        return self._run_operation(context, resource_type, state, hidden, read, stack_of_urn(request.urn))

    def Update(self, request: Any, context: Any) -> Any:
        resource_type = RESOURCE_TYPES[type_token_of_urn(request.urn)]
        state, known_hidden = decode(request.olds)
        old, _ = decode(request.old_inputs)
        new, hidden = decode(request.news)
        marks = hidden | resource_type.secret_properties | (known_hidden - set(new))
        old.pop("__defaults", None)
        new.pop("__defaults", None)
        kept = {
            key: value
            for key, value in state.items()
            if key not in resource_type.inputs - resource_type.emulator_assigned
        }
        after = {key: value for key, value in new.items() if key not in kept} | kept
        if request.preview:
            changing_outputs = dict.fromkeys(resource_type.changing_outputs, UNKNOWN)
            return provider_pb2.UpdateResponse(
                properties=_encode_outputs(resource_type, after | changing_outputs, marks)
            )

        def update() -> Any:
            outputs = resource_type.update(self.aws, request.id, state | old, new)
            return provider_pb2.UpdateResponse(properties=_encode_outputs(resource_type, after | outputs, marks))

        return self._run_operation(context, resource_type, after, marks, update, stack_of_urn(request.urn))

    def Delete(self, request: Any, context: Any) -> Any:
        resource_type = RESOURCE_TYPES[type_token_of_urn(request.urn)]
        state, hidden = decode(request.properties)

        def delete() -> Any:
            try:
                resource_type.delete(self.aws, request.id, state)
            except ClientError as error:
                if not is_not_found(error):
                    raise
            journal.record_operation("deleted", stack_of_urn(request.urn), resource_type.type_name, request.id, state)
            return empty_pb2.Empty()

        return self._run_operation(context, resource_type, state, hidden, delete, stack_of_urn(request.urn))

    def Invoke(self, request: Any, context: Any) -> Any:
        function = INVOKES.get(request.tok)
        if function is None:
            abort_call(
                context, f"{request.tok}: the local provider does not have this function (infra/slipway_local/provider)"
            )
            raise AssertionError("unreachable: the call was aborted")
        arguments, _ = decode(request.args)
        if has_unknown(arguments):
            return provider_pb2.InvokeResponse()

        def invoke() -> Any:
            response: Any = provider_pb2.InvokeResponse()
            getattr(response, "return").CopyFrom(encode(function(self.aws, arguments)))  # `return` is a keyword
            return response

        return self._run_operation(context, None, {}, set(), invoke)

    def _run_operation(
        self,
        context: Any,
        resource_type: ResourceType | None,
        properties: Properties,
        hidden: set[str],
        call: Callable[[], Any],
        stack: str = "",
    ) -> Any:
        """Runs a call; what goes wrong becomes the engine's message on the resource, in AWS's words."""
        try:
            return call()
        except InitFailed as failure:
            if resource_type and failure.id:
                journal.record_operation(
                    "created", stack, resource_type.type_name, failure.id, properties | failure.properties
                )
            marks = hidden | (resource_type.secret_properties if resource_type else set())
            abort_init_failed(context, failure, encode(properties | failure.properties, marks))
        except ClientError as error:
            answer = error.response["Error"]
            abort_call(context, f"{error.operation_name}: {answer.get('Code')}: {answer.get('Message')}")
        except BotoCoreError as error:
            abort_call(context, f"the local AWS: {error}")
        except (OperationCancelled, UnsupportedOperation, SlipwayError, TimeoutError) as error:
            abort_call(context, str(error))
        raise AssertionError("unreachable: the call was aborted")


def _encode_outputs(resource_type: ResourceType, properties: Properties, marks: set[str] | frozenset[str]) -> Any:
    return encode(
        {key: value for key, value in properties.items() if key not in resource_type.input_only_properties}, marks
    )


def _read_existing(resource_type: ResourceType, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
    """Returns the resource's properties; None also where AWS answers that it does not exist."""
    try:
        return resource_type.read(aws, id, state)
    except ClientError as error:
        if is_not_found(error):
            return None
        raise
