"""Databases and caches of [services], run in a container: in development alone.

In: a service of the plan. Out: its Compose service, its volume, and the URL by which the agent finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shipway.plan.stack import Service

_PASSWORD = "development"  # noqa: S105 - nobody but the stack's own network reaches it
_OFTEN = {"interval": "5s", "timeout": "5s", "retries": 5, "start_period": "30s"}


@dataclass(frozen=True, slots=True)
class Database:
    """`url` is None for what we know no URL of: then the environment gives it."""

    service: dict[str, Any]
    volume: str
    url: str | None


def database(service: Service) -> Database:
    """The container of a service. Other kinds than PostgreSQL and Redis run, and their URL is given."""
    volume = f"{service.name}-data"
    if service.kind == "postgres":
        return Database(
            _postgres(service, volume), volume, f"postgresql://postgres:{_PASSWORD}@{service.name}/postgres"
        )
    if service.kind == "redis":
        return Database(_redis(service, volume), volume, f"redis://{service.name}/0")
    return Database({"image": service.image}, "", None)


def _postgres(service: Service, volume: str) -> dict[str, Any]:
    """PGDATA is below the volume: until 17 the image has a volume of its own at its default."""
    place = "/var/lib/postgresql/shipway"
    return {
        "image": service.image,
        "environment": {"POSTGRES_PASSWORD": _PASSWORD, "PGDATA": f"{place}/data"},
        "volumes": [f"{volume}:{place}"],
        "healthcheck": {"test": ["CMD", "pg_isready", "-U", "postgres", "-h", "127.0.0.1"], **_OFTEN},
    }


def _redis(service: Service, volume: str) -> dict[str, Any]:
    return {
        "image": service.image,
        "volumes": [f"{volume}:/data"],
        "healthcheck": {"test": ["CMD", "redis-cli", "ping"], **_OFTEN},
    }
