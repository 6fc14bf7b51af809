"""The metrics of one process: what is measured in it, and the page on which Prometheus finds it.

In: sources, functions that give metric families. Out: Prometheus' text, or OpenMetrics for who asks for it.
prometheus-client is imported by the first request for the page, in a thread: a container's first answer must
not wait for it. Whoever measures keeps plain numbers, and adds a source that makes families of them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from . import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client import Metric

    Source = Callable[[], Iterable[Metric]]


class Metrics:
    """Every source of a process. A source is called in another thread than its numbers are counted in."""

    def __init__(self) -> None:
        self._sources: list[Source] = [_registered]

    def add(self, source: Source) -> None:
        self._sources.append(source)

    async def page(self, accept: str) -> tuple[str, bytes]:
        """The content type and the page, for the value of an Accept header."""
        return await asyncio.to_thread(self._render, accept)

    def _render(self, accept: str) -> tuple[str, bytes]:
        from prometheus_client.exposition import choose_encoder

        encode, content_type = choose_encoder(accept)
        return content_type, encode(self)

    def collect(self) -> Iterator[Metric]:
        """All families, as an encoder of prometheus-client asks for them."""
        for source in self._sources:
            yield from _families(source)


def _families(source: Source) -> list[Metric]:
    """What a source gives, as far as it comes: collectors of the agent's own are among them."""
    found: list[Metric] = []
    try:
        found.extend(source())
    except Exception as error:  # noqa: BLE001 - others' code; the rest of the page is not to suffer
        log.error("a source of metrics failed, the page ends early there", exc_info=error)
    return found


def _registered() -> Iterable[Metric]:
    """Process and interpreter, and whatever the agent's code registers with prometheus-client itself."""
    from prometheus_client import REGISTRY

    return REGISTRY.collect()
