"""The journal: which file answered when, and what had no recording, so that `verify` can say what is used.

In: the requests and answers of one run, a run being the life of one process. Out: lines of JSON in a file
that several processes may append to; docs/reference/formats.md has them, and runs.py reads them.

The first answer by a file is a line; further ones are counted, and the counts are the last line. A request
costs a look into a dictionary, and nothing waits for the disk: writing.py does that.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from shipway.replay.drift import prompts, provenance
from shipway.replay.drift.writing import Writer
from shipway.replay.player import COUNTED
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from shipway.replay.traffic import Answer, Answerer, Incoming

_OURS = "/_shipway/"  # what is asked of the replay itself
_KINDS = 200  # of misses and SDKs that one run notes: more of them say nothing new
_PATHS = 20  # differences that are noted of a miss


@contextlib.contextmanager
def keep(inner: Answerer, file: Path | None) -> Iterator[Answerer]:
    """`inner` with a journal, where there is a file for one."""
    if file is None:
        yield inner
        return
    directory, declared = provenance.surroundings(os.environ)
    with Journal(inner, file, prompts.digests(prompts.read(directory)), declared) as journal:
        yield journal


class Journal:
    """An Answerer that notes what `inner` answers. Leaving its context ends the run.

    `prompts` are their digests at the start, `declared` is the model that agent.toml names: a recording that
    the run uses is known to go with them.
    """

    def __init__(
        self, inner: Answerer, file: Path, prompts: Mapping[str, str] = {}, declared: str = ""
    ) -> None:
        self._inner = inner
        self._run = os.urandom(4).hex()
        self._used: Counter[str] = Counter()
        self._kinds: set[object] = set()
        self._writer = Writer(file)
        self._note(format=contract.FORMAT, model=declared, prompts=dict(prompts))

    async def answer(self, incoming: Incoming) -> Answer:
        answer = await self._inner.answer(incoming)
        if answer.source == COUNTED or incoming.request.path.startswith(_OURS):
            return answer  # nothing was asked of a model
        self._used[answer.source] += 1
        if not answer.source.endswith(".json"):
            self._unrecorded(incoming, answer)
        elif self._used[answer.source] == 1:
            self._note(file=answer.source)
        headers = incoming.headers
        if self._is_new((headers.get("x-stainless-package-version"), headers.get("user-agent"))):
            self._note(sdk=provenance.sdk(headers, incoming.request.path))
        return answer

    def _unrecorded(self, incoming: Incoming, answer: Answer) -> None:
        """A script answered, or nothing: what was nearest, and the tools that the request offered."""
        what = {"file": answer.source, "near": answer.near, "differs": answer.differs[:_PATHS]}
        if self._is_new((answer.source, answer.near, answer.differs)):
            request = incoming.request
            self._note(**what, tools=lambda: provenance.tools(request))

    def _is_new(self, kind: object) -> bool:
        if kind in self._kinds or len(self._kinds) >= _KINDS:
            return False
        self._kinds.add(kind)
        return True

    def _note(self, **line: Any) -> None:
        self._writer.put({"run": self._run, "at": round(time.time(), 3), **line})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        used = {source: count for source, count in self._used.items() if source}
        self._note(requests=self._used.total(), missed=self._used[""], used=used)
        self._writer.close()
