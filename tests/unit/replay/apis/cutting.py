"""Streams as a network gives them: the same bytes in other chunks, lines with another end."""

from __future__ import annotations

import itertools

from hypothesis import strategies as st

from shipway.replay.apis.provider import Events

ends = st.sampled_from(["\n", "\r\n", "\r"])
cuts = st.lists(st.integers(0, 4000), max_size=8)


def cut(events: Events, places: list[int], end: str = "\n") -> Events:
    """The stream of `events` in chunks that end at `places`, its lines with `end`."""
    stream = "".join(text for _, text in events).replace("\n", end)
    bounds = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [(0, stream[a:b]) for a, b in itertools.pairwise(bounds)]
