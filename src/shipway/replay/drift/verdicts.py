"""Which recordings still say what the agent would be answered today.

In: a directory of replays, the project as it is now, the last runs. Out: a `Verdict` for each recording and
each scripted reply, with its reasons in words; nothing is asked of anybody, and nothing is changed.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from shipway.errors import SpecError
from shipway.replay.apis import providers
from shipway.replay.drift import provenance
from shipway.replay.drift.inventory import Inventory
from shipway.replay.drift.now import Now
from shipway.replay.drift.runs import Runs
from shipway.replay.drift.signs import SIGNS, Subject, miss_signs, moment
from shipway.replay.drift.witnesses import Witness, tool_signs, witnesses
from shipway.replay.matching import ignored

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from shipway.replay.drift.inventory import Recorded, Scripted
    from shipway.replay.drift.runs import Run
    from shipway.replay.matching.ignored import Ignored

State = Literal["fresh", "stale", "unused", "unknown"]
_NO_META = "its meta does not say what it was made with, and no run used it as the project is now"
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one recording, or of one scripted reply, and why."""

    file: str
    """Below the directory; a reply's has its line: `scripted.toml:7`."""
    state: State
    reasons: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    """What is worth knowing and changes nothing."""
    scripted: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """Recordings first, then scripted replies; and the runs that were looked at."""

    verdicts: tuple[Verdict, ...]
    runs: Runs

    def recordings(self, state: State | None = None) -> tuple[str, ...]:
        """The files of the recordings, or of those that came to this."""
        found = (verdict for verdict in self.verdicts if not verdict.scripted)
        return tuple(verdict.file for verdict in found if state in (None, verdict.state))


def verify(directory: Path, now: Now | None, runs: Runs) -> Report:
    """Every verdict. Without a project (`now`), no recording is stale.

    Raises SpecError with every finding when a file cannot be read.
    """
    inventory = Inventory(directory)
    replies, without = inventory.replies()
    recordings = _judge(inventory.recordings(), now, runs, without)
    verdicts = (*recordings, *_judge_replies(replies, runs))
    if inventory.findings:
        raise SpecError(inventory.findings)
    return Report(verdicts, runs)


@dataclass(frozen=True, slots=True)
class _Examined:
    """What is kept of a recording when its exchange is not in memory any more."""

    subject: Subject
    asked: str
    reasons: tuple[str, ...]
    missed: tuple[str, ...]
    remarks: tuple[str, ...]


def _judge(recorded: Iterable[Recorded], now: Now | None, runs: Runs, without: Ignored) -> Iterator[Verdict]:
    examined = [_examine(one, now or Now(), runs, without) for one in recorded]
    seen = witnesses((one.subject for one in examined), {} if without else runs.tools)
    first: dict[str, str] = {}  # the first recording of each request
    for one in examined:
        file = one.subject.file
        earlier = first.setdefault(one.asked, file)
        if now is None:
            yield Verdict(file, "unknown", ("there is no agent.toml to compare it with",), one.remarks)
        else:
            state, reasons = _conclude(one, seen, earlier if earlier != file else "")
            yield Verdict(file, state, reasons, one.remarks)


def _examine(one: Recorded, now: Now, runs: Runs, without: Ignored) -> _Examined:
    request = one.exchange.request
    subject = Subject(one.file, one.exchange.meta, one.modified, now, runs)
    if without:  # digests in the meta and in the journal are of tools as they were sent
        kept = dataclasses.replace(request, body=ignored.apply(without, request.body))
        meta = subject.meta | {"tools": provenance.tools(kept)}
        subject = dataclasses.replace(subject, meta=meta)
    reasons = tuple(reason for sign in SIGNS for reason in sign(subject, request))
    missed = tuple(miss_signs(subject, request))
    return _Examined(subject, one.asked, reasons, missed, tuple(_remarks(one, runs)))


def _conclude(one: _Examined, seen: Mapping[str, Witness], earlier: str) -> tuple[State, tuple[str, ...]]:
    """The state and the reasons. `earlier` is another recording of the same request."""
    subject = one.subject
    if reasons := (*one.reasons, *tool_signs(subject, seen)) or one.missed:
        return "stale", reasons
    if reason := _unused(subject.file, subject.made, subject.runs):
        return "unused", (reason + (f"; it is a further answer to the request of {earlier}" * bool(earlier)),)
    proven = any(run.goes_with(subject.now) for run in subject.users)
    if not proven and not subject.meta.keys() & {"prompts", "tools", "model"}:
        return "unknown", (_NO_META,)
    return "fresh", ()


def _judge_replies(replies: Iterable[Scripted], runs: Runs) -> Iterator[Verdict]:
    """One verdict a reply. Lines move when a script is edited: runs before that say nothing of it."""
    for reply in replies:
        later = tuple(run for run in runs.runs if run.at > reply.modified)
        reason = _unused(reply.place, reply.modified, Runs(later))
        yield Verdict(
            reply.place, "unused" if reason else "fresh", (reason,) if reason else (), scripted=True
        )


def _unused(file: str, made: float, runs: Runs) -> str:
    """Why it counts as unused; empty when it was used, or when no run could have used it."""
    looked_at = [run for run in runs.asked if run.whole and run.at > made]
    if not looked_at or runs.last_used(file) is not None:
        return ""
    return f"not used by {describe(looked_at)}"


def describe(runs: Sequence[Run]) -> str:
    """How much was looked at: `the 2 runs since 2026-11-02 14:03 (31 requests)`."""
    requests = sum(run.requests for run in runs)
    asked = f"{requests} request{'' if requests == 1 else 's'}"
    if len(runs) == 1:
        return f"the run of {moment(runs[0].at)} ({asked})"
    return f"the {len(runs)} runs since {moment(runs[0].at)} ({asked})"


def _remarks(one: Recorded, runs: Runs) -> Iterator[str]:
    request = one.exchange.request
    if providers.find(request.path) is None:
        yield f"no API that the replay knows has the path {request.path}: only the same body is answered"
    recorded = str(one.exchange.meta.get("sdk", ""))
    for sdk in sorted(runs.runs[-1].sdks) if runs.runs else ():
        if _is_older(recorded, sdk):
            yield f"recorded with {recorded}, the last run used {sdk}"


def _is_older(recorded: str, used: str) -> bool:
    """Whether the same SDK has had a new major version since. 0.60 -> 1.0 counts as one."""
    (name, _, old), (same, _, new) = recorded.partition("/"), used.partition("/")
    majors = old.partition(".")[0], new.partition(".")[0]
    return name == same and all(map(str.isdigit, majors)) and int(majors[0]) < int(majors[1])
