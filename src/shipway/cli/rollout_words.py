"""How a rollout stands, as a terminal shows it: steps, split, gate, health, and what has happened.

In: a snapshot, what else is known of it, the terminal's size. Out: lines of pieces, each a text with a style
(in rich's words); without styles they say the same. No clock: times are as the snapshot has them.
"""

from __future__ import annotations

import math
import textwrap
import time
from typing import TYPE_CHECKING

from shipway.cli.tables import age

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shipway.rollout_snapshot import GateSeen, Known, Order, RevisionSeen, Snapshot

Piece = tuple[str, str]
"""A text and its style; the style is empty where there is none."""
Shown = tuple[Piece, ...]

_LABEL = 9
_BAR = 20
_FEWEST = 4  # lines of the audit trail, however small the terminal is
_MARKS = {"done": ("✓", "green"), "now": ("▸", "bold"), "later": ("·", "dim"), "stopped": ("✗", "red")}
_COLOURS = {"pass": "green", "fail": "bold red", "inconclusive": "yellow"}


def view(title: str, known: Known, rollout: Snapshot, width: int = 100, height: int = 50) -> list[Shown]:
    """Everything, in lines no wider than that; the trail is as long as the height lets it be."""
    above = [
        ((title, "bold"), (f"   {rollout.canary.revision} over {rollout.stable.revision}", "")),
        (),
        *_steps(rollout),
        (),
        *_said("phase", phase(rollout), width, _phase_style(rollout)),
        *(_said("", rollout.why, width) if rollout.why else ()),
        tuple(_split(rollout)),
        *(_gate(rollout.gate, width) if rollout.gate else ()),
        *_health("canary", rollout.canary, width, ended=rollout.ended),
        *_health("stable", rollout.stable, width, ended=rollout.ended),
        *(_said("trouble", rollout.trouble, width, "yellow") if rollout.trouble else ()),
        *(line for one in known.orders for line in _said("order", waiting(one), width, "yellow")),
        *(_said("silence", words, width, "bold yellow") if (words := silence(known)) else ()),
        (),
    ]
    return above + _trail(rollout, width)[-max(_FEWEST, height - len(above) - 1) :]


def text(line: Shown) -> str:
    """A line without its styles."""
    return "".join(piece for piece, _ in line)


def phase(rollout: Snapshot) -> str:
    """Where it is, in a sentence."""
    canary, stable = rollout.canary.revision, rollout.stable.revision
    since = f"since {clock(rollout.since)}"
    match rollout.phase:
        case "starting":
            return f"{canary} comes up {since}; nobody has it yet"
        case "evaluating":
            return f"the paired suite asks both {since}; nobody has {canary} yet"
        case "stepping":
            return f"{rollout.percent} % of new conversations go to {canary} {since}"
        case "paused":
            return f"paused {since}; {rollout.percent} % of new conversations go to {canary}"
        case "promoting":
            return f"everybody goes to {canary}; {stable} ends"
        case "aborting":
            return f"everybody goes back to {stable}; {canary} ends"
        case "promoted":
            return f"promoted at {clock(rollout.since)}: {canary} is stable"
        case "aborted":
            return f"rolled back at {clock(rollout.since)}: {stable} stays"


def health(revision: RevisionSeen, *, ended: bool = False) -> str:
    """Ready, or not and why; after the end of a rollout one of the two has ended, too."""
    if revision.health == "ready":
        return f"{revision.revision} is ready"
    if ended and revision.health == "absent":
        return f"{revision.revision} has ended"
    since = f" since {clock(revision.since)}" if revision.since else ""
    state = "not ready" if revision.health == "unready" else "not there"
    why = f": {'; '.join(revision.causes)}" if revision.causes else ""
    return f"{revision.revision} is {state}{since}{why}"


def waiting(order: Order) -> str:
    """An order that the controller has not heard."""
    return f"{order.what}, by {order.by} at {clock(order.at)}: {order.reason}; not heard yet"


def silence(known: Known) -> str:
    """That the controller is away; empty where it is not."""
    if not known.away or known.seen is None:
        return ""
    return f"the controller was not heard of since {clock(known.seen)}; all this is as it was then"


def clock(at: float) -> str:
    """12:04:31, of this machine's time; with the day where that is another one."""
    then, now = time.localtime(at), time.localtime()
    day = "" if then[:3] == now[:3] else time.strftime("%Y-%m-%d ", then)
    return day + time.strftime("%H:%M:%S", then)


