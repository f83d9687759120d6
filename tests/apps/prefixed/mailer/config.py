"""Settings with a prefix, and a group of them with a delimiter."""

from enum import StrEnum

from pydantic import BaseModel, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Stage(StrEnum):
    development = "development"
    production = "production"


class Smtp(BaseModel):
    host: str
    port: int = 587
    password: SecretStr


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="MAILER_", env_nested_delimiter="__")

    env: Stage = Stage.development
    database_url: str
    database_pool_size: int = 5
    signing_key: SecretStr
    allowed_hosts: list[str] = ["*"]
    smtp: Smtp
    api_key: str
    sender: str


settings = Settings()
