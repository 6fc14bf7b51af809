"""Rules about [mcp.NAME]: where a server comes from, and which shape fits it.

In: a Spec and the Merged it was made from. Out: findings, in the order of `MCP_RULES`.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from shipway.spec.words import nearest, seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.errors import Finding
    from shipway.spec.merge import Merged
    from shipway.spec.model import Mcp, Spec

SOURCES = ("pypi", "npm", "image", "project")
MEANT = {"pip": "pypi", "pipy": "pypi", "node": "npm", "docker": "image", "oci": "image", "module": "project"}
LAUNCHERS = {"npx": "npm", "bunx": "npm", "pnpx": "npm", "uvx": "pypi", "pipx": "pypi"}
"""Programs that download a server when it starts, and what to write instead."""
TWO_WORDS = {("npm", "exec"): "npm", ("npm", "x"): "npm", ("pnpm", "dlx"): "npm", ("yarn", "dlx"): "npm"}
TWO_WORDS |= {("uv", "tool"): "pypi", ("uv", "run"): "pypi"}
RESERVED = "the relay sets itself"
RELAY_HEADERS = frozenset(
    {
        *("host", "content-length", "content-type", "content-encoding", "accept", "accept-encoding"),
        *("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect"),
        *("last-event-id", "traceparent", "tracestate", "baggage", "user-agent"),
    }
)
"""Headers, beside mcp-… and proxy-…, that belong to HTTP, to MCP and to the relay's own work."""


class Needs(NamedTuple):
    """What an interpreter needs to come up; docs/reference/mcp-limits.md has the measurements."""

    interpreter: str
    least: int
    usual: str


NEEDS = {
    "pypi": Needs("Python", 32 * 2**20, "128Mi"),
    "project": Needs("Python", 32 * 2**20, "128Mi"),
    "npm": Needs("Node", 64 * 2**20, "192Mi"),
}


def servers_have_one_source(spec: Spec, merged: Merged) -> Iterator[Finding]:
    for name, server in spec.mcp.items():
        path = ("mcp", name)
        if not server.run and not server.url:
            message = f"[mcp.{name}] has neither `run` nor `url`"
            fix = 'add run = "pypi:…" if shipway starts it, or url = "https://…" if others run it'
            yield merged.finding("mcp-source", path, message, fix)
        elif server.run and server.url and not _is_image(server):
            message = f"[mcp.{name}] is {server.shape} and has both `run` and `url`"
            fix = "remove `url` for a server that shipway starts, or `run` for one that others run"
            yield merged.finding("mcp-source", (*path, "url"), message, fix)
        elif server.url and not server.run and server.shape != "service":
            message = f"[mcp.{name}] has a `url`, and others run it; its shape cannot be {server.shape}"
            yield merged.finding(
                "mcp-source", (*path, "shape"), message, 'remove `shape`, or write shape = "service"'
            )


def run_says_where_from(spec: Spec, merged: Merged) -> Iterator[Finding]:
    for name, server in spec.mcp.items():
        if not isinstance(server.run, str) or _launcher(server):
            continue
        prefix, colon, rest = server.run.partition(":")
        if prefix in SOURCES and rest:
            continue
        path = ("mcp", name, "run")
        message = (
            f"`mcp.{name}.run` is {seen(server.run)}; expected pypi:, npm:, image: or project: and a name"
        )
        yield merged.finding("mcp-run", path, message, _run_fix(prefix if colon else "", server.run))


def _run_fix(prefix: str, run: str) -> str:
    if meant := MEANT.get(prefix) or nearest(prefix, SOURCES):
        return f'write run = "{meant}:…"'
    if " " in run:
        return "for a command write a list: run = [" + ", ".join(f'"{part}"' for part in run.split()) + "]"
    name = run.rpartition(":")[2]
    return f'for a package from PyPI write run = "pypi:{name}", for a module of the project run = "project:…"'


def servers_are_installed_with_the_image(spec: Spec, merged: Merged) -> Iterator[Finding]:
    for name, server in spec.mcp.items():
        if source := _launcher(server):
            command, package = _words(server)[0], _package(server)
            message = f"`mcp.{name}.run` starts {command}, which downloads the server at every start"
            fix = f'write run = "{source}:{package}": it is installed when the image is built'
            yield merged.finding("mcp-launcher", ("mcp", name, "run"), message, fix)


def _is_image(server: Mcp) -> bool:
    return isinstance(server.run, str) and server.run.startswith("image:")


def _words(server: Mcp) -> tuple[str, ...]:
    return tuple(server.run.split()) if isinstance(server.run, str) else server.run or ()


def _launcher(server: Mcp) -> str | None:
    first, second, *_ = (*_words(server), "", "")
    program = PurePosixPath(first).name
    return LAUNCHERS.get(program) or TWO_WORDS.get((program, second))


def _package(server: Mcp) -> str:
    """The package that a launcher was to fetch: its first argument that is no option or sub-command."""
    words = [word for word in (*_words(server)[1:], *server.args) if not word.startswith("-")]
    return next((word for word in words if word not in ("exec", "x", "dlx", "run", "tool")), "PACKAGE")


