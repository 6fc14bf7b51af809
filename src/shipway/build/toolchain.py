"""What every layer of one platform's image is made with.

A value that the parts of the builder share; it does nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shipway.build.bytecode import Interpreter
from shipway.build.cache import Cache


@dataclass(frozen=True, slots=True)
class Toolchain:
    """One platform's tools. `compiled_by` is the Python that makes bytecode, part of every layer's key."""

    platform: str
    python: str
    options: tuple[str, ...]
    """uv's, for this platform and Python."""
    interpreter: Interpreter
    compiled_by: str
    cache: Cache
    say: Callable[[str], None]
