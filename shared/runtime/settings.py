"""Every setting of every process: read once in `__main__`, frozen, passed by hand."""

import os
from collections.abc import Mapping
from typing import Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "LAUREL_"


class SettingsError(Exception):
    """A setting is wrong or unknown; the text names it and says what is allowed."""


class Settings(BaseSettings):
    """What an operator can set, each as `LAUREL_<NAME>`. Secrets have no default."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    namespace: str = Field("laurel", pattern=r"^[a-z0-9-]{1,32}$")
    """Prefixes topics, groups, instance ids and databases: stacks live side by side."""
    stack_folder: str = ".local"
    """Data, logs and process ids of the local stack; relative to the repository's root."""
    kafka_port: int = Field(9092, ge=1, le=65534)
    """Of the local stack's Kafka; the port after it is its controller's."""
    mongo_port: int = Field(27017, ge=1, le=65535)
    mongo_cache_gb: float = Field(0.25, ge=0.25)
    """What the local stack's mongod keeps in memory; 0.25 is the least it accepts."""

    kafka_servers: str = Field(default_factory=lambda known: f"127.0.0.1:{known['kafka_port']}")
    """Given: these brokers are used, and the local stack starts none."""
    mongo_url: str = Field(
        default_factory=lambda known: (
            f"mongodb://127.0.0.1:{known['mongo_port']}/?replicaSet=laurel"
        )
    )
    """Given: this replica set is used, and the local stack starts none."""
    partitions: int = Field(8, ge=1, le=1023)
    """The same for every topic, fixed for the life of the log; 1,023 is what a number can hold."""
    worker: str = Field("0", pattern=r"^[a-z0-9-]{1,32}$")
    """Names this process in its group: the same name comes back to the same partitions."""

    host: str = "127.0.0.1"
    gateway_port: int = 8080
    program_port: int = 8081
    query_port: int = 8082
    query_url: str = Field(default_factory=lambda known: f"http://127.0.0.1:{known['query_port']}")
    """Where clients and the program service reach the query service: the gateway's `Location`
    points there, and there the program asks what customers have on an account."""
    health_port: int = 0
    """Where a worker answers `/livez`, `/readyz`, `/metrics`; 0: nowhere."""

    keys: SecretStr = SecretStr("")
    """Credentials, `key:tenant:role` with commas between; roles: `admin`, `read`."""
    content_secret: SecretStr = SecretStr("")
    """Keys the content hash of events; must stay the same for the life of the log."""

    rate_events_per_second: int = Field(100_000, ge=0)
    """What each key may send to one gateway over time; 0: as much as it likes."""
    rate_burst_events: int = Field(200_000, ge=1)
    """What it may send at once after a pause. A larger batch passes too, after a pause as long."""

    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")
    log_format: str = Field("json", pattern="^(json|console)$")
    virtual_clock: bool = False
    """Whether `POST /v1/program/clock` may move time (never in production)."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the five names are pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what it is given: `Settings(...)` in a test must not see the shell's `LAUREL_`."""
        return (init_settings,)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Raises `SettingsError` for a wrong value and for an unknown `LAUREL_` name."""
        known = {PREFIX + name.upper() for name in cls.model_fields}
        unknown = sorted(
            name for name in environment if name.startswith(PREFIX) and name not in known
        )
        if unknown:
            raise SettingsError(
                f"unknown setting {', '.join(unknown)}; known: {', '.join(sorted(known))}"
            )
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
