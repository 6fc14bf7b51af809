"""The commands -> docs/reference/commands.md: `python -m shipway.cli.reference --write`.

In: the table of commands. Out: a page with each command's usage, text and options, as `--help` says them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipway.cli.main import COMMANDS, cli

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path("docs/reference/commands.md")
_HEAD = """\
# Commands

stdout is data, stderr is talk. Exit codes: 0 done, 1 failed, 2 wrong usage or agent.toml, 3 a gate said no,
4 a gate cannot tell yet, 130 interrupted, 143 terminated.
`shipway --debug COMMAND …` shows the traceback of an error.
"""


def page() -> str:
    """The whole page; a test compares it with the file."""
    context = click.Context(cli, info_name="shipway")
    return "".join([_HEAD, *(text for name in COMMANDS for text in _sections(name, context))])


def _sections(name: str, parent: click.Context) -> Iterator[str]:
    group = parent.command
    found = group.get_command(parent, name) if isinstance(group, click.Group) else None
    if found is None:
        return
    context = click.Context(found, info_name=name, parent=parent)
    if isinstance(found, click.Group):
        for inner in found.list_commands(context):
            yield from _sections(inner, context)
        return
    usage = " ".join([context.command_path, *found.collect_usage_pieces(context)])
    yield f"\n## {context.command_path}\n\n```\n{usage}\n```\n\n{_paragraphs(found.help or '')}\n"
    if rows := list(_options(found, context)):
        yield "\n| option | meaning |\n|---|---|\n" + "".join(rows)


def _paragraphs(text: str) -> str:
    """The docstring without its line breaks: each paragraph is one line."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n")).strip()


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record and isinstance(parameter, click.Option):
            names, meaning = record
            yield f"| `{names.replace('|', chr(92) + '|')}` | {meaning} |\n"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())
