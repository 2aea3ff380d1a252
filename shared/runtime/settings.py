"""Every setting of every process: read once in `__main__`, frozen, passed by hand."""

import os
from collections.abc import Mapping
from typing import Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "LAUREL_"


class SettingsError(Exception):
    """A setting is wrong or unknown; the text names it and says what is allowed."""


class Settings(BaseSettings):
    """What an operator can set, each as `LAUREL_<NAME>`. Secrets have no default."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    namespace: str = Field("laurel", pattern=r"^[a-z0-9-]{1,32}$")
    """Prefixes topics, groups, instance ids and databases: stacks live side by side."""
    kafka_servers: str = "127.0.0.1:9092"
    mongo_url: str = "mongodb://127.0.0.1:27017/?replicaSet=laurel"
    partitions: int = Field(8, ge=1, le=1023)
    """The same for every topic, fixed for the life of the log; 1,023 is what a number can hold."""
    worker: str = Field("0", pattern=r"^[a-z0-9-]{1,32}$")
    """Names this process in its group: the same name comes back to the same partitions."""

    host: str = "127.0.0.1"
    gateway_port: int = 8080
    program_port: int = 8081
    query_port: int = 8082
    query_url: str = "http://127.0.0.1:8082"
    """Where clients reach the query service: the gateway's `Location` points there."""
    health_port: int = 0
    """Where a worker answers `/livez`, `/readyz`, `/metrics`; 0: nowhere."""

    keys: SecretStr = SecretStr("")
    """Credentials, `key:tenant:role` with commas between; roles: `admin`, `read`."""
    content_secret: SecretStr = SecretStr("")
    """Keys the content hash of events; must stay the same for the life of the log."""

    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")
    log_format: str = Field("json", pattern="^(json|console)$")
    virtual_clock: bool = False
    """Whether `POST /v1/program/clock` may move time (never in production)."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Raises `SettingsError` for a wrong value and for an unknown `LAUREL_` name."""
        known = {PREFIX + name.upper() for name in cls.model_fields}
        unknown = sorted(
            name for name in environment if name.startswith(PREFIX) and name not in known
        )
        if unknown:
            raise SettingsError(f"unknown setting {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        values = {
            name: environment[PREFIX + name.upper()]
            for name in cls.model_fields
            if PREFIX + name.upper() in environment
        }
        try:
            return cls(**values)  # type: ignore[arg-type]  # pydantic converts the texts
        except ValidationError as error:
            first = error.errors()[0]
            name = PREFIX + str(first["loc"][0]).upper()
            raise SettingsError(f"{name}: {first['msg']}") from error

    def topic(self, name: str) -> str:
        """`events.log` → `laurel.events.log`."""
        return f"{self.namespace}.{name}"

    def database(self, service: str) -> str:
        """`points` → `laurel_points`."""
        return f"{self.namespace}_{service}"

    def instance(self, service: str) -> str:
        """The static member id of this worker, `<namespace>.<service>.<worker>`."""
        return f"{self.namespace}.{service}.{self.worker}"
