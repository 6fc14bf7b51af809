"""HAProxy as the router, through its runtime socket.

In: splits and pins. Out: what it has served. Errors: RolloutError, where the socket does not answer or a
command is refused. HAProxy forgets all of it when it ends: `apply` says everything each time, and `pin`
brings back what a controller has kept of `pins`.
"""

from __future__ import annotations

import csv
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.errors import RolloutError
from shipway.rollout.traffic.haproxy_config import STATE
from shipway.rollout.traffic.split import CONVERSATION, SLOTS, Served

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shipway.rollout.traffic.split import Backend, Slot, Split

BACKEND = "agent"
TIMEOUT_S = 5.0
_NEWS = ("IP changed", "port changed", "no need to change", "no change", "nothing changed")
AT_ONCE = 200
"""Commands of one request to the socket, which takes lines of 16 KB."""

_PIN = re.compile(r" key=(\S+) .*?server_id=([0-9]+)")

_NUMBERS: dict[Slot, int] = {slot: number for number, slot in enumerate(SLOTS, 1)}


class HAProxy:
    """One HAProxy that runs with `haproxy_config.config`; implements Traffic."""

    def __init__(self, path: str) -> None:
        self._path = path

    def apply(self, split: Split) -> None:
        """Addresses, then weights, then, where nobody may stay, the pins of the one without weight."""
        commands: list[str] = []
        weights = split.weights
        filled = {backend.slot: backend for backend in (split.stable, split.canary) if backend}
        for slot in SLOTS:
            commands += (
                _fill(filled[slot]) if slot in filled else [f"set server {BACKEND}/{slot} state maint"]
            )
        commands += [f"set server {BACKEND}/{slot} weight {weight}" for slot, weight in weights.items()]
        if not split.stay:
            commands += [
                f"clear table {BACKEND} data.server_id eq {_NUMBERS[slot]}"
                for slot, weight in weights.items()
                if not weight
            ]
        self._say(commands)
        self._keep(100 in weights.values())

    def served(self) -> dict[Slot, Served]:
        """What each slot has had since HAProxy started."""
        rows = csv.DictReader(self._ask(f"show stat {BACKEND} 4 -1").removeprefix("# ").splitlines())
        found = {row["svname"]: row for row in rows}
        return {
            slot: Served(
                total=int(found[slot]["stot"] or 0),
                active=int(found[slot]["scur"] or 0),
                ready=found[slot]["status"].startswith("UP"),
            )
            for slot in SLOTS
        }

    def pins(self) -> dict[str, Slot]:
        """Where each conversation is pinned."""
        return _pins(self._ask(f"show table {BACKEND}"))

    def pin(self, pins: dict[str, Slot]) -> None:
        """Pin what is not pinned yet; names that are no conversation's are left out."""
        known = self.pins() if pins else {}
        self._say(
            [
                f"set table {BACKEND} key {conversation} data.server_id {_NUMBERS[slot]}"
                for conversation, slot in pins.items()
                if conversation not in known and CONVERSATION.fullmatch(conversation)
            ]
        )

    def show_certificates(self, path: str, pem: str) -> None:
        """From now on these are shown, in place of those that were read from `path`; nobody is cut off."""
        lines = "\n".join(line for line in pem.splitlines() if line.strip())
        taken = self._ask(f"set ssl cert {path} <<\n{lines}\n")
        done = self._ask(f"commit ssl cert {path}")
        if "Success" not in done:
            said = " ".join(f"{taken} {done}".split())
            raise RolloutError(f"HAProxy refuses the certificates: {said}")

    def _keep(self, alone: bool) -> None:
        """Where everybody goes to one revision, a HAProxy that starts anew may send them there at once.

        Where they are split it must not: it would send conversations anywhere before it is told their pins.
        """
        file = Path(self._path).with_name(STATE)
        try:
            if not alone:
                file.unlink(missing_ok=True)
                return
            fresh = file.with_suffix(".new")
            fresh.write_text(self._ask(f"show servers state {BACKEND}"))
            fresh.replace(file)
        except OSError as error:
            raise RolloutError(f"{file} is not written: {error.strerror}") from None

    def _say(self, commands: Sequence[str]) -> None:
        """Commands that answer nothing where they succeed, or say what they changed."""
        for start in range(0, len(commands), AT_ONCE):
            answer = self._ask(";".join(commands[start : start + AT_ONCE]))
            refused = [line for line in answer.splitlines() if line.strip() and not _is_news(line)]
            if refused:
                raise RolloutError(f"HAProxy refuses: {refused[0]}")

    def _ask(self, command: str) -> str:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(TIMEOUT_S)
                connection.connect(self._path)
                connection.sendall(f"{command}\n".encode())
                return b"".join(iter(lambda: connection.recv(65_536), b"")).decode()
        except OSError as error:
            raise RolloutError(f"HAProxy does not answer at {self._path}: {error}") from None


def _fill(backend: Backend) -> list[str]:
    server = f"{BACKEND}/{backend.slot}"
    return [
        f"set server {server} addr {backend.host} port {backend.port}",
        f"set server {server} state ready",
    ]


def _is_news(line: str) -> bool:
    """Nothing but what was asked for; 2.6 and 3.0 have different words."""
    return line.startswith(_NEWS)


def _pins(table: str) -> dict[str, Slot]:
    """A line is `0x…: key=c1 use=0 exp=86399000 shard=0 server_id=1 server_key=a`; there may be 200,000."""
    slots = {str(number): slot for slot, number in _NUMBERS.items()}
    return {key: slots[number] for key, number in _PIN.findall(table) if number in slots}
