"""Maps the app's variables to the kit's values, and lists those without one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from slipway.cli.init import variable_rules as rules
from slipway.cli.init.database_url import database_url_value
from slipway.cli.init.detect import DetectedApp
from slipway.cli.init.env_names import EnvVariable
from slipway.cli.init.settings_classes import is_json_list

PARTS = {"database.url": ("database.host", "database.password"), "cache.url": ("cache.host",)}
"""Value of a URL -> the values of its parts."""
SQS_ONLY = ("queue.url", "queue.name", "queue.timeout")
STACKS = ("local", "dev", "staging", "prod")
NO_STORE = re.compile(r"^(pyamqp|amqps?|mongodb(\+srv)?|mysql(\+\w+)?|kafka|memcached?|sqs)://.")


@dataclass
class MappedVariables:
    """The app's variables in stacks/app.yaml and the stack files."""

    variables: dict[str, str] = field(default_factory=dict)
    """Name -> value of the kit."""
    environment: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    """Name -> required or optional."""
    of_stacks: dict[str, dict[str, str]] = field(default_factory=dict)
    """Stack -> its own plain variables."""
    from_examples: dict[str, str] = field(default_factory=dict)
    """Name -> value copied from .env.example."""
    local_secrets: dict[str, str] = field(default_factory=dict)
    """Required secret -> placeholder with which the app starts on this machine."""
    unmapped: dict[str, str] = field(default_factory=dict)
    """Name -> why it needs a check."""
    defaults: list[str] = field(default_factory=list)
    """Names that keep their default of the sources."""
    needs: set[str] = field(default_factory=set)
    """Stores that a mapped variable needs."""

    def uses(self, store: str) -> bool:
        """Whether a variable is mapped to a value of a store."""
        return any(value.startswith(f"{store}.") for value in self.variables.values())


def map_variables(app: DetectedApp) -> MappedVariables:
    """Maps each variable of an app to the source of its value."""
    mapped = MappedVariables()
    values = {variable.name: _value(app, variable) for variable in app.variables}
    dropped = _said_twice(app.variables, values)
    for variable in app.variables:
        if variable.name in dropped:
            mapped.defaults.append(variable.name)
        else:
            _place(app, mapped, variable, values[variable.name])
    for variable in app.variables:
        if mapped.secrets.get(variable.name) == "required":
            mapped.local_secrets[variable.name] = app.example_values.get(variable.name) or _stand_in(variable)
    _only_in_examples(app, mapped)
    for name in [n for n, value in mapped.variables.items() if value == "generated.former"]:
        if mapped.variables.get(name.removeprefix("FORMER_")) != "generated":
            del mapped.variables[name]
    url = database_url_value(app)
    mapped.variables = {name: url if value == "database.url" else value for name, value in mapped.variables.items()}
    return mapped


def stem(variable: EnvVariable) -> str:
    """Returns a name in capitals, without its settings class's prefix."""
    return variable.name.removeprefix(variable.prefix).upper().replace("__", "_")


def _value(app: DetectedApp, variable: EnvVariable) -> str:
    name = stem(variable)
    former = rules.FORMER.match(name)
    if former and variable.name.startswith("FORMER_") and rules.value_for(former["name"]) == "generated":
        return "generated.former"
    value = rules.value_for(name)
    if not value and rules.value_for(variable.used_as.upper()) == "generated":
        value = "generated"  # SIGNING_KEY = os.environ["NOTES_KEY"]
    if value in SQS_ONLY and not app.stores.sqs:
        return ""
    if value.startswith("database.") and NO_STORE.match(variable.default):
        return ""
    if value.startswith("cache.") and (NO_STORE.match(variable.default) or _is_broker_of_sqs(app, name)):
        return ""
    if value == "bucket.name" and not app.stores.s3:
        return ""
    if value == "stack.project" and variable.default:
        return ""  # its title is the app's own
    if value == "stack.hosts" and (is_json_list(variable.kind) or _has_host_middleware(app)):
        return ""
    return value


def _is_broker_of_sqs(app: DetectedApp, name: str) -> bool:
    return "BROKER" in name and app.stores.sqs and not app.stores.redis


def _has_host_middleware(app: DetectedApp) -> bool:
    """Whether TrustedHostMiddleware is used: health checks name a task's IP address, and it answers them with 400."""
    return any("TrustedHostMiddleware" in name for module in app.modules for name in module.imports)


def _said_twice(variables: list[EnvVariable], values: dict[str, str]) -> set[str]:
    """Returns the redundant names: a URL in addition to its parts, or the parts in addition to the URL."""
    dropped: set[str] = set()
    for url, parts in PARTS.items():
        store = url.partition(".")[0]
        urls = [v for v in variables if values[v.name] == url]
        has_parts = all(any(values[v.name] == part for v in variables) for part in parts)
        if not urls or not has_parts:
            continue
        if any(v.required for v in urls):
            own = (f"{store}.host", f"{store}.port", f"{store}.name", f"{store}.user", f"{store}.password")
            dropped |= {v.name for v in variables if values[v.name] in own and not v.required}
        else:
            dropped |= {v.name for v in urls}
    return dropped


