"""The rule about code and settings that the image takes along: MCP servers that they would fetch.

In: the files that COPY takes from the context, as far as people write them. Out: findings at that COPY,
because JSON has no comments in which somebody could answer for one.
"""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.dockerfiles.subject import Context, Copied, Dockerfile

_MOST = 3_000
"""Files that are looked at for one COPY."""
_READ = (".py", ".json", ".yaml", ".yml", ".toml", ".ts", ".js", ".mjs")
_NOT_ENTERED = frozenset({"node_modules", "tests", "test", "docs", "examples", "__pycache__", "venv", "dist"})
_FETCHED = re.compile(r"""\bcommand["']?\s*[:=]\s*\[?\s*["'](npx|uvx|bunx|pipx)\b""")
"""In any language: `command="npx"`, `"command": "npx"`, `command: ["npx", …`, `command = "npx -y …"`."""


def servers_are_in_the_image(dockerfile: Dockerfile) -> Iterator[Seen]:
    """Code and settings start MCP servers that are in the image, not through `npx` or `uvx`.

    Those fetch the server when the agent starts it: another version than yesterday's, nothing while the index
    is down, and nothing ever on a read-only root or in an image without Node.
    """
    for stage in dockerfile.stages.image:
        for copied in dockerfile.copied(stage.all("COPY", "ADD")):
            for place, program in _fetching(dockerfile.context, copied):
                message = f"{place} starts an MCP server by {program}, which fetches it when the agent runs"
                fix = "install the server, with its version, while the image is built; start its program"
                yield Seen(message, fix, copied.instruction.line)


def _fetching(context: Context, copied: Copied) -> Iterator[tuple[str, str]]:
    """Where something is fetched: `file:line`, and by which program."""
    for path in _files(context, copied.source):
        text = context.text(path) or ""
        for match in _FETCHED.finditer(text):
            yield f"{path}:{text.count(chr(10), 0, match.start()) + 1}", match[1]


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
        if path.suffix in _READ:
            yield path.relative_to(context.root).as_posix()


def _walk(top: Path) -> Iterator[Path]:
    if top.is_file():
        yield top
    for directory, names, files in os.walk(top):
        names[:] = sorted(n for n in names if n not in _NOT_ENTERED and not n.startswith("."))
        yield from (Path(directory, name) for name in sorted(files))
