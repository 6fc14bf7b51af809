"""Names in the build context of a rendered Dockerfile, which render writes down and build fills.

In: parts of a plan. Out: paths below `.shipway/docker`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shipway.plan.image import Python


def uv_directory(python: Python, arch: str) -> str:
    """Where uv is that runs on the base: musl needs another one than glibc."""
    return f"{arch}-musl" if python.libc.startswith("musl") else arch
