"""An Answerer that spoils another one's answers.

In: rules, and requests. Out: the other's answers, some with a fault. Who is hit follows from the rules and
from the requests alone: luck is drawn from seed, request and how often it came, so that requests that arrive
in another order, or at once, are hit all the same. `every` and `times` count in order of arrival.

A fault that keeps an answer from the client does not use it up: the next try of the same request gets it.
Recordings as they are made, misses and recorded errors are never spoilt.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shipway.replay import tape
from shipway.replay.apis import providers
from shipway.replay.app import FAULT_HEADER
from shipway.replay.faults import kinds, rules
from shipway.replay.faults.rules import Rule, RuleError
from shipway.replay.traffic import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shipway.replay.apis.provider import Provider
    from shipway.replay.traffic import Answerer, Incoming


@dataclass(slots=True)
class Armed:
    """A rule in use. `until` is on time.monotonic's clock. `seen` are the requests that it is about."""

    rule: Rule
    until: float | None = None
    seen: int = 0
    hits: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def hit(self, key: str) -> bool:
        """Whether this request, which the rule is about, is hit; it is counted either way."""
        self.seen += 1
        self.counts[key] += 1
        rule = self.rule
        is_turn = self.seen % rule.every == 0 and (rule.times is None or self.hits < rule.times)
        if not is_turn or not rule.draws(key, self.counts[key]):
            return False
        self.hits += 1
        return True


class Faulty:
    """An Answerer. `given` are the rules of the tape; others come and go while it runs."""

    def __init__(self, answerer: Answerer, given: Iterable[Rule] = ()) -> None:
        self._answerer = answerer
        self._given = [Armed(rule) for rule in given]
        self._demanded: list[Armed] = []
        self._kept: dict[tuple[str, bool], Answer] = {}

    def give(self, rules: Iterable[Rule]) -> None:
        """The rules of another tape, in place of those before; one that stays goes on counting."""
        known = {armed.rule: armed for armed in self._given}
        self._given = [known.get(rule) or Armed(rule) for rule in rules]
        self._kept.clear()

    def rewind(self) -> None:
        """Start over: the rules of the tape have seen nothing yet, and no answer is kept."""
        self._given = [Armed(armed.rule) for armed in self._given]
        self._kept.clear()

    async def answer(self, incoming: Incoming) -> Answer:
        request = incoming.request
        provider = providers.find(request.path)
        demand = incoming.headers.get(FAULT_HEADER)
        if provider is None or not (demand or self._kept or self._given or self._demanded):
            return await self._answerer.answer(incoming)
        try:
            asked = rules.read_header(demand) if demand else None
        except RuleError as error:
            return _refused(error, provider)
        key = hashlib.sha256(tape.key(request).encode()).hexdigest()
        place = (key, provider.streams(request))
        answer = self._kept.pop(place, None) or await self._answerer.answer(incoming)
        if not _is_good(answer):
            return answer
        rule = asked or self._choose(incoming, provider, key)
        return self._spoil(answer, rule, place, provider) if rule else answer

    def _choose(self, incoming: Incoming, provider: Provider, key: str) -> Rule | None:
        """The first rule that hits: those on demand, then those of the tape."""
        model, last = provider.model(incoming.request), provider.last_message(incoming.request.body)
        concerned = (armed for armed in self.armed() if armed.rule.concerns(model, last))
        return next((armed.rule for armed in concerned if armed.hit(key)), None)

    def _spoil(self, answer: Answer, rule: Rule, place: tuple[str, bool], provider: Provider) -> Answer:
        if not kinds.KINDS[rule.fault.kind].delivers:
            self._kept[place] = answer
        spoilt = kinds.spoil(answer, rule.fault, provider)
        return dataclasses.replace(spoilt, fault=f"{rule.fault} ({rule.place})")

    # -- On demand ---------------------------------------------------------------------------------------

    def arm(self, rule: Rule, for_s: float | None = None) -> None:
        """Use the rule from now on, before all others, for so many seconds."""
        self._demanded.insert(0, Armed(rule, None if for_s is None else time.monotonic() + for_s))

    def clear(self) -> int:
        """Forget what was demanded; the rules of the tape stay. How many it were."""
        count = len(self._demanded)
        self._demanded = []
        return count

    def armed(self) -> Iterator[Armed]:
        """The rules in the order in which they are asked."""
        now = time.monotonic()
        self._demanded = [armed for armed in self._demanded if armed.until is None or armed.until > now]
        yield from (*self._demanded, *self._given)


def _is_good(answer: Answer) -> bool:
    return bool(answer.source) and answer.live is None and 200 <= answer.status < 300


def _refused(error: RuleError, provider: Provider) -> Answer:
    """A test that asks for a fault which there is not must not pass because nothing went wrong."""
    text = f"shipway replay: {FAULT_HEADER}: {error}; {error.fix}"
    return Answer("", 400, {"x-should-retry": "false"}, provider.error(400, text), note=text)
