"""Bytecode of a project's files, each kept by what it was made from.

In: sources by their paths in the image. Out: the bytecode of each by its own path. A file of a project is
compiled alone, so its bytecode depends on its source, its path and the Python that compiles: an edit starts
that Python for what was edited, and for nothing else.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from shipway.build.cache import digest_of
from shipway.build.environments.bytecode import bytecode_path, compile_tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shipway.build.toolchain import Toolchain


def compile_sources(sources: Mapping[str, bytes], tools: Toolchain) -> dict[str, bytes]:
    """Bytecode by absolute path; none for what is not valid Python, or where no interpreter runs here."""
    if tools.interpreter.unavailable:
        return {}
    kept = {path: _place(path, data, tools) for path, data in sources.items()}
    if missing := {path: sources[path] for path, file in kept.items() if not file.exists()}:
        _compile(missing, kept, tools)
    found = {bytecode_path(path, tools.python.version): file.read_bytes() for path, file in kept.items()}
    return {path: data for path, data in found.items() if data}


def _place(path: str, data: bytes, tools: Toolchain) -> Path:
    key = digest_of("bytecode", path, hashlib.sha256(data).hexdigest(), tools.compiled_by)
    return tools.cache.directory("bytecode") / key


def _compile(sources: Mapping[str, bytes], kept: Mapping[str, Path], tools: Toolchain) -> None:
    """Fill the cache; a file that does not compile leaves an empty one."""
    with tools.cache.working() as directory:
        for path, data in sources.items():
            file = directory / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        compile_tree(tools.interpreter, directory, "/")
        for path in sources:
            made = directory / bytecode_path(path, tools.python.version).lstrip("/")
            tools.cache.write(kept[path], made.read_bytes() if made.exists() else b"")
