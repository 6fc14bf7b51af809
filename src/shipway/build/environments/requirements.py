"""What an environment needs -> exact versions with hashes.

In: the plan's environment and the project's lock file, or what shipway.lock says already. Out: the text of a
requirements file in which every line is `name==version` with hashes. uv resolves, in the project's directory
and so by its own uv settings; what the project's own lock pins by hash stays pinned by that hash, whatever
an index answers. Answers are kept in the cache for a day, and longer while no index can be reached.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from shipway.build.answers import FRESH_S, answer
from shipway.build.cache import Cache, digest_of
from shipway.build.environments.declared import (
    explicit_indexes,
    index_lines,
    local_of,
    locked,
    project_table,
    refuse_choice,
)
from shipway.build.environments.pins import hashes_in, key_of, read_pins, to_text
from shipway.build.environments.sources import local_wheel, source_wheel, wheel_sha256
from shipway.build.environments.uv import run_uv
from shipway.errors import BuildError, ResolveError
from shipway.plan.image import Environment, Python
from shipway.spec.shipwaylock import Pin, Resolution

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "locked",
    "resolution",
    "resolve",
    "runtime_requirements",
    "target_options",
]

MOST_BUILT = 20
"""Distributions without a wheel in one environment, after which no more are tried."""

MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
"""As Python's and uv's platforms name them."""
_GLIBC = (17, 28, *range(31, 41))
"""Minor versions of glibc 2 that uv has a name for."""

_DIRECT = re.compile(r"(?:^|@\s*|\s)(git\+\S+|hg\+\S+|bzr\+\S+|svn\+\S+|https?://\S+)")
_NO_WHEEL = re.compile(r"Wheels are required for `([^`]+)`")


def uv_platform(python: Python, platform: str) -> str:
    """uv's name of the platform whose wheels the image's C library can load."""
    name, _, version = python.libc.partition(" ")
    if name == "musl":
        return f"{MACHINES[platform]}-unknown-linux-musl"
    minor = int(version.partition(".")[2])
    known = max((m for m in _GLIBC if m <= minor), default=_GLIBC[0])
    return f"{MACHINES[platform]}-manylinux_2_{known}"


def target_options(python: Python, platform: str) -> tuple[str, ...]:
    """uv's options for the image's Python and platform, whatever the host is.

    uv would look for that Python, and try to download it, where any will do: it gets the one that is here.
    """
    return (
        *("--python", sys.executable, "--no-python-downloads"),
        *("--python-version", python.version),
        *("--python-platform", uv_platform(python, platform)),
        *("--only-binary", ":all:"),
    )


def resolve(
    environment: Environment,
    root: Path,
    options: Sequence[str],
    cache: Cache,
    say: Callable[[str], None],
    known: Resolution | None = None,
    previous: Resolution | None = None,
) -> str:
    """Every distribution of the environment as `name==version --hash=…` lines.

    `known` is what shipway.lock says: then no index is asked; else versions of `previous` are kept where
    they do. Raises ResolveError, UnreachableError and TamperedError; falls back to an older answer, and
    says so, when the index does not answer.
    """
    wanted = _wanted(environment, root)
    found = known or _resolution(wanted, environment, root, options, cache, say, previous)
    return _to_pins(found, wanted, root, options, cache)


def runtime_requirements(extras: Sequence[str] = ()) -> list[str]:
    """What shipway-runtime needs, with its `extras`, from the metadata of the installed one."""
    found = [r.partition(";") for r in importlib.metadata.requires("shipway-runtime") or []]
    return [name.strip() for name, _, marker in found if "extra ==" not in marker or _asked(marker, extras)]


def _asked(marker: str, extras: Sequence[str]) -> bool:
    """Whether a marker of extras alone, as ours are, names one of these."""
    return any(f"extra == {quote}{extra}{quote}" in marker for extra in extras for quote in ("'", '"'))


# -- Resolving: index and lock -> Resolution -------------------------------------------------------------


def resolution(
    environment: Environment,
    root: Path,
    options: Sequence[str],
    cache: Cache,
    say: Callable[[str], None],
    previous: Resolution | None = None,
    fresh_s: float = FRESH_S,
) -> Resolution:
    """What the environment comes to today; versions of `previous` are kept where they still do.

    An answer that is younger than `fresh_s` seconds counts as today's. Errors as `resolve`.
    """
    wanted = _wanted(environment, root)
    return _resolution(wanted, environment, root, options, cache, say, previous, fresh_s)


def _resolution(
    wanted: str,
    environment: Environment,
    root: Path,
    options: Sequence[str],
    cache: Cache,
    say: Callable[[str], None],
    previous: Resolution | None = None,
    fresh_s: float = FRESH_S,
) -> Resolution:
    if not wanted.strip():
        return Resolution()
    before = "" if previous is None else "".join(f"{key_of(pin)}\n" for pin in previous.pins)
    place = str(root.resolve()) if "file:" in wanted or environment.lock == "pyproject.toml" else ""
    key = digest_of(wanted, list(options), before, place, _settings(root))
    kept = cache.directory("resolved") / f"{key}.json"

    def ask() -> str:
        found = _Compilation(environment, root, options, cache, wanted, before).run()
        return json.dumps(dataclasses.asdict(found))

    return _read(answer(kept, ask, environment.name, cache, say, fresh_s))


def _settings(root: Path) -> list[object]:
    """What tells uv which versions there are: another index may give another answer."""
    environ = {name: value for name, value in os.environ.items() if name.startswith("UV_")}
    passing = ("UV_CACHE_DIR", "UV_HTTP_RETRIES", "UV_HTTP_TIMEOUT", "UV_NO_CACHE", "UV_OFFLINE")
    config = root / "uv.toml"
    return [
        {name: value for name, value in environ.items() if name not in passing},
        str(project_table(root).get("tool", {}).get("uv")),
        config.read_text(encoding="utf-8") if config.is_file() else "",
    ]


def _read(text: str) -> Resolution:
    document = json.loads(text)
    pins = tuple(Pin(p["name"], p["version"], tuple(p["hashes"])) for p in document["pins"])
    return Resolution(pins, tuple(document["built"]), document["local"])


def _wanted(environment: Environment, root: Path) -> str:
    lines = list(environment.requirements)
    if environment.lock:
        lines.append(locked(root, environment.lock, environment.groups, environment.extras))
    else:
        refuse_choice("the project, without dependencies of its own,", environment.groups, environment.extras)
    if environment.runtime:
        lines += runtime_requirements(environment.runtime_extras)
    text = "\n".join(lines)
    for line in text.splitlines():
        if not line.lstrip().startswith(("#", "--")) and (match := _DIRECT.search(line.partition(" #")[0])):
            raise ResolveError(
                f"{environment.name}: {_shown(line)} is not from an index: a URL or a repository is not yet "
                f"installed into images ({_shown(match[1])})",
                "publish its wheel to an index, or put its source below the project and name its directory",
            )
    return text


def _shown(text: str) -> str:
    """Without a password, on one line."""
    return re.sub(r"(?<=://)[^/@\s]*@", "", text.split(" ;")[0].split(" --hash")[0].strip(" \\"))


@dataclasses.dataclass(frozen=True, slots=True)
class _Compilation:
    """One question to uv, asked again with each source distribution that turns out to be needed."""

    environment: Environment
    root: Path
    options: Sequence[str]
    cache: Cache
    wanted: str
    before: str

    def run(self) -> Resolution:
        local = _names_of_directories(self.wanted.splitlines(), self.root)
        if found := self._from_lock(local):
            return found
        built: list[str] = []
        while True:
            try:
                text = self._ask([*local, *built])
            except ResolveError as error:
                match = _NO_WHEEL.search(str(error))
                name = canonicalize_name(match[1]) if match else ""
                if not name or name in (*local, *built) or len(built) == MOST_BUILT:
                    raise
                built.append(name)
            else:
                return self._verified(_parsed(text, self.wanted, self.root, built))

    def _from_lock(self, local: Iterable[str]) -> Resolution | None:
        """The answer that uv's cache gives, if the project's own lock has every version and hash of it.

        An index could only say the same then, half a second later: it is asked wherever the lock says less.
        """
        if not hashes_in(self.wanted):
            return None
        try:
            found = _parsed(self._ask(local, "--offline"), self.wanted, self.root, ())
        except BuildError:
            return None
        return None if any(pin.hashes for pin in found.pins) else found

    def _ask(self, from_source: Iterable[str], *how: str) -> str:
        sources = [option for name in from_source for option in ("--no-binary", name)]
        with self.cache.working() as directory:
            wanted, out = directory / "wanted.txt", directory / "pins.txt"
            wanted.write_text(self._extra() if self._is_pyproject else self.wanted)
            out.write_text(self.before)  # uv keeps the versions of a file that it is to replace
            fixed = ("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url")
            explicit = () if self._is_pyproject else explicit_indexes(self.root)
            arguments = (
                *self._project_sources(),
                str(wanted),
                *self.options,
                *explicit,
                *sources,
                *fixed,
                *how,
            )
            try:
                run_uv(
                    ("pip", "compile", *arguments, "--output-file", str(out)),
                    f"resolve {self.environment.name}",
                    cwd=self.root,
                )
            except ResolveError as error:
                message = str(error).replace(str(wanted), self.environment.lock or "agent.toml")
                raise ResolveError(message, error.hint or self._runtime_hint(message)) from error
            return out.read_text()

    def _runtime(self) -> list[str]:
        return runtime_requirements(self.environment.runtime_extras) if self.environment.runtime else []

    def _runtime_hint(self, message: str) -> str:
        """Whose requirement stands in the way, where it is none that the user has written."""
        own = self._runtime()
        named = [r for r in own if f" {r}" in message]
        return f"{', '.join(named)} is what shipway-runtime needs inside the image: allow it" if named else ""

    @property
    def _is_pyproject(self) -> bool:
        return self.environment.lock == "pyproject.toml"

    def _extra(self) -> str:
        """What is asked beside pyproject.toml, which uv reads itself: with its sources and indexes."""
        return "\n".join([*self.environment.requirements, *self._runtime()])

    def _project_sources(self) -> Iterable[str]:
        if not self._is_pyproject:
            return
        if "project" in project_table(self.root):
            yield "pyproject.toml"
            yield from (o for extra in self.environment.extras for o in ("--extra", extra))
        yield from (o for group in self.environment.groups for o in ("--group", group))

    def _verified(self, found: Resolution) -> Resolution:
        """Build what has no wheel now, so that a lock names nothing that cannot be built."""
        for pin in found.pins:
            if pin.name in found.built:
                indexes = index_lines(self.wanted)
                source_wheel(self._with_hashes(pin), self.options, self.root, self.cache, indexes)
        return found

    def _with_hashes(self, pin: Pin) -> Pin:
        return pin if pin.hashes else dataclasses.replace(pin, hashes=hashes_in(self.wanted)[key_of(pin)])


def _names_of_directories(lines: Iterable[str], root: Path) -> dict[str, str]:
    """Each local distribution's name, with its directory relative to the project."""
    found = (local_of(line.partition(" ;")[0], root) for line in lines if "==" not in line)
    return {name: os.path.relpath(path, root.resolve()) for name, path in filter(None, found)}