def clean(words: str) -> str:
    """What people and containers have said cannot steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in words)


# -- Its parts -----------------------------------------------------------------------------------------------


def _steps(rollout: Snapshot) -> tuple[Shown, Shown]:
    """━━━━━━━  ━━━━━  ━━━━────────────  ─────
    ✓ evals  ✓ 5 %  ▸ 25 %, 12 min of 1 h  · 100 %"""
    names = ["evals"] * rollout.suite + [_step(rollout, number) for number in range(len(rollout.steps))]
    bar: list[Piece] = []
    below: list[Piece] = []
    for state, name in zip(_states(rollout), names, strict=True):
        mark, style = _MARKS[state]
        said = f"{mark} {name}"
        done = {"done": 1.0, "now": _held(rollout), "stopped": 0.0, "later": 0.0}[state]
        filled = min(math.ceil(len(said) * done), len(said))
        bar += [("━" * filled, "green"), ("─" * (len(said) - filled), style if done else "dim"), ("  ", "")]
        below += [(f"{said}  ", style)]
    return tuple(bar), tuple(below)


def _held(rollout: Snapshot) -> float:
    """How much of the step is over."""
    hold = _hold(rollout) if rollout.course == "stepping" else 0.0
    return min(rollout.held_s / hold, 1.0) if hold else 0.0


def _step(rollout: Snapshot, number: int) -> str:
    step = rollout.steps[number]
    if number == rollout.step and rollout.course == "stepping":
        hold = _hold(rollout)
        until = f" of {age(hold)}" if hold else ", until it is judged"
        return f"{step.weight} %, {age(rollout.held_s)}{until}"
    return f"{step.weight} %, {age(step.hold_s)}" if step.hold_s else f"{step.weight} %"


def _hold(rollout: Snapshot) -> float:
    """How long the step lasts that it is at; 0 where nobody knows."""
    return (rollout.steps[rollout.step].hold_s or 0.0) * (2 if rollout.extended else 1)


def _states(rollout: Snapshot) -> Iterator[str]:
    """Of the suite, where there is one, and of each step."""
    total = rollout.suite + len(rollout.steps)
    at = rollout.suite + rollout.step
    match rollout.course:
        case "promoting" | "promoted":
            at = total
        case "starting":
            at = -1
        case "evaluating":
            at = 0
        case "aborting" | "aborted":
            begun = rollout.step > 0 or rollout.gate is not None
            at = at if begun else 0
    gone = rollout.course in ("aborting", "aborted")
    for number in range(total):
        yield "done" if number < at else "later" if number > at or at < 0 else "stopped" if gone else "now"


def _phase_style(rollout: Snapshot) -> str:
    colours = {"paused": " yellow", "promoted": " green", "aborted": " red", "aborting": " red"}
    return "bold" + colours.get(rollout.phase, "")


def _split(rollout: Snapshot) -> Iterator[Piece]:
    filled = round(rollout.percent / 100 * _BAR)
    if 0 < rollout.percent < 100:
        filled = min(max(filled, 1), _BAR - 1)
    yield f"{'split':<{_LABEL}}", "dim"
    yield "█" * filled, "cyan"
    yield "░" * (_BAR - filled), "dim"
    yield f" {rollout.percent} % {rollout.canary.revision}, ", ""
    yield f"{100 - rollout.percent} % {rollout.stable.revision}", ""


def _gate(gate: GateSeen, width: int) -> Iterator[Shown]:
    yield (
        (f"{'gate':<{_LABEL}}", "dim"),
        *_evidence(gate.evidence, gate.threshold),
        (f"  {gate.verdict}", _COLOURS[gate.verdict]),
    )
    yield from _said("", gate.words, width)
    longest = max((len(one.metric) for one in gate.metrics), default=0)
    for one in gate.metrics:
        yield (
            (" " * _LABEL, ""),
            (f"{one.metric:<{longest + 2}}", "bold"),
            *_evidence(one.harm, gate.threshold),
        )
        yield from _said("", one.words.removeprefix(f"{one.metric}: "), width, "dim", more=longest + 2)


def _evidence(evidence: float, threshold: float) -> Iterator[Piece]:
    """Bets multiply, so evidence of harm is shown by its logarithm: nothing from 1 down, full at the
    threshold."""
    from shipway.gate.words import amount

    part = math.log(max(evidence, 1.0)) / math.log(threshold) if threshold > 1 else 1.0
    filled = min(math.ceil(part * _BAR), _BAR) if part < 1 else _BAR
    style = "red" if part >= 1 else "yellow" if part >= 0.5 else "green"
    yield "█" * filled, style
    yield "░" * (_BAR - filled), "dim"
    yield f" {amount(evidence)} of {threshold:.4g}", ""


def _health(label: str, revision: RevisionSeen, width: int, *, ended: bool) -> Iterator[Shown]:
    style = {"ready": "green", "unready": "yellow", "absent": "" if ended else "red"}[revision.health]
    return _said(label, health(revision, ended=ended), width, style)


def _trail(rollout: Snapshot, width: int) -> list[Shown]:
    found: list[Shown] = []
    for line in rollout.trail:
        when = f"{clock(line.at)} {line.who}  "
        first, *others = _wrapped(line.words, width - len(when))
        found.append(((when, "dim"), (first, "")))
        found += [((" " * len(when), ""), (other, "")) for other in others]
    return found


def _said(label: str, words: str, width: int, style: str = "", more: int = 0) -> Iterator[Shown]:
    """Words beside their label, wrapped."""
    left = _LABEL + more
    for number, part in enumerate(_wrapped(words, width - left)):
        yield ((f"{label if number == 0 else '':<{left}}", "dim"), (part, style))


def _wrapped(words: str, width: int) -> Iterable[str]:
    return textwrap.wrap(clean(words), max(width, 20)) or [""]
