"""Signs that a recording is stale, each a function of what is known of it, and each in words.

In: a `Subject`: what is known of one recording, of the project as it is now and of the last runs. Out:
reasons, as a person reads them. `SIGNS` are in the project's files; those of tools (witnesses.py) need all
recordings; `miss_signs` are told where none of these says why.

A run in which the recording was used outweighs what its meta says: the agent did ask exactly this.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.replay.drift import prompts, provenance
from shipway.replay.drift.now import Now
from shipway.replay.drift.runs import Runs
from shipway.replay.matching import anatomy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shipway.replay.drift.runs import Run, Unrecorded
    from shipway.replay.exchange import Request

_CONVERSATION = re.compile(rf"({'|'.join(anatomy.CONVERSATION)})(?:\[(\d+)\])?(?:[.\[]|$)")
_SHOWN = 60  # characters of a line that is new in a prompt
_PATHS = 3  # differences that are named


@dataclass(frozen=True, slots=True)
class Subject:
    """One recording but for its exchange: its meta, and when its file was changed (since the epoch)."""

    file: str
    meta: dict[str, Any]
    modified: float
    now: Now
    runs: Runs

    @property
    def made(self) -> float:
        """When it was recorded; where its meta does not say, when its file was changed."""
        at = provenance.recorded_at(self.meta)
        return self.modified if at is None else at

    @property
    def recorded(self) -> str:
        """`recorded on 2026-11-02`, or `recorded` where the meta has no date."""
        at = provenance.recorded_at(self.meta)
        return "recorded" if at is None else f"recorded on {moment(at)[:10]}"

    @property
    def used(self) -> float:
        """When it last answered; 0 for never."""
        return self.runs.last_used(self.file) or 0.0

    @property
    def proven(self) -> float:
        """What was seen until then says nothing: it was made, changed, or used after that."""
        return max(self.made, self.modified, self.used)

    @property
    def users(self) -> Iterator[Run]:
        """The runs that used it."""
        return (run for run in self.runs.runs if self.file in run.used)

    def noted(self, key: str) -> dict[str, Any]:
        """A table of the meta; empty where there is none, or something else."""
        value = self.meta.get(key)
        return value if isinstance(value, dict) else {}


def prompt_signs(subject: Subject, request: Request) -> Iterator[str]:
    now = subject.now
    for name, digest in subject.noted("prompts").items():
        file = f"{now.directory}/{name}" if now.directory else name
        text = now.prompts.get(name)
        if text is None:
            yield f"{file} is gone since it was {subject.recorded}"
        elif (today := prompts.digest(text)) != digest and not any(
            run.prompts.get(name) == today for run in subject.users
        ):
            yield f"{file} changed since it was {subject.recorded}{_new_line(text, request)}"


def _new_line(text: str, request: Request) -> str:
    """What the prompt says now and the recorded request does not."""
    line = next(prompts.missing(text, request.body), None)
    if line is None:
        return ""
    return f": it now says “{line[:_SHOWN]}{'…' if len(line) > _SHOWN else ''}”"


def model_signs(subject: Subject, request: Request) -> Iterator[str]:
    now, recorded = subject.now, subject.meta.get("model") or provenance.model(request)
    if not now.model or not recorded or recorded == now.model or recorded in now.others:
        return
    if subject.meta.get("declared_model", recorded) != recorded:
        return  # the agent asks for this model by itself
    if not any(run.model == now.model for run in subject.users):
        yield f"agent.toml says {now.model}, and it was {subject.recorded} with {recorded}"


def age_signs(subject: Subject, request: Request) -> Iterator[str]:
    """A model changes behind its name. What has no date has no age."""
    at, oldest = provenance.recorded_at(subject.meta), subject.now.oldest
    if at is not None and oldest is not None and at < oldest:
        yield f"{subject.recorded}, which is too long ago"


def miss_signs(subject: Subject, request: Request) -> Iterator[str]:
    """Of runs with the project as it is now that did not use the recording: then it was another request."""
    same = [
        unrecorded
        for run, unrecorded in subject.runs.near.get(subject.file, ())
        if unrecorded.at > subject.proven
        and subject.file not in run.used
        and run.goes_with(subject.now)
        and unrecorded.differs
        and not _asks_otherwise(unrecorded, request)
    ]
    if same:
        last = same[-1]
        instead = f"{last.source} answered instead" if last.source else "it was a miss"
        yield f"the run of {moment(last.at)} asked this, and {instead}: {named(last.differs)}"


def _asks_otherwise(missed: Unrecorded, request: Request) -> bool:
    """Whether the user's own words differ: then it was another question."""
    return any(_is_question(request.body, path) for path in missed.differs)


def _is_question(body: Any, path: str) -> bool:
    found = _CONVERSATION.match(path)
    messages = body.get(found[1]) if found and isinstance(body, dict) else None
    if found is None or messages is None:
        return False
    if not isinstance(messages, list) or found[2] is None:
        return True
    at = int(found[2])
    return at >= len(messages) or anatomy.role(messages[at]) == "user"  # or the conversation went on


def named(paths: tuple[str, ...]) -> str:
    """`system, tools[get_time].description differ`"""
    more = f" and {len(paths) - _PATHS} more" if len(paths) > _PATHS else ""
    verb = "differs" if len(paths) == 1 else "differ"
    return f"{', '.join(paths[:_PATHS])}{more} {verb}"


def moment(at: float) -> str:
    """Seconds since the epoch as people here write it: 2026-11-02 14:03."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


SIGNS: tuple[Callable[[Subject, Request], Iterator[str]], ...] = (
    prompt_signs,
    model_signs,
    age_signs,
)
