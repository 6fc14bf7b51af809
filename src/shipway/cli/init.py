"""`shipway init`: agent.toml for the project that is here, and a scripted reply in place of the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipway.errors import Finding, SpecError

if TYPE_CHECKING:
    from shipway.spec.detect import Candidate, Detected

_KEYS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY", "gemini": "GEMINI_API_KEY"}
_MODELS = {"anthropic": "claude-sonnet-5", "openai": "gpt-5", "gemini": "gemini-2.5-pro"}
"""Written, and said to be a guess, where the sources name no model."""

_SCRIPT = """\
# Scripted replies: what the model "says" until there is a recording. Without `when`, a reply is the default.
# More: docs/reference/scripts.md

[[reply]]
when = "(?i)^hello"
say = "Hello! I am {name}, and nobody paid for this answer: it comes from replays/scripted.toml."

[[reply]]
say = "This is a scripted reply. Write others in replays/scripted.toml, or point me at a real model."
"""


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False, exists=True), default=".")
@click.option("--entrypoint", metavar="MODULE:NAME", help="The agent, where it is not found by itself.")
def command(directory: Path, entrypoint: str | None) -> None:
    """Write agent.toml for the project that is here. Nothing of the project is run or changed."""
    from shipway.spec.detect import detect
    from shipway.spec.load import load
    from shipway.spec.lock import read_lock
    from shipway.spec.project import read_project

    target = directory / "agent.toml"
    if target.exists():
        raise SpecError([Finding("exists", f"{target} is there already", "edit it, or move it away first")])
    found = detect(directory)
    chosen = entrypoint or _choose(found, directory).entrypoint
    target.write_text(render(found, chosen), encoding="utf-8")
    try:
        read_project(load(target))
    except SpecError:
        target.unlink()
        raise
    script = _write_script(found, directory)
    _tell(found, chosen, read_lock(directory).kind, target, script)


def _choose(found: Detected, directory: Path) -> Candidate:
    if found.candidates:
        return found.candidates[0]
    expected = "a function that takes `messages`, an agent of a framework, or an ASGI application"
    message = f"no agent found in {directory.resolve()}; expected {expected}"
    fix = "write `async def agent(messages, ctx): …` in agent.py, or name yours: --entrypoint MODULE:NAME"
    raise SpecError([Finding("no-entrypoint", message, fix)])


def render(found: Detected, entrypoint: str) -> str:
    """The text of agent.toml: what was found, and nothing that is a default."""
    lines = [f'name = "{found.name}"', f'entrypoint = "{entrypoint}"']
    if found.prompts:
        lines.append(f'prompts = "{found.prompts}"')
    if found.provider:
        lines += ["", "[model]", f'provider = "{found.provider}"', _model_name(found)]
        lines += ["", "[secrets]", f'{_KEYS[found.provider]} = "env"']
    for server in found.servers:
        lines += ["", f"[mcp.{server.name}]"]
        lines += [f'url = "{server.url}"'] if server.url else [f'run = "{server.run}"']
        lines += [f"args = {json.dumps(list(server.args))}"] if server.args else []
    return "\n".join(lines) + "\n"


def _model_name(found: Detected) -> str:
    if found.model:
        return f'name = "{found.model}"'
    return f'name = "{_MODELS[found.provider or "anthropic"]}"  # a guess: the sources name none'


def _write_script(found: Detected, directory: Path) -> Path | None:
    replays = directory / "replays"
    if not found.provider or (replays.is_dir() and any(replays.iterdir())):
        return None
    replays.mkdir(exist_ok=True)
    script = replays / "scripted.toml"
    script.write_text(_SCRIPT.replace("{name}", found.name), encoding="utf-8")
    return script


def _tell(found: Detected, chosen: str, lock: str, target: Path, script: Path | None) -> None:
    seen = {c.entrypoint: c for c in found.candidates}.get(chosen)
    place = f" ({seen.kind}, {seen.file}:{seen.line})" if seen else ""
    click.echo(f"entry point   {chosen}{place}", err=True)
    others = [c.entrypoint for c in found.candidates if c.entrypoint != chosen]
    if others:
        click.echo(f"  not chosen  {', '.join(others[:4])}", err=True)
    click.echo(f"dependencies  {lock if lock != 'none' else 'none found'}", err=True)
    if found.provider:
        model = found.model or "no name found: agent.toml has a guess"
        click.echo(f"model         {found.provider}, {model}", err=True)
    for words in found.skipped:
        click.echo(f"left out      {words}: not yet", err=True)
    click.echo(f"wrote         {', '.join(str(p) for p in (target, script) if p)}", err=True)
    ask = "curl, at the address it prints" if seen and seen.kind == "ASGI" else "shipway ask hello"
    click.echo(f"\nnext: shipway up, and in another terminal: {ask}", err=True)