def _places(answer: str) -> Iterator[str]:
    """The lines of uv's answer that are directories: of one beside the project it says the bare name."""
    for line in answer.replace("\\\n", " ").splitlines():
        place = re.split(r" [;#]", line)[0].strip().removeprefix("-e ").strip()
        if place and "==" not in place and not place.startswith(("-", "#")):
            yield place if re.search(r"[/@]|^\.", place) else f"./{place}"


def _parsed(text: str, wanted: str, root: Path, built: Sequence[str]) -> Resolution:
    """uv's answer; the hashes of what the project's own lock has are left to it."""
    own = hashes_in(wanted)
    pins = read_pins(text)
    kept = [dataclasses.replace(pin, hashes=()) if own.get(key_of(pin)) else pin for pin in pins]
    there = {pin.name for pin in pins}
    local = _names_of_directories(_places(text), root)
    return Resolution(tuple(kept), tuple(sorted(there & set(built))), local)


# -- Resolution -> the text that is installed ------------------------------------------------------------


def _to_pins(found: Resolution, wanted: str, root: Path, options: Sequence[str], cache: Cache) -> str:
    """One line a distribution, sorted by name; the hash of what no index has a wheel of is that of ours."""
    own = hashes_in(wanted)
    lines = {}
    for pin in found.pins:
        whole = dataclasses.replace(pin, hashes=pin.hashes or own.get(key_of(pin), ()))
        if not whole.hashes:
            raise ResolveError(
                f"{key_of(pin)} has no hash in shipway.lock, nor in the project's own lock",
                "run `shipway lock`",
            )
        if pin.name in found.built:
            wheel = source_wheel(whole, options, root, cache, index_lines(wanted))
            whole = dataclasses.replace(whole, hashes=(f"sha256:{wheel_sha256(wheel)}",))
        lines[pin.name] = to_text([whole])
    for name, place in found.local.items():
        wheel = local_wheel(name, (root / place).resolve(), cache)
        version = wheel.name.split("-")[1]
        lines[name] = to_text([Pin(name, version, (f"sha256:{wheel_sha256(wheel)}",))])
    return "".join(lines[name] for name in sorted(lines))
