"""`shipway ask`: ask the agent that runs here."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click


@click.command("ask")
@click.argument("question")
@click.option("--url", help="The API's address; default: the stack that runs in this directory.")
@click.option("--conversation", metavar="C", help="Go on with this conversation.")
@click.option("--json", "as_json", is_flag=True, help="The whole response object, when it is complete.")
@click.option("-C", "--directory", type=click.Path(path_type=Path), default=".", help="The project.")
def command(question: str, url: str | None, conversation: str | None, as_json: bool, directory: Path) -> None:
    """Ask the agent that runs here. The answer is on stdout as it comes, the conversation on stderr.

    Where the agent wants to know who calls, SHIPWAY_API_KEY in the environment holds the key or the token.
    """
    from shipway.local import state
    from shipway.local.ask import KEY, Answer, ask

    written = False
    for part in ask(url or state.require(directory).api, question, conversation, os.environ.get(KEY)):
        if isinstance(part, Answer):
            if as_json:
                click.echo(json.dumps(part.response, indent=2, ensure_ascii=False))
            elif written:
                click.echo()
            name = part.conversation
            click.echo(f"conversation {name}; go on with --conversation {name}", err=True)
        elif not as_json:
            click.echo(part.text, nl=False)
            written = True
