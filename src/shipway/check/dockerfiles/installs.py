"""What a RUN installs: the package managers that agents' images use, and where they leave things.

In: an instruction. Out: `Install`s. A table has a line for each manager.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.check.dockerfiles.process import written
from shipway.check.dockerfiles.shell import Command
from shipway.check.dockerfiles.syntax import Instruction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Manager:
    """A package manager: its verbs that install, what leaves no cache, and where the cache is otherwise.

    `language` is whether it installs an agent's dependencies, not the system's packages. `removal` is said to
    who has no option for it.
    """

    verbs: tuple[tuple[str, ...], ...]
    language: bool = True
    no_cache: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    cache: str = ""
    removal: str = ""


_PIP = Manager((("install",),), True, ("--no-cache-dir",), ("PIP_NO_CACHE_DIR",), "/root/.cache/pip")
_NPM = Manager((("install",), ("ci",), ("i",)), True, (), (), "/root/.npm")
_LISTS = "/var/lib/apt/lists"
_APT = Manager((("install",),), False, (), (), _LISTS, f"&& rm -rf {_LISTS}/*")
_DNF = Manager((("install",),), False)
MANAGERS: Mapping[str, Manager] = {
    "pip": _PIP,
    "pip3": _PIP,
    "uv": Manager(
        (("sync",), ("pip", "install"), ("pip", "sync"), ("tool", "install")),
        True, ("--no-cache", "-n"), ("UV_NO_CACHE",), "/root/.cache/uv",
    ),
    "poetry": Manager(
        (("install",), ("sync",)), True, ("--no-cache",), (), "/root/.cache/pypoetry"
    ),
    "pdm": Manager((("install",), ("sync",)), True),
    "pipenv": Manager((("install",), ("sync",)), True),
    "npm": _NPM,
    "pnpm": Manager((("install",), ("i",), ("add",)), True),
    "yarn": Manager((("install",), ("add",)), True),
    "apt-get": _APT,
    "apt": _APT,
    "apk": Manager((("add",),), False, ("--no-cache",)),
    "dnf": _DNF,
    "microdnf": _DNF,
    "yum": _DNF,
}  # fmt: skip
TOOLS = frozenset({"pip", "uv", "poetry", "pipenv", "pdm", "setuptools", "wheel", "hatch", "hatchling"})
"""Packages of Python that install others."""
COMPILERS = frozenset(
    {
        *("gcc", "g++", "build-essential", "make", "cmake", "clang", "cargo", "rustc", "build-base"),
        *("musl-dev", "libc6-dev", "python3-dev", "python3-pip", "libpq-dev", "libffi-dev", "libssl-dev"),
        *("gcc-c++", "python3-devel", "linux-headers", "golang", "pkg-config"),
    }
)
"""Packages that only building needs; python3-pip recommends a compiler, which apt then brings."""


@dataclass(frozen=True, slots=True)
class Install:
    """One command that installs, and the packages that it names."""

    manager: Manager
    command: Command
    instruction: Instruction

    @property
    def packages(self) -> tuple[str, ...]:
        """The words that are neither verb nor option."""
        verbs = {word for verb in self.manager.verbs for word in verb}
        return tuple(a for a in self.command.arguments if not a.startswith("-") and a not in verbs)

    @property
    def brings_dependencies(self) -> bool:
        """Whether it installs what the agent needs, not a package manager alone."""
        tools = bool(self.packages) and all(re.split(r"[=<>~\[]", p)[0] in TOOLS for p in self.packages)
        return self.manager.language and not tools and "--no-deps" not in self.command.arguments

    @property
    def keeps_cache(self) -> bool:
        """Whether the manager leaves a cache in the layer, as far as the instruction says."""
        cached = any("type=cache" in mount for mount in self.instruction.mounts)
        removed = any(_empties(self.manager.cache, command) for command in written(self.instruction))
        return bool(self.manager.cache) and not (
            cached or removed or self.command.has(*self.manager.no_cache)
        )


def _empties(cache: str, command: Command) -> bool:
    if command.program == "rm":
        named = ("/apt",) if cache == _LISTS else (".cache", ".npm")
        return any(name in argument for argument in command.arguments for name in named)
    return command.says("cache", "purge") or command.says("cache", "clean")


def installs(instruction: Instruction) -> Iterator[Install]:
    """What a RUN installs."""
    for command in written(instruction) if instruction.word == "RUN" else ():
        manager = MANAGERS.get(command.program)
        if manager and any(command.says(*verb) for verb in manager.verbs):
            yield Install(manager, command, instruction)


def removes(instruction: Instruction) -> bool:
    """Whether a RUN takes packages of the system away again."""
    return any(
        c.program in ("apt-get", "apt", "apk", "dnf", "yum")
        and any(verb in c.arguments for verb in ("purge", "remove", "autoremove", "del"))
        for c in written(instruction)
    )
