"""What rules for images look at: config, history and the files of every layer.

In: a reference, as `shipway inspect` takes it. Out: `Image`. Texts of files are kept where people put their
own: what packages and the system brought is not searched for secrets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shipway.build.inspection.image_source import (
        ImageSource,  # noqa: TC004 - annotations are never evaluated
    )
    from shipway.build.inspection.inspect import Inspection  # noqa: TC004

_PACKAGES = r"(?:.*/)?(?:site-packages|dist-packages|node_modules|\.git)/"
_SYSTEM = (
    r"(?:usr|lib|lib64|bin|sbin|boot|dev|proc|sys|var/lib|var/cache|etc/ssl|etc/alternatives|opt/conda)/"
)
_TEXT = (
    r"(?:.*/)?(?:\.[^/]+|[^/.]+|[^/]+\.(?:env|json|ya?ml|toml|ini|cfg|conf|properties|txt|md|sh|py|js|mjs|ts"
    r"|pem|key|sql|xml|html|tf|tfvars|tfstate|ipynb))"
)
PEOPLES = re.compile(rf"(?!{_PACKAGES}|{_SYSTEM}).+")
"""Paths where people put files, not package managers."""
_KEPT = rf"(?!{_PACKAGES}|{_SYSTEM}){_TEXT}"


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a layer. `visible` is whether the container sees it: no later layer hides it.

    `text` is what people wrote; None for what packages brought, and for what is no text.
    """

    path: str
    size: int
    visible: bool
    text: bytes | None


@dataclass(frozen=True, slots=True)
class Image:
    """An image, read. `reference` is what was asked for."""

    reference: str
    source: ImageSource
    inspection: Inspection
    files: tuple[Found, ...]

    @property
    def config(self) -> Mapping[str, Any]:
        """User, Env, Entrypoint and what else the config says."""
        return self.inspection.config

    @property
    def labels(self) -> Mapping[str, str]:
        """The image's labels."""
        labels = self.config.get("Labels")
        return {str(k): str(v) for k, v in labels.items()} if isinstance(labels, dict) else {}

    @property
    def variables(self) -> tuple[str, ...]:
        """The image's environment, each `NAME=value`."""
        return _texts(self.config.get("Env"))

    @property
    def history(self) -> Iterator[str]:
        """What made each layer, and each setting."""
        history = self.source.config.get("history")
        for entry in history if isinstance(history, list) else ():
            yield str(entry.get("created_by", "")) if isinstance(entry, dict) else ""

    @property
    def words(self) -> tuple[str, ...]:
        """What process 1 is started as."""
        return (*_texts(self.config.get("Entrypoint")), *_texts(self.config.get("Cmd")))


def _texts(value: object) -> tuple[str, ...]:
    """The texts of a list that anybody may have written."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def read_image(reference: str) -> Image:
    """The image. Raises BuildError where there is none, or it is damaged."""
    return look_into(open_source(reference), reference)


def open_source(reference: str) -> ImageSource:
    """The image's config and the contents of its layers, with the texts that are searched."""
    from shipway.build.inspection.contents import DOCUMENT  # these bring decompression and Debian's formats
    from shipway.build.inspection.image_source import open_image

    return open_image(reference, keep=re.compile(f"{DOCUMENT.pattern}|{_KEPT}"))


def look_into(source: ImageSource, reference: str) -> Image:
    """The image of a source."""
    from shipway.build.inspection.inspect import inspect, visible_files
    from shipway.build.inspection.packages import find_packages, owners

    seen = visible_files([layer.contents for layer in source.layers])
    texts = {path: text for layer in source.layers for path, text in layer.contents.documents.items()}
    owned = owners(find_packages(texts)).by_file
    files = tuple(
        Found(path, file.size, path in visible, None if path in owned else layer.contents.documents.get(path))
        for layer, visible in zip(source.layers, seen, strict=True)
        for path, file in layer.contents.files.items()
    )
    return Image(reference, source, inspect(source), files)
