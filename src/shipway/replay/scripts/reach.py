"""Replies that are never used, because an earlier one answers whatever they would.

In: the replies of a directory. Out: findings. Only what is certain is said: an expression that implies
another one in a way that a program cannot see is left to the person.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shipway.errors import Finding
from shipway.replay.scripts.reading import RULE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from shipway.replay.scripts.replies import Reply

_EVERYTHING = frozenset({"", ".*", "(?s).*", "(.*)", "(?s)(.*)", "^", "^.*", "^.*$"})
_SPECIAL = re.compile(r"[\\.^$*+?{}\[\]|()]")


def unreachable(replies: Sequence[Reply], directory: Path) -> Iterator[Finding]:
    """A finding for each reply that an earlier one hides."""
    ordered = sorted(replies, key=lambda reply: reply.rank)
    for number, later in enumerate(ordered):
        earlier = next((reply for reply in ordered[:number] if _hides(reply, later)), None)
        if earlier:
            file, _, line = later.place.rpartition(":")
            message = f"never used: {earlier.place} already answers {_what(earlier)}"
            fix = f"move it above {earlier.place}" if not later.default else "add `when`, or remove it"
            yield Finding(RULE, message, fix, str(directory / file), int(line))


def _what(reply: Reply) -> str:
    if reply.default:
        return "everything"
    return f"all that matches '{reply.when.pattern}'" if reply.when else "all of that"


def _hides(earlier: Reply, later: Reply) -> bool:
    if earlier.times is not None or earlier.default != later.default:
        return False
    conditions = ("when_said", "when_system", "when_model")
    if not all(_implied(getattr(earlier, name), getattr(later, name)) for name in conditions):
        return False
    if bool(earlier.when_tools) != bool(later.when_tools) or not set(earlier.when_tools) <= set(
        later.when_tools
    ):
        return False
    if earlier.when_tools != later.when_tools:
        return earlier.when is None or earlier.when.pattern in _EVERYTHING
    return _implied(earlier.when, later.when)


def _implied(wanted: re.Pattern[str] | None, given: re.Pattern[str] | None) -> bool:
    """Whether `wanted` is found in every text in which `given` is."""
    if wanted is None or wanted.pattern in _EVERYTHING:
        return True
    if given is None:
        return False
    return wanted.pattern == given.pattern or _contains(given.pattern.lower(), wanted.pattern.lower())


def _contains(pattern: str, literal: str) -> bool:
    """Whether all that the pattern matches has this text in it."""
    if _SPECIAL.search(literal) or re.search(r"[|\[]|\(\?|\)[?*{]", pattern):
        return False
    at = pattern.find(literal)
    end = at + len(literal)
    return at >= 0 and pattern[end : end + 1] not in {*"?*{"} and pattern[max(0, at - 1) : at] != "\\"
