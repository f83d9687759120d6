"""What bodies and queries have in common: unknown fields are refused, and so is what is no text."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator

from app.core.text import line, storable

Line = Annotated[str, Field(min_length=1), AfterValidator(line)]
"""One line that shows something."""


class Input(BaseModel):
    """What a request brings. Every text in it can be kept in the database, whatever its field's type says."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*", mode="after")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        if isinstance(value, SecretStr):
            storable(value.get_secret_value())
        return storable(value) if type(value) is str else value


def _without_defaults(schema: dict[str, Any]) -> None:
    for field in schema["properties"].values():
        field.pop("default", None)


LEFT_OUT: Any = None
"""The default of a Change's fields."""


class Change(Input):
    """What to change: what is left out stays, and nothing can be set to null."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    def changes(self) -> dict[str, Any]:
        """What was given."""
        return self.model_dump(exclude_unset=True)