def _place(app: DetectedApp, mapped: MappedVariables, variable: EnvVariable, value: str) -> None:
    name = stem(variable)
    if rules.NOT_THE_APPS.match(name):
        return
    if name in rules.GIVEN and not (variable.prefix and name == "HOST"):
        if variable.required and name.startswith("AWS_") and name != "AWS_REGION":
            mapped.unmapped[variable.name] = f"{variable.place}: {rules.GIVEN[name]}, and let the app start without it"
        return
    if value == "stack.tier":
        _place_tier(app, mapped, variable)
    elif value:
        mapped.variables[variable.name] = value
        if "." in value and value.partition(".")[0] in ("database", "cache", "queue", "bucket"):
            mapped.needs.add(value.partition(".")[0])
    elif rules.REGION.match(name) and (variable.required or name == "AWS_DEFAULT_REGION"):
        for stack in STACKS:
            mapped.of_stacks.setdefault(stack, {})[variable.name] = "us-east-1"
    elif rules.OVERFLOW.match(name):
        mapped.environment[variable.name] = "0"  # in addition to the counted pool
    elif rules.IS_PRODUCTION.match(name) and variable.kind in ("bool", ""):
        for stack in STACKS:
            mapped.of_stacks.setdefault(stack, {})[variable.name] = "true" if stack in ("staging", "prod") else "false"
    elif rules.CACHE_NUMBER.match(name) and variable.required:
        mapped.environment[variable.name] = "0"
    elif rules.SSL_MODE.match(name):
        mapped.environment[variable.name] = "verify-full"
    elif NO_STORE.match(variable.default) and not variable.default.startswith("sqs:"):
        _place_unknown(app, mapped, variable)
    elif rules.looks_secret(name, variable.kind, variable.default):
        mapped.secrets[variable.name] = "required" if variable.required else "optional"
    elif not variable.required:
        mapped.defaults.append(variable.name)
    else:
        _place_unknown(app, mapped, variable)


def _place_unknown(app: DetectedApp, mapped: MappedVariables, variable: EnvVariable) -> None:
    """Places a required variable without a value of the kit."""
    example = app.example_values.get(variable.name, "")
    if NO_STORE.match(variable.default or example):
        mapped.secrets[variable.name] = "required"
        store = (variable.default or example).partition(":")[0]
        mapped.unmapped[variable.name] = f"{variable.place}: the kit has no store for {store}; configure its address"
    elif example and not rules.looks_secret(stem(variable), variable.kind, "") and not has_password(example):
        mapped.environment[variable.name] = example
        mapped.from_examples[variable.name] = example
    else:
        mapped.secrets[variable.name] = "required"
        mapped.unmapped[variable.name] = (
            f"{variable.place}: its value is unknown. Configure it for each stack, or set it under environment"
        )


def has_password(value: str) -> bool:
    """Whether a value is a URL with a password, which must not be committed."""
    return bool(rules.WITH_PASSWORD.search(value))


def _place_tier(app: DetectedApp, mapped: MappedVariables, variable: EnvVariable) -> None:
    """Maps the tiers dev, staging and prod, or the app's names of them."""
    words = variable.choices or (tuple(rules.LONG_WORDS.values()) if _says_production(app, variable) else ())
    if not words or set(rules.LONG_WORDS) <= set(words):
        mapped.variables[variable.name] = "stack.tier"
        return
    lower = {word.lower(): word for word in words}
    for stack in STACKS:
        fitting = next((lower[word] for word in rules.TIER_WORDS[stack] if word in lower), "")
        if fitting:
            mapped.of_stacks.setdefault(stack, {})[variable.name] = fitting
        elif variable.required:
            mapped.unmapped[variable.name] = f"{variable.place}: none of {', '.join(words)} means {stack}"


def _stand_in(variable: EnvVariable) -> str:
    """Returns a placeholder of a required secret's type."""
    name = stem(variable)
    if variable.kind in ("int", "float") or name.endswith("_PORT"):
        return "1"
    if variable.kind == "bool":
        return "false"
    if is_json_list(variable.kind):
        return "{}" if "dict" in variable.kind.lower() else "[]"
    if name.endswith("_DSN"):
        return "https://placeholder@localhost/1"
    if "Url" in variable.kind or name.endswith(("_URL", "_URI", "_ENDPOINT")):
        return "http://localhost"
    if "EmailStr" in variable.kind or name.endswith(("EMAIL", "_FROM", "SENDER")):
        return "nobody@example.com"
    return "placeholder"


def _says_production(app: DetectedApp, variable: EnvVariable) -> bool:
    if variable.default in ("development", "production"):
        return True
    files = [module.text for module in app.modules if variable.used_as and variable.used_as in module.text]
    return any(re.search(r"""["'](production|development)["']""", text) for text in files)


def _only_in_examples(app: DetectedApp, mapped: MappedVariables) -> None:
    """Maps names of .env files that no source reads, if no other variable is mapped to the store."""
    read_names = {variable.name for variable in app.variables}
    for name in app.example_values:
        value = "" if name in read_names else rules.value_for(name)
        store = value.partition(".")[0]
        used = {"database": bool(app.stores.driver), "cache": app.stores.redis}.get(store, False)
        if used and store not in mapped.needs and value.endswith(".url"):
            mapped.variables[name] = value
            mapped.needs.add(store)
