"""Rules about agent.toml that hold where users are: in every environment but those of developers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.check.manifests.servers import HEAVY
from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.spec.load import Loaded  # noqa: TC004 - annotations are never evaluated


_DEVELOPERS = frozenset({"dev", "local", "test", "ci"})
_SUITES = ("evals", "eval", "promptfooconfig.yaml", "promptfooconfig.yml")


@dataclass(frozen=True, slots=True)
class Production:
    """A project's environments, as agent.toml has them, and the project's directory."""

    root: Path
    environments: tuple[Loaded, ...]


def read_production(path: Path) -> Production:
    """The environments of an agent.toml that are for users. Raises SpecError."""
    from shipway.spec.load import load  # brings pydantic, which only a project with an agent.toml needs

    names = [name for name in load(path).spec.env if name not in _DEVELOPERS]
    return Production(path.parent, tuple(load(path, name) for name in names))


def callers_are_known(production: Production) -> Iterator[Seen]:
    """Outside of development, it is said who may call.

    The runtime has no default for it, and does not start without: one would leave the agent open, the other
    one closed.
    """
    for loaded in production.environments:
        if loaded.spec.api.auth is None:
            from shipway.render.targets.table import UNASKED  # who has no agent.toml waits for no renderer

            message, fix = UNASKED
            yield Seen(message.format(loaded.env), fix, loaded.merged.line(("env", str(loaded.env))))


def spend_is_limited(production: Production) -> Iterator[Seen]:
    """Outside of development, a day's spend or tokens have a limit.

    A loop in an agent, or one visitor with a script, spends a month's money in a night. Quotas at the
    provider end all of your agents at once.
    """
    for loaded in production.environments:
        policy = loaded.spec.policy
        if loaded.spec.model and policy.spend is None and policy.tokens is None:
            message = f"nothing limits what {loaded.env} spends"
            fix = 'add [policy] with tokens = "2M/day", or spend = "20USD/day" and the model\'s prices'
            yield Seen(message, fix, loaded.merged.line(("env", str(loaded.env))))


def evals_are_there(production: Production) -> Iterator[Seen]:
    """A project that is deployed has evals.

    Tests say whether the code works. Whether the answers got worse, by a new prompt or a new model, only
    questions with judged answers say.
    """
    if production.environments and not any((production.root / name).exists() for name in _SUITES):
        loaded = production.environments[0]
        if loaded.spec.evals is None:
            message = f"it goes to {loaded.env}, and no evals say whether its answers got worse"
            fix = "keep questions, with what a good answer has, in evals/*.jsonl"
            yield Seen(message, fix, loaded.merged.line(("env", str(loaded.env))))


def sidecars_have_limits(production: Production) -> Iterator[Seen]:
    """A sidecar has a limit of memory.

    MCP servers keep what they fetch, and leak processes. Without a limit of its own, the kernel looks for the
    largest process when memory ends, and that is the agent.
    """
    for loaded in production.environments[:1]:
        for name, server in loaded.spec.mcp.items():
            if server.shape == "sidecar" and server.resources.memory is None:
                message = f"the sidecar {name} has no limit of memory"
                yield Seen(message, 'resources = { memory = "256Mi" }', loaded.merged.line(("mcp", name)))


def heavy_servers_are_shared(production: Production) -> Iterator[Seen]:
    """Where there are several replicas, a heavy MCP server is a service.

    Each replica brings along what is inside of it or beside it. Ten replicas are ten browsers, which are idle
    most of the time, and an agent waits for its own at every start.
    """
    for loaded in production.environments:
        replicas = loaded.spec.resources.replicas
        for name, server in loaded.spec.mcp.items() if replicas > 1 else ():
            words = " ".join([name, *([server.run] if isinstance(server.run, str) else server.run or ())])
            if server.shape != "service" and HEAVY.search(words):
                message = f"{name} is heavy, and each of {replicas} replicas in {loaded.env} has one"
                yield Seen(message, 'write shape = "service"', loaded.merged.line(("mcp", name)))
