"""A deployment's end: its containers go, turns first; its volumes stay, unless they are to go as well.

In: the engine, a project. Out: whether anything was there; what is kept and what could not be removed, in
words. Errors: StackError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.errors import StackError
from shipway.plan.deployment import AGENT, LABEL, controller
from shipway.rollout.docker.definition import CONTAINER

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipway.deploy.engine import Engine


def remove(engine: Engine, project: str, say: Callable[[str], None], *, volumes: bool) -> bool:
    """Remove it. What is left of an earlier removal goes, too."""
    of = ("--filter", f"label={LABEL}={project}")
    containers = engine.ask("ps", "--all", *of, "--format", "{{.Names}}").split()
    kept = engine.ask("volume", "ls", *of, "--format", "{{.Name}}").split()
    networks = engine.ask("network", "ls", *of, "--quiet").split()
    if not (containers or kept or networks):
        return False
    controlling = controller(project)
    if controlling in containers:  # first: it would bring the others back
        _do(engine, "rm", "--force", controlling)
        containers.remove(controlling)
    if containers:
        say(f"ending {len(containers)} containers; turns that go on are finished")
        agents = ("--filter", f"label={CONTAINER}={AGENT}", "--quiet")
        if turning := engine.ask("ps", *of, *agents).split():  # what is beside them is needed until then
            _do(engine, "stop", *turning)
        _do(engine, "rm", "--force", *containers)
    if networks:
        _do(engine, "network", "rm", *networks)
    if volumes:
        _remove_data(engine, project, kept)
    elif kept:
        say(f"kept, with conversations, secrets and records: {', '.join(sorted(kept))}")
        say("shipway deploy goes on with them; shipway down --volumes removes them, and images of revisions")
    return True


def _remove_data(engine: Engine, project: str, volumes: list[str]) -> None:
    if volumes:
        _do(engine, "volume", "rm", *volumes)
    listing = ("image", "ls", "--filter", f"reference={project}/*", "--format", "{{.Repository}}:{{.Tag}}")
    if images := engine.ask(*listing).split():
        _do(engine, "image", "rm", *images)


def _do(engine: Engine, *command: str) -> None:
    """What is gone already need not be removed: somebody else may do the same."""
    done = engine.run(*command)
    if done.returncode and not _all_gone(done.stderr):
        raise StackError(f"docker {command[0]}: {' '.join(done.stderr.split())}")


def _all_gone(said: str) -> bool:
    lines = [line.lower() for line in said.splitlines() if line.strip()]
    return bool(lines) and all("no such" in line or "not found" in line for line in lines)