def images_speak_http(spec: Spec, merged: Merged) -> Iterator[Finding]:
    for name, server in spec.mcp.items():
        path = ("mcp", name, "run")
        if _is_image(server) and server.shape == "inside":
            message = f"`mcp.{name}.run` is an image, and an image cannot run inside the agent's container"
            fix = 'write shape = "sidecar"; the image has to speak MCP over HTTP'
            yield merged.finding("mcp-image", path, message, fix)
        if PurePosixPath(next(iter(_words(server)), "")).name in ("docker", "podman"):
            message = (
                f"`mcp.{name}.run` starts a container over stdio; in a container there is no engine to do it"
            )
            fix = 'write run = "image:…" and shape = "sidecar"; the image has to speak MCP over HTTP'
            yield merged.finding("mcp-image", path, message, fix)


def inside_servers_share_the_image(spec: Spec, merged: Merged) -> Iterator[Finding]:
    """Packages and CPU belong to a container, and inside there is only the agent's."""
    for name, server in spec.mcp.items():
        where = f"[mcp.{name}] runs inside the agent's container"
        if server.shape != "inside" or not server.run:
            continue
        if "packages" in server.model_fields_set:
            message = f"{where} and cannot have packages of its own"
            fix = 'write shape = "sidecar", or use [image] packages'
            yield merged.finding("mcp-inside", ("mcp", name, "packages"), message, fix)
        if server.resources.cpu is not None:
            message = f"{where}, which cannot limit the CPU of one process"
            fix = 'write shape = "sidecar", or remove `cpu`'
            yield merged.finding("mcp-inside", ("mcp", name, "resources", "cpu"), message, fix)


def memory_is_enough_to_start(spec: Spec, merged: Merged) -> Iterator[Finding]:
    for name, server in spec.mcp.items():
        source = server.run.partition(":")[0] if isinstance(server.run, str) else ""
        memory, needs = server.resources.memory, NEEDS.get(source)
        if memory is not None and needs and memory < needs.least:
            path = ("mcp", name, "resources", "memory")
            written = seen(merged.data["mcp"][name]["resources"]["memory"])
            least = f"{needs.interpreter} needs {needs.least // 2**20}Mi to start an MCP server"
            message = f"`{merged.name(path)}` is {written}, and {least}"
            fix = f'write memory = "{needs.usual}", which leaves room for work, or more'
            yield merged.finding("mcp-memory", path, message, fix)


def others_servers_are_not_set_up(spec: Spec, merged: Merged) -> Iterator[Finding]:
    """What only a server that shipway starts can have would be ignored."""
    for name, server in spec.mcp.items():
        for key in ("args", "packages", "storage", "env", "secrets", "resources"):
            if server.url and not server.run and key in server.model_fields_set:
                message = f"others run [mcp.{name}], so `{key}` would have no effect"
                yield merged.finding("mcp-source", ("mcp", name, key), message, f"remove `{key}`")


def credentials_are_shown_to_services(spec: Spec, merged: Merged) -> Iterator[Finding]:
    """What shipway starts over stdio has no HTTP to show them by."""
    for name, server in spec.mcp.items():
        if _is_image(server) or not server.run or server.shape == "service":
            continue
        for key in ("auth", "headers"):
            if key in server.model_fields_set:
                message = f"[mcp.{name}] is {server.shape} and asks for no credentials; `{key}` has no effect"
                fix = f"remove `{key}`; what the server itself needs is named in `secrets`"
                yield merged.finding("mcp-source", ("mcp", name, key), message, fix)


def headers_are_free(spec: Spec, merged: Merged) -> Iterator[Finding]:
    """A header that the relay or HTTP itself sets, or that stands there twice."""
    for name, server in spec.mcp.items():
        taken = dict.fromkeys(RELAY_HEADERS, RESERVED)
        taken |= {"authorization": "`auth` sets already"} if server.auth else {}
        for header in server.headers:
            lower = header.lower()
            owner = taken.get(lower) or (RESERVED if lower.startswith(("mcp-", "proxy-")) else "")
            if owner:
                path = ("mcp", name, "headers", header)
                message = f"`{merged.name(path)}` sets a header that {owner}"
                yield merged.finding("mcp-header", path, message, "remove it, or give it another name")
            taken[lower] = "is there in other capitals already"


def volumes_exist(spec: Spec, merged: Merged) -> Iterator[Finding]:
    for name, server in spec.mcp.items():
        if server.storage and spec.storage is None:
            message = f"`mcp.{name}.storage` asks for the agent's volume, and there is no [storage]"
            yield merged.finding(
                "mcp-storage", ("mcp", name, "storage"), message, "add [storage], or remove the key"
            )


def variables_are_set_once(spec: Spec, merged: Merged) -> Iterator[Finding]:
    for name, server in spec.mcp.items():
        for secret in sorted(set(server.secrets) & set(server.env)):
            path = ("mcp", name, "env", secret)
            message = f"`{merged.name(path)}` is set in `env`, and is one of the server's `secrets` too"
            yield merged.finding("variable-collision", path, message, "remove one of the two")


MCP_RULES = (
    servers_have_one_source,
    run_says_where_from,
    servers_are_installed_with_the_image,
    images_speak_http,
    inside_servers_share_the_image,
    memory_is_enough_to_start,
    others_servers_are_not_set_up,
    credentials_are_shown_to_services,
    headers_are_free,
    volumes_exist,
    variables_are_set_once,
)
