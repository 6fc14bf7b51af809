"""Rules about code and settings that the image takes along: secrets, and MCP servers that they would fetch.

In: the files that COPY takes from the context, as far as people write them. Out: what they say.
"""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.build.secrets.scan import find_secrets
from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.dockerfiles.subject import Context, Dockerfile

_MOST = 3_000
"""Files that are looked at for one COPY."""
READ = (".py", ".json", ".yaml", ".yml", ".toml", ".ts", ".js", ".mjs")
_NOT_ENTERED = frozenset({"node_modules", "tests", "test", "docs", "examples", "__pycache__", "venv", "dist"})
_FETCHED = re.compile(r"""\bcommand["']?\s*[:=]\s*\[?\s*["'](npx|uvx|bunx|pipx)\b""")
"""In any language: `command="npx"`, `"command": "npx"`, `command: ["npx", …`, `command = "npx -y …"`."""
_MANIFEST = re.compile(r'(?m)^(?:apiVersion|kind|services):|"containerDefinitions"\s*:')
"""A file for an orchestrator: what that starts is judged there, and the image only has a copy of it."""


def servers_are_in_the_image(dockerfile: Dockerfile) -> Iterator[Seen]:
    """Code and settings start MCP servers that are in the image, not through `npx` or `uvx`.

    Those fetch the server when the agent starts it: another version than yesterday's, nothing while the index
    is down, and nothing ever on a read-only root or in an image without Node.
    """
    for stage in dockerfile.stages.image:
        for copied in dockerfile.copied(stage.all("COPY", "ADD")):
            for path in _files(dockerfile.context, copied.source):
                text = dockerfile.context.text(path) or ""
                for line, program in fetches(text) if not _MANIFEST.search(text) else ():
                    yield Seen(fetched_by(f"{path}:{line}", program), FETCHED, copied.instruction.line)


FETCHED = "install the server, with its version, while the image is built; start its program"


def fetched_by(place: str, program: str) -> str:
    """What is said of a place that starts a server through such a program."""
    return f"{place} starts an MCP server by {program}, which fetches it when the agent runs"


def fetches(text: str) -> Iterator[tuple[int, str]]:
    """The lines that start a server through a program that fetches it, and the program."""
    for match in _FETCHED.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[1]


def source_holds_no_secret(dockerfile: Dockerfile) -> Iterator[Seen]:
    """No file that goes into the image holds a key, a token or a password.

    Looked for are the forms that services give to their keys, and random values of names that end with
    `password`, `token`, `api_key`, in text that people wrote. A line that is no secret ends with
    `# shipway: allow-secret` and why. Where there is an agent.toml, `shipway build` looks, and refuses.
    """
    context = dockerfile.context
    copied = (c for stage in dockerfile.stages.all for c in dockerfile.copied(stage.all("COPY", "ADD")))
    files = {path for c in copied for path in _files(context, c.source)}
    for path in sorted(files) if not context.has("agent.toml") else ():
        for line, kind in find_secrets(path, (context.text(path) or "").encode()):
            message = f"this looks like a secret ({kind}), and the file goes into the image"
            fix = "read it from the environment when the agent runs; if it was committed, replace it"
            yield Seen(message, fix, line, str(context.root / path))


def _files(context: Context, source: str) -> Iterator[str]:
    """The files of a source that people wrote, in order."""
    parts = [part for part in source.split("/") if part not in ("", ".")]
    if ".." in parts:
        return
    try:
        tops = sorted(context.root.glob("/".join(parts))) if parts else [context.root]
        files = list(islice((path for top in tops for path in _walk(top)), _MOST))
    except (ValueError, OSError):
        return
    for path in files:
        if path.name.endswith(READ):
            yield path.relative_to(context.root).as_posix()


def _walk(top: Path) -> Iterator[Path]:
    if top.is_file():
        yield top
    for directory, names, files in os.walk(top):
        names[:] = sorted(n for n in names if n not in _NOT_ENTERED and not n.startswith("."))
        yield from (Path(directory, name) for name in sorted(files))
