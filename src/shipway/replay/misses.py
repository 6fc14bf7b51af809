"""What is said when nothing answers: what was asked, what came closest, the likely cause, what to do.

In: a tape, a request, and what is known of why. Out: the text that the SDK's exception carries and that the
log shows.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.replay.apis import providers
from shipway.replay.matching import nearest, wording
from shipway.replay.scripts.replies import heard
from shipway.replay.tape import canonical_body, place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shipway.replay.apis.provider import Provider
    from shipway.replay.exchange import Request
    from shipway.replay.matching.nearest import Near
    from shipway.replay.scripts.conversation import Asked
    from shipway.replay.scripts.replies import Chosen, Reply
    from shipway.replay.tape import Recording, Tape

_PASTED = 60  # characters of the user's message in a reply to paste
_QUOTED = 160  # characters of a result that is shown
_CAUSES = 6
_REPLIES = 4  # that came close
_SPECIAL = re.compile(r"([\\.^$*+?{}\[\]|()])")


def near(tape: Tape, request: Request) -> Near | None:
    """The recording that comes closest: of the same path, else of the same API."""
    return nearest.find(_candidates(tape, request), canonical_body(request, tape.ignored))


def _candidates(tape: Tape, request: Request) -> list[Recording]:
    where = place(request)
    same = [recording for recording in tape.recordings if recording.place == where]
    if same:
        return same
    method, provider = request.method.upper(), providers.find(request.path)
    others = (recording.place.split(" ", 1) for recording in tape.recordings)
    return [
        recording
        for recording, (verb, path) in zip(tape.recordings, others, strict=True)
        if verb == method and provider and providers.find(path) is provider
    ]


def unanswered(
    tape: Tape, request: Request, asked: Asked | None, found: Near | None, offered: Iterable[str] = ()
) -> str:
    """Neither a recording nor a script. `offered` are the request's tools."""
    lines = [f"nothing in {tape.directory} answers this {request.method} {request.path}."]
    if found:
        lines += comparison(tape, request, found)
    elif not tape.recordings and not tape.replies:
        lines.append("There is neither a recording nor a scripted reply.")
    if asked:
        lines += _waiting(tape.replies, asked) + misnamed(tape.replies, asked, offered)
    return "\n".join([*lines, *_what_to_do(tape, asked, recorded=found is not None)])


def comparison(tape: Tape, request: Request, found: Near) -> list[str]:
    """The likely causes, and where the nearest recording differs."""
    recording = next(each for each in tape.recordings if each.file == found.file)
    sent = canonical_body(request, tape.ignored)
    causes = wording.causes(found, sent)[:_CAUSES]
    if recording.place != place(request):
        causes.insert(0, f"{recording.place} was recorded, {place(request)} is asked")
    if not causes:
        return [f"Nearest is {found.file}, and nothing in it differs: it has just changed; ask again."]
    head = f"{causes[0][0].upper()}{causes[0][1:]}"
    return [
        f"{'; '.join([head, *causes[1:]])}.",
        f"Nearest is {found.file}:",
        *wording.lines(found.differences),
    ]


def foreign(tape: Tape, request: Request) -> str:
    """A path that is no provider's."""
    lines = [f"nothing in {tape.directory} answers {request.method} {request.path}."]
    fewer = request.path.rstrip("/").replace("//", "/").replace("/v1/v1/", "/v1/")
    if fewer != request.path and providers.find(fewer):
        lines.append(f"The SDK's base URL has too much at its end: {fewer} is what the API has.")
    else:
        lines.append(f"A script answers {providers.KNOWN}; anything else has to be recorded.")
    return "\n".join(lines)


def unmet(chosen: Chosen, request: Request, provider: Provider) -> str:
    """A scripted reply that the request rules out; empty for one that it allows."""
    offered = sorted(provider.tools(request.body))
    problem = provider.demands(request.body).unmet(chosen.say, chosen.calls, offered)
    missing = next((call.tool for call in chosen.calls if call.tool not in offered), "")
    if not missing:
        return f"{chosen.place} {problem}" if problem else ""
    if alike := _alike(missing, offered):
        fix = f'Write tool = "{alike}", or give the agent {missing}.'
    else:
        fix = "Give the agent this tool, or call one that it has."
    return f"{chosen.place} {problem}\n{fix}"


def misnamed(replies: Iterable[Reply], asked: Asked, offered: Iterable[str]) -> list[str]:
    """Replies that wait for a tool whose name is nearly one that the request offers."""
    names = sorted({*offered, *(name for turn in asked.turns for name in turn.last.results)})
    return [
        f"{reply.place} waits for {tool}, which is not offered: {alike} is"
        for reply in replies
        for tool in reply.when_tools
        if tool not in names and (alike := _alike(tool, names))
    ]


def _alike(name: str, names: list[str]) -> str:
    """The name that was meant: a prefix such as `mcp__time__` apart, or a letter or two."""
    parts = [other for other in names if other.endswith((f"_{name}", f".{name}", f"-{name}"))]
    return next(iter([*parts, *difflib.get_close_matches(name, names, 1, 0.75)]), "")


# -- What to do ----------------------------------------------------------------------------------------------


def _waiting(replies: Iterable[Reply], asked: Asked) -> list[str]:
    """Replies that wait for this, or have words of the question, and did not find their `when`."""
    turn = asked.turns[-1]
    lines = []
    for reply in replies:
        text = heard(reply, turn)
        if text is None or not reply.when or reply.when.search(text):
            continue
        if reply.when_tools or _words(reply.when.pattern) & _words(text):
            lines.append(f"{reply.place} looks for '{reply.when.pattern}' in: {_short(text, _QUOTED)}")
    return lines[:_REPLIES]


def _words(text: str) -> set[str]:
    """Its words of four letters and more."""
    return set(re.findall(r"[^\W\d_]{4,}", text.lower()))


def _what_to_do(tape: Tape, asked: Asked | None, *, recorded: bool) -> list[str]:
    lines = ["To record the real answer: shipway up --record-missing"]
    if asked:
        script = _script(tape)
        lines.append(f"To script one, put into {script} (it is read at once):")
        lines += [f"    {line}" for line in reply_to(asked)]
    if recorded and asked:
        lines.append("To make a text that changes by itself not count: [[ignore]] with text = '…' there.")
    return lines


def _script(tape: Tape) -> Path:
    own = next((file for file in tape.stamps if file.endswith(".toml")), "scripted.toml")
    return Path(tape.directory, own)


def reply_to(asked: Asked) -> list[str]:
    """A [[reply]] to paste, which answers this."""
    last = asked.turns[-1].last
    names = [f'"{name}"' for name in last.results]
    if names:
        condition = f"when_tool = {names[0] if len(names) == 1 else '[' + ', '.join(names) + ']'}"
    else:
        condition = f"when = '{_pattern(last.text)}'"
    return ["[[reply]]", condition, 'say = "…"']


def _pattern(text: str) -> str:
    """A regular expression, for single quotes, that finds the beginning of the text."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")[:_PASTED]
    return _SPECIAL.sub(r"\\\1", line).replace("'", ".")


def _short(text: str, size: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= size else f"{line[:size]}…"
