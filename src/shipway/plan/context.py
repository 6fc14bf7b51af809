"""Names in the build context of a rendered Dockerfile, which render writes down and build fills.

In: parts of a plan. Out: paths below `.shipway/docker`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway_runtime import contract

if TYPE_CHECKING:
    from shipway.plan.image import Environment, NodeEnvironment, Python

_STAGES = {contract.VENV: "dependencies", contract.NODE: "node"}


def uv_directory(python: Python, arch: str) -> str:
    """Where uv is that runs on the base: musl needs another one than glibc."""
    return f"{arch}-musl" if python.libc.startswith("musl") else arch


def stage_name(environment: Environment | NodeEnvironment) -> str:
    """`dependencies` for the agent's own environment, `mcp-NAME` for a server's; `node` for Node.

    The context keeps what a stage installs in a directory of this name, for each image and architecture.
    """
    if environment.path in _STAGES:
        return _STAGES[environment.path]
    return f"mcp-{environment.path.rpartition('/')[2]}"
