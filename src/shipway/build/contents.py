"""What was built -> what release.json says of it: names, versions and digests, so that two can be compared.

In: agent.toml, the project, the images in the cache. Out: `contract.Contents`, the same for the same build.
Packages are read from each image's bill of materials, and MCP servers have the version that was installed.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from packaging.utils import canonicalize_name

from shipway.build.attachments.attach import BILL
from shipway.plan import servers
from shipway.plan.settings import live, settings
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shipway.build.cache import Cache
    from shipway.build.image import BuiltImage
    from shipway.spec.model import Mcp, Spec
    from shipway.spec.project import Project

    Packages = Mapping[str, Mapping[str, Mapping[str, str]]]

SYSTEM = ""
"""Where the packages are that no index of a language has: the base's own."""


def list_contents(
    spec: Spec, project: Project, images: Sequence[BuiltImage], cache: Cache
) -> contract.Contents:
    """Everything that a release is made of. Of an image for several platforms the first one counts."""
    packages = {image.role: _packages(image, cache) for image in images}
    prompts = [file for file in project.files if file.path.startswith(f"{contract.PROMPTS}/")]
    code = [file for file in project.files if file not in prompts]
    read = {file.path: (project.root / file.source).read_bytes() for file in project.files}
    return contract.Contents(
        entrypoint=spec.entrypoint,
        settings=settings(spec),
        code=digest_files({file.path: read[file.path] for file in code}),
        prompts={
            file.path.removeprefix(f"{contract.PROMPTS}/"): digest_text(read[file.path]) for file in prompts
        },
        tools={name: _tool_server(name, server, packages) for name, server in spec.mcp.items()},
        packages=packages,
        live=live(spec),
    )


def tools_digest(tools: Mapping[str, contract.ToolServer]) -> str | None:
    """sha256:… over the MCP servers; None without any."""
    if not tools:
        return None
    said = {name: json.loads(contract.encode(server)) for name, server in tools.items()}
    return digest_text(json.dumps(said, sort_keys=True).encode())


def digest_text(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def digest_files(files: Mapping[str, bytes]) -> str:
    """One digest over names and contents."""
    digest = hashlib.sha256()
    for path, data in sorted(files.items()):
        digest.update(f"{path}\0{len(data)}\0".encode() + data)
    return f"sha256:{digest.hexdigest()}"


# -- Packages ------------------------------------------------------------------------------------------------


def _packages(image: BuiltImage, cache: Cache) -> dict[str, dict[str, str]]:
    """By where they are in the image, from its bill of materials."""
    (bill,) = (r.blobs[0] for r in image.platforms[0].referrers if r.artifact_type == BILL)
    components = json.loads(cache.blob(bill.digest).read_bytes()).get("components", [])
    return by_place(
        _place_of(component) for component in components if component["type"] != "operating-system"
    )


def _place_of(component: Mapping[str, Any]) -> tuple[str, str, str]:
    said = {one["name"]: one["value"] for one in component.get("properties", [])}
    name = f"{component['group']}/{component['name']}" if component.get("group") else component["name"]
    return said.get("shipway:environment", SYSTEM), unquote(name), str(component.get("version", ""))


def by_place(found: Iterable[tuple[str, str, str]]) -> dict[str, dict[str, str]]:
    """(place, name, version) by place and name; npm has several versions of a name in one place."""
    places: dict[str, dict[str, set[str]]] = {}
    for place, name, version in found:
        places.setdefault(place, {}).setdefault(name, set()).add(version)
    return {
        place: {name: ", ".join(sorted(versions)) for name, versions in sorted(names.items())}
        for place, names in sorted(places.items())
    }


# -- MCP servers ---------------------------------------------------------------------------------------------


def _tool_server(name: str, server: Mcp, packages: Packages) -> contract.ToolServer:
    return contract.ToolServer(
        shape=server.shape,
        run=_run(name, server, packages),
        args=server.args,
        env=dict(server.env),
        tools=contract.ToolFilter(server.tools.allow, server.tools.deny),
    )


def _run(name: str, server: Mcp, packages: Packages) -> str:
    if server.run is None:
        return server.url or ""
    if not isinstance(server.run, str):
        return shlex.join(server.run)
    program = servers.program(server)
    if program is None or program.kind not in ("pypi", "npm"):
        return server.run
    role = "agent" if server.shape == "inside" else f"mcp-{name}"
    installed = packages.get(role, {}).get(servers.environment_path(name), {})
    if program.kind == "npm":
        package = servers.npm_name(program.requirement)
        return f"npm:{package}@{installed[package]}" if package in installed else server.run
    version = installed.get(canonicalize_name(program.script))
    return f"pypi:{program.script}=={version}" if version else server.run
