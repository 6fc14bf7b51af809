"""How findings say what they saw: paths, values, the nearest known name. A secret's value is never said."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shipway.spec.positions import Path

_SECRET = re.compile(
    r"sk-[\w-]{12,}"  # Anthropic, OpenAI
    r"|shipway_[\w-]{40,}"  # keys of agents: shipway_runtime.keys makes them
    r"|gh[oprsu]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|xox[abeprs]-[\w-]{10,}"  # Slack
    r"|A[KS]IA[0-9A-Z]{16}|AIza[\w-]{30,}|hf_[A-Za-z]{30,}"
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}"  # JSON web tokens
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|[a-z][a-z0-9+]*://[^/\s:@]*:[^/\s@]+@"  # a password in a URL
)
_RANDOM = re.compile(r"(?=(?:[^0-9]*[0-9]){3})(?=[^a-z]*[a-z])[A-Za-z0-9+/=_-]{20,}")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def is_credential(text: str) -> bool:
    """Whether a text has the form of a known kind of token, private key, or URL with a password."""
    return bool(_SECRET.search(text))


def hidden(text: str) -> bool:
    """Whether a text is better not printed: a credential, or long and random enough to be one."""
    return is_credential(text) or bool(_RANDOM.search(text))


def dotted(path: Path) -> str:
    """A path as it would be written: `rollout.steps[1].weight`, `mcp."odd name".run`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if _BARE.fullmatch(part) else json.dumps(part, ensure_ascii=False)
            text += f".{name}" if text else name
    return text


def seen(value: Any) -> str:
    """A value as a reader of agent.toml would name it, in a few words."""
    if isinstance(value, str):
        if hidden(value):
            return "a text that looks like a secret (not shown)"
        short = value if len(value) <= 60 else value[:57] + "…"
        return json.dumps(short, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, tuple):
        return "a list" if value else "an empty list"
    return "a table" if isinstance(value, Mapping) else "a date or time"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is most likely a slip of the hand for."""
    import difflib  # takes 10 ms, and most files have nothing wrong

    found = {candidate.lower().replace("-", "_"): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower().replace("-", "_"), found, 1, 0.7)
    return found[close[0]] if close else None


def listed(names: Iterable[str], last: str = "and") -> str:
    """`a, b and c`."""
    *most, end = list(names) or [""]
    return f"{', '.join(most)} {last} {end}" if most else end


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Everything below a table that is neither table nor list, with its path."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value
