"""Rules about MCP servers and other sidecars: how they are reached, how many there are, what they take."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from shipway.check.dockerfiles.signals import installed_by
from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.manifests.subject import Manifests
    from shipway.check.manifests.workload import Container, Workload

HEAVY = re.compile(r"playwright|puppeteer|browser|chrom(e|ium)|selenium|libreoffice|torch|whisper", re.I)
"""What takes hundreds of megabytes, or a core."""
_STDIO = re.compile(r"(^|=|\s)stdio($|\s)")
_HTTP = re.compile(r"http|sse|--port\b")
_ONLY_STDIO = re.compile(
    r"@modelcontextprotocol/server-[\w-]+(@.+)?|(.*/)?mcp-server-(git|time|fetch|sqlite)"
)
"""Servers of the reference collection, which speak nothing else."""
_CATALOG = re.compile(r"(docker\.io/)?mcp/")
"""Docker's catalogue, whose images are started by its gateway, over stdio."""
_BRIDGES = frozenset({"mcp-proxy", "supergateway", "mcpo", "mcp-bridge", "shipway_runtime"})
"""Programs that start a stdio server themselves, and speak HTTP for it."""
_ENTERING = frozenset({"kubectl", "docker", "podman"})
_INTERACTIVE = frozenset(
    {"-i", "-it", "-ti", "--interactive", "--stdin", "--interactive=true", "--stdin=true"}
)
_WORD = re.compile(r"[^\s\"',\[\]{}:]+")


def servers_have_an_address(manifests: Manifests) -> Iterator[Seen]:
    """A container that is an MCP server speaks HTTP.

    Over stdio it serves the one process that started it. In a container nobody is at its stdin: it reads the
    end of it, stops, and is started again for ever.
    """
    for workload in manifests.workloads:
        for container in workload.own:
            if container.role != "init" and (said := _speaks_stdio(container)):
                message = f"{container.name} speaks stdio (`{said[:50]}`), and nobody is at its stdin"
                fix = "let it speak streamable HTTP, put a relay before it, or start it inside of the agent"
                yield Seen(message, fix, container.command_line or container.line, workload.file)


def _speaks_stdio(container: Container) -> str:
    """The word that says so, else empty."""
    words = container.command
    if not container.is_mcp or any(w.rpartition("/")[2] in _BRIDGES for w in (*words, container.program)):
        return ""
    variables = [f"{v.name}={v.value}" for v in container.env if "TRANSPORT" in v.name]
    said = next((text for text in (*words, *variables) if _STDIO.search(text)), "")
    if said or variables or _HTTP.search(" ".join(words)):
        return said
    named = [word for word in words if _ONLY_STDIO.fullmatch(word)]
    return next(iter(named), container.image if _CATALOG.match(container.image) and not words else "")


def servers_are_not_entered(manifests: Manifests) -> Iterator[Seen]:
    """No server is reached by `kubectl exec -i`, `docker exec -i` or `docker run -i`.

    It takes rights over the whole cluster or machine into a container that does what a model says, goes
    through the API server, and belongs to one client: there is no second replica of it.
    """
    for file in manifests.files:
        words = list(_WORD.finditer(file.text)) if "mcp" in file.text.lower() else []
        for position, word in enumerate(words):
            program = word[0].rpartition("/")[2]
            if program not in _ENTERING or "#" in file.text[: word.start()].rpartition("\n")[2]:
                continue
            after = [one[0] for one in words[position + 1 : position + 13]]
            verb = next((one for one in after[:6] if one in ("exec", "run")), "")
            if verb and _INTERACTIVE & set(after[after.index(verb) :]):
                message = f"an MCP server is reached by `{program} {verb} -i`"
                line = file.text.count("\n", 0, word.start()) + 1
                yield Seen(message, "let it speak HTTP: a sidecar, or a Service of its own", line, file.name)


def servers_are_shared(manifests: Manifests) -> Iterator[Seen]:
    """What is heavy, or what several agents need, is a service of its own and no sidecar.

    Each replica of an agent brings its sidecars along. Ten replicas are ten browsers, which are idle most of
    the time, and an agent waits for its browser at every start.
    """
    beside: dict[str, list[tuple[Workload, Container]]] = defaultdict(list)
    for workload in manifests.workloads:
        for container in workload.sidecars:
            if not container.is_mcp and not _is_heavy(container):
                continue
            fix = f"deploy {container.name} as a workload with a Service, and scale it by its own load"
            if _is_heavy(container) and workload.replicas > 1:
                message = f"{container.name} is heavy, and each of {workload.replicas:g} replicas has one"
                yield Seen(message, fix, container.line, workload.file)
            elif container.image:
                beside[container.image].append((workload, container))
    for places in beside.values():
        agents = sorted({f"{workload.kind} {workload.name}" for workload, _ in places})
        for workload, container in places if len(agents) > 1 else ():
            message = f"{container.name} runs beside {' and '.join(agents)}"
            fix = f"deploy {container.name} once, with a Service; state of its own is a reason not to"
            yield Seen(message, fix, container.line, workload.file)


def _is_heavy(container: Container) -> bool:
    return any(HEAVY.search(text) for text in (container.name, container.image, " ".join(container.command)))


def sidecars_have_limits(manifests: Manifests) -> Iterator[Seen]:
    """A sidecar has a limit of memory.

    MCP servers keep what they fetch, and leak processes. Without a limit of its own, the kernel looks for the
    largest process when memory ends, and that is the agent, or the neighbour's.
    """
    for workload in manifests.whole():
        for container in workload.sidecars:
            counts = container.is_mcp or workload.platform == "kubernetes"
            if counts and container.resources.memory_limit is None:
                fix = "set its limit of memory to twice what it needs, 256Mi for a small server"
                message = f"{container.name} has no limit of memory"
                yield Seen(message, fix, container.resources.line or container.line, workload.file)


def sidecars_are_native(manifests: Manifests) -> Iterator[Seen]:
    """Sidecars are `initContainers` with `restartPolicy: Always`.

    Siblings start and stop at the same moment. At the start the agent looks for tools that are not there yet;
    at the end they are gone while it finishes its turns; and a Job with one never ends. Kubernetes has
    sidecars that start before and stop after since 1.29. Of a sibling with a preStop hook nothing is said: it
    waits for something before it stops, as siblings of older clusters have to.
    """
    for workload in manifests.workloads:
        for container in workload.sidecars if workload.platform == "kubernetes" else ():
            waits = container.pre_stop is not None and workload.runs_on
            if not container.native and not container.is_backing and not waits:
                ends = (
                    "the Job never ends"
                    if not workload.runs_on
                    else "it stops while the agent still needs it"
                )
                message = f"{container.name} is a sibling of the agent: {ends}"
                fix = f"move {container.name} to initContainers, with restartPolicy: Always"
                yield Seen(message, fix, container.line, workload.file)


def nothing_is_installed_at_start(manifests: Manifests) -> Iterator[Seen]:
    """Starting a container installs nothing: no `npx`, `uvx`, `pip install`.

    What runs would be whatever the index has at that moment, which nobody has reviewed; a start takes as long
    as the download, and with the index down no replica starts. A read-only root refuses it altogether.
    """
    for workload in manifests.workloads:
        for container in workload.containers:
            found = (installed_by(command) for command in container.commands)
            if what := next(filter(None, found), ""):
                message = f"{container.name} starts with {what}, which installs"
                fix = "build an image that has it, with its version, and start what was installed"
                yield Seen(message, fix, container.command_line, workload.file)
