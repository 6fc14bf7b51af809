"""The users of a demonstration: they have conversations through the router, and notice what goes wrong.

In: the router's address. Out: turns that were answered, turns that were lost, and conversations that another
revision went on with, each with its time.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx2

REVISION = "x-shipway-revision"
THINKING_S = 0.3
QUESTIONS = ("Where is order {number}?", "Is order {number} late?", "When are you open?", "Is this a person?")


@dataclass(frozen=True)
class Move:
    """A conversation went from one revision to another."""

    at: float
    left: str
    joined: str


@dataclass
class Users:
    """A number of people who talk at once, each in one conversation after another."""

    url: str
    people: int
    conversations: int = 0
    turns: int = 0
    lost: list[str] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._live, args=(n,)) for n in range(self.people)]

    def come(self) -> None:
        """Begin to talk, unless they do."""
        for thread in self._threads:
            if thread.ident is None:
                thread.start()

    def served_by(self) -> str:
        """The revision that one more user meets."""
        with httpx2.Client(base_url=self.url, timeout=60, trust_env=False) as http:
            answer = self._ask(http, {"input": QUESTIONS[-1]})
        return str(answer.headers[REVISION]) if answer else ""

    def close(self) -> None:
        """Let each finish its turn, and leave."""
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _live(self, number: int) -> None:
        chance = random.Random(number)
        with httpx2.Client(base_url=self.url, timeout=60, trust_env=False) as http:
            while not self._stop.wait(chance.uniform(0, THINKING_S)):
                self._converse(http, chance)

    def _converse(self, http: httpx2.Client, chance: random.Random) -> None:
        """Two or three turns. A conversation that breaks is not gone on with."""
        with self._lock:
            self.conversations += 1
        known: dict[str, str] = {}
        revision = ""
        for turn in range(chance.choice((2, 3))):
            if turn and self._stop.wait(chance.uniform(0.5, 1.5) * THINKING_S):
                return
            question = chance.choice(QUESTIONS).format(number=chance.randrange(1000, 2000))
            answer = self._ask(http, {"input": question, **known})
            if answer is None:
                return
            known = {"previous_response_id": answer.json()["id"]}
            joined = answer.headers[REVISION]
            if revision and joined != revision:
                self.moves.append(Move(time.time(), revision, joined))
            revision = joined

    def _ask(self, http: httpx2.Client, body: dict[str, Any]) -> httpx2.Response | None:
        try:
            answer = http.post("/v1/responses", json=body)
            if answer.status_code == 200 and answer.json()["output"]:
                with self._lock:
                    self.turns += 1
                return answer
            self.lost.append(f"{answer.status_code}: {answer.text[:200]}")
        except (httpx2.HTTPError, ValueError, KeyError) as error:
            self.lost.append(f"{type(error).__name__}: {error}")
        return None
