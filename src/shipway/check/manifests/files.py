"""Where manifests are: a file or directory that is named, or a project's directory.

In: paths. Out: paths and texts. In a directory that nobody named as manifests, only what looks like some is
taken: YAML in its top, and what is below the directories that people keep manifests in.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from shipway.errors import Finding

DIRECTORIES = frozenset(
    {"deploy", "deployment", "deployments", "k8s", "kubernetes", "kustomize", "manifests", "ecs", "nomad"}
    | {"helm", "chart", "charts", "infra", "ops", ".k8s"}
)
"""Directories of a project that are looked through."""
SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages"})
_LARGEST = 4_000_000
"""Larger files are data."""
_LOOKS_LIKE = re.compile(r'^[\s{]*"?(kind|services|containerDefinitions|taskDefinition)"?\s*:', re.MULTILINE)


def find(directory: Path) -> list[Path]:
    """The manifests of a project's directory."""
    inside = sorted(directory.iterdir())
    top = [path for path in inside if path.suffix in (".yaml", ".yml") and path.is_file()]
    below = [path for place in inside if place.name in DIRECTORIES for path in within(place)]
    texts = ((path, read_text(path)) for path in (*top, *below))
    return [path for path, text in texts if isinstance(text, str) and _LOOKS_LIKE.search(text)]


def within(directory: Path) -> list[Path]:
    """Every file below a directory that may be a manifest, in the order of their names."""
    found: list[Path] = []
    for place, names, files in os.walk(directory):
        names[:] = sorted(n for n in names if n not in _SKIPPED and not n.startswith("."))
        found += (Path(place, f) for f in sorted(files) if Path(f).suffix in SUFFIXES)
    return found


def named(path: Path) -> list[Path] | Finding:
    """The files that a person means by a path."""
    if not path.is_dir():
        return [path]
    found = within(path)
    if found:
        return found
    return nothing_in(path)


def nothing_in(directory: Path) -> Finding:
    """The finding about a directory that was named in vain."""
    message = "no manifest of Kubernetes, Compose or ECS is in this directory"
    fix = "name one with .yaml, .yml or .json that the orchestrator is given; Nomad's jobs are not read"
    return Finding("manifest-syntax", message, fix, str(directory))


def read_text(path: Path) -> str | Finding:
    """A file's text, or what is wrong with it."""
    try:
        if path.stat().st_size > _LARGEST:
            return _wrong(path, "it is larger than 4 MB, so it is no manifest")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        return _wrong(path, f"it cannot be read: {error.strerror or error}")
    except UnicodeDecodeError:
        return _wrong(path, "it is not UTF-8, so it is no manifest")


def _wrong(path: Path, message: str) -> Finding:
    return Finding("manifest-syntax", message, "name a file that Kubernetes, Compose or ECS reads", str(path))
