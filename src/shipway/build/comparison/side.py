"""One of two things that are compared: what is known of a release, or of an image alone.

In: release.json, or an image that was looked at. Out: `Side`, frozen, the same for both, so that one can be
compared with the other: of an image the manifest says what release.json says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from shipway.build.contents import SYSTEM, by_place, digest_text
from shipway.build.inspection.inspect import Inspection, environment
from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.build.inspection.difference import PackageChange
    from shipway.build.inspection.inspect import PackageView

MANIFEST, PROMPTS = contract.MANIFEST.lstrip("/"), contract.PROMPTS.lstrip("/") + "/"
AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Side:
    """`name` is the agent's, empty of an image without a manifest; `release` and `source` only releases have.

    `contents` is None where nothing says it. `texts` are the prompts', as far as they could be read, and
    `config` is that of the environment that was asked for.
    """

    reference: str
    name: str = ""
    release: str | None = None
    source: contract.Source | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    contents: contract.Contents | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    config: contract.Config | None = None
    image: Inspection | None = None

    @property
    def programs(self) -> bool:
        """Whether it is known what MCP servers are run from: of an image alone it is not."""
        return self.release is not None

    @property
    def revision(self) -> str | None:
        """What is deployed of it, where its environment's config is known."""
        if self.release is None or self.config is None:
            return None
        return contract.name_revision(self.release, contract.encode(self.config))


def side_of_image(image: Inspection, documents: Mapping[str, bytes]) -> Side:
    """What an image says of itself; `documents` are texts in it. Raises ContractError for its manifest."""
    prompts = {
        path.removeprefix(PROMPTS): digest_text(data)
        for path, data in sorted(documents.items())
        if path.startswith(PROMPTS)
    }
    said = documents.get(MANIFEST)
    manifest = contract.decode(contract.Manifest, said, contract.MANIFEST) if said else None
    return Side(
        reference=image.reference,
        name=manifest.name if manifest else "",
        contents=contract.Contents(
            entrypoint=manifest.entrypoint if manifest else "",
            settings=manifest.settings if manifest else contract.Settings(),
            prompts=prompts,
            tools={server.name: _tool_server(server) for server in manifest.mcp} if manifest else {},
            packages={AGENT: seen_packages(image)},
            live=manifest.live if manifest else None,
        ),
        texts=texts_of(documents),
        image=image,
    )


def texts_of(documents: Mapping[str, bytes]) -> dict[str, str]:
    """The prompts among the documents of an image, by name."""
    return {
        path.removeprefix(PROMPTS): data.decode(errors="replace")
        for path, data in documents.items()
        if path.startswith(PROMPTS)
    }


def _tool_server(server: contract.McpServer) -> contract.ToolServer:
    """As the relay knows it: of a server beside the agent nothing but its place."""
    return contract.ToolServer(
        server.shape, server.url or " ".join(server.command), (), dict(server.env), server.tools
    )


def seen_packages(image: Inspection) -> dict[str, dict[str, str]]:
    """The packages of an image by place and name, as releases have them."""
    return by_place((*placed(package), package.version) for package in image.packages)


def placed(package: PackageView | PackageChange) -> tuple[str, str]:
    """Where it is and what it is called. The place is an environment; npm's have one directory more."""
    if package.kind == "debian":
        return SYSTEM, package.name
    name = package.name if package.kind == "node" else canonicalize_name(package.name)
    return environment(package.place).partition("/node_modules")[0], name
