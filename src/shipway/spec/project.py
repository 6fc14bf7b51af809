"""The project that agent.toml belongs to: which of its files go into the image, and where.

In: a loaded agent.toml. Out: a Project, or SpecError with every finding: a missing entry point, a file of
secrets that would go along. The decision (`select`) is pure; nothing of the project is imported or run.
"""

from __future__ import annotations

import fnmatch
import hashlib
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from shipway.errors import Finding, SpecError
from shipway.spec import entrypoint, imports
from shipway.spec.tree import is_noise, read_tree, walk
from shipway.spec.words import listed
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from shipway.spec.entrypoint import Entrypoint
    from shipway.spec.load import Loaded
    from shipway.spec.model import Spec
    from shipway.spec.tree import Tree

NOT_SHIPPED = frozenset(
    {
        *("tests", "test", "docs", "doc", "examples", "evals", "replays", "scripts", "bench", "benchmarks"),
        *("build", "dist", "setup.py", "conftest.py", "noxfile.py", "tasks.py", "fabfile.py"),
    }
)
"""Top-level names beside the entry point's package that are for those who develop it."""
SECRET_FILES = (
    *(".env*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk"),
    *("id_rsa*", "id_ed25519*", "id_ecdsa*", "id_dsa*", ".netrc", "_netrc", ".npmrc", ".pypirc", ".pgpass"),
    *(".htpasswd", ".git-credentials", ".dockercfg", ".dockerconfigjson", "kubeconfig", "*.tfstate"),
)
SECRET_DIRECTORIES = frozenset({".aws", ".azure", ".docker", ".gnupg", ".kube", ".ssh"})
"""Of home directories, where programs keep the keys of their user."""
HARMLESS = ("*.example", "*.sample", "*.template", "*.pub", "example*.env", "sample*.env")


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """One file: its absolute path in the image, and its `source` below the project's root. Bytes."""

    path: str
    source: str
    size: int
    executable: bool


@dataclass(frozen=True, slots=True)
class Project:
    """What the image is made from, beside what is installed into it."""

    root: Path
    name: str
    source_root: str
    """`src` or empty: below it are the top-level modules, which the image has in /app/src."""
    files: tuple[ProjectFile, ...]
    prompts_digest: str | None
    """sha256:… over the sorted names and contents of the prompts; None without prompts."""
    source: contract.Source
    version: str | None = None
    """Of pyproject.toml, where it is written there."""
    licence: str | None = None
    """An SPDX expression, where pyproject.toml says one."""


def read_project(loaded: Loaded) -> Project:
    """Read the project around a loaded agent.toml. Raises SpecError with every finding."""
    root, spec = loaded.path.resolve().parent, loaded.spec
    tree = read_tree(root)
    entry = entrypoint.locate(spec.entrypoint, tree.paths)
    included = {glob: tuple(_expand(root, glob)) for glob in spec.image.include}
    chosen = select(spec, tree.paths, [p for paths in included.values() for p in paths], entry)
    chosen = live_scorer(root, spec, tree.paths) | chosen
    findings = [
        *entrypoint.findings(loaded, tree, spec.entrypoint, entrypoint.AGENT),
        *(entrypoint.findings(loaded, tree, live, entrypoint.LIVE) if (live := spec.live) else ()),
        *_empty_findings(loaded, tree, included),
        *(finding for source in sorted(set(chosen.values())) for finding in _file_findings(root, source)),
    ]
    if findings or entry is None:
        raise SpecError(findings)
    files = tuple(_file(root, path, source) for path, source in sorted(chosen.items()))
    digest = _prompts_digest(root, spec, tree.paths) if spec.prompts else None
    version, licence = _version_and_licence(root / "pyproject.toml")
    return Project(root, spec.name, entry.source_root, files, digest, tree.source, version, licence)


def without_files(loaded: Loaded) -> Project:
    """The project whose dependencies alone are wanted."""
    source = contract.Source(revision=None, dirty=False)
    return Project(loaded.path.resolve().parent, loaded.spec.name, "", (), None, source)


# -- The decision ------------------------------------------------------------------------------------------


def select(
    spec: Spec, paths: Iterable[str], included: Iterable[str], entry: Entrypoint | None
) -> dict[str, str]:
    """Path in the image -> path in the project, of every file that goes along."""
    paths = tuple(paths)
    base = f"{entry.source_root}/" if entry and entry.source_root else ""
    code = [path for path in paths if entry and _is_code(path, base, _wanted(spec, entry), paths)]
    sources = {f"{contract.SOURCE}/{path.removeprefix(base)}": path for path in (*included, *code)}
    prompts = {f"{contract.PROMPTS}/{_inner(path, spec)}": path for path in _prompts(spec, paths)}
    return sources | prompts


def live_scorer(root: Path, spec: Spec, paths: Collection[str]) -> dict[str, str]:
    """The same of the live scorer, which may lie beside the modules of the agent: its module, and what that
    imports of the project. Not its whole package: cases and their scorers change without a new release."""
    entry = entrypoint.locate(spec.live, paths) if spec.live else None
    if entry is None:
        return {}
    base = f"{entry.source_root}/" if entry.source_root else ""
    needed = imports.closure(root, entry, paths)
    return {f"{contract.SOURCE}/{path.removeprefix(base)}": path for path in needed}


def _wanted(spec: Spec, entry: Entrypoint) -> frozenset[str]:
    """Top-level modules that somebody named: the entry point's, and those of MCP servers."""
    runs = [server.run for server in spec.mcp.values() if isinstance(server.run, str)]
    named = [run.removeprefix("project:") for run in runs if run.startswith("project:")]
    return frozenset(module.split(".")[0] for module in (entry.module, *named))


def _is_code(path: str, base: str, wanted: frozenset[str], paths: tuple[str, ...]) -> bool:
    """Whether a file belongs to a module that the image has to be able to import."""
    if not path.startswith(base):
        return False
    top, _, rest = path.removeprefix(base).partition("/")
    if "tests" in rest.split("/") or top.endswith(".egg-info"):
        return False
    if top.removesuffix(".py") in wanted:
        return bool(rest) or top.endswith(".py")
    if base:
        return bool(rest) or top.endswith(".py")
    if top in NOT_SHIPPED or top.startswith("test_") or top.endswith("_test.py"):
        return False
    return f"{top}/__init__.py" in paths if rest else top.endswith(".py")


def _prompts(spec: Spec, paths: Iterable[str]) -> list[str]:
    if spec.prompts is None:
        return []
    start = PurePosixPath(spec.prompts).as_posix() + "/"
    return [path for path in paths if path.startswith(start)]


def _inner(path: str, spec: Spec) -> str:
    """A prompt's path below the directory of the prompts."""
    return PurePosixPath(path).relative_to(spec.prompts or "").as_posix()


def is_secret_file(path: str) -> bool:
    """By its name alone: what people keep keys and passwords in."""
    *directories, name = path.split("/")
    matches = any(fnmatch.fnmatch(name, pattern) for pattern in SECRET_FILES)
    return (matches and not any(fnmatch.fnmatch(name, pattern) for pattern in HARMLESS)) or not (
        SECRET_DIRECTORIES.isdisjoint(directories)
    )


# -- Reading -----------------------------------------------------------------------------------------------


def _expand(root: Path, glob: str) -> Iterator[str]:
    """The files of one `image.include`, ignored by git or not; of a directory all that is in it."""
    for match in root.glob(glob):
        if match.is_dir() and not match.is_symlink():
            yield from walk(root, match)
        elif not is_noise(path := match.relative_to(root).as_posix()):
            yield path


def _file(root: Path, path: str, source: str) -> ProjectFile:
    status = (root / source).stat()
    return ProjectFile(path, source, status.st_size, bool(status.st_mode & 0o100))


def _version_and_licence(pyproject: Path) -> tuple[str | None, str | None]:
    """What is said without a build backend. A file that cannot be read is lock.py's finding."""
    try:
        project = tomllib.loads(pyproject.read_text(encoding="utf-8")).get("project", {})
    except (OSError, ValueError):
        return None, None
    version, stated = project.get("version"), project.get("license")
    if isinstance(stated, dict):
        stated = stated.get("text")
    return version if isinstance(version, str) else None, _expression(stated)


def _expression(stated: object) -> str | None:
    """The SPDX expression, if it is one."""
    if not isinstance(stated, str):
        return None
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return canonicalize_license_expression(stated)
    except InvalidLicenseExpression:
        return None


def _prompts_digest(root: Path, spec: Spec, paths: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for path in sorted(_prompts(spec, paths)):
        content = (root / path).read_bytes()
        digest.update(f"{_inner(path, spec)}\0{len(content)}\0".encode() + content)
    return f"sha256:{digest.hexdigest()}"


# -- Findings ----------------------------------------------------------------------------------------------


def _empty_findings(loaded: Loaded, tree: Tree, included: dict[str, tuple[str, ...]]) -> Iterator[Finding]:
    spec = loaded.spec
    for index, (glob, paths) in enumerate(included.items()):
        if not paths:
            message = f'image.include "{glob}" matches no file in {tree.root}'
            fix = "correct the pattern (** is any depth), make the files first, or remove it"
            yield loaded.merged.finding("include-empty", ("image", "include", index), message, fix)
    if spec.prompts and not _prompts(spec, tree.paths):
        there = (tree.root / spec.prompts).is_dir()
        how = "is empty, or git ignores all of it" if there else "is not there"
        message = f'the directory of the prompts, "{spec.prompts}", {how}'
        fix = f"put a prompt into it, such as {spec.prompts}/system.md, or remove `prompts`"
        yield loaded.merged.finding("prompts-missing", ("prompts",), message, fix)


def _file_findings(root: Path, source: str) -> Iterator[Finding]:
    path = root / source
    if path.is_symlink() and not (path.is_file() and path.resolve().is_relative_to(root)):
        target = path.readlink()
        message = f"a link to {target}; expected a file inside the project"
        fix = "put a copy in its place, or keep the link out of the image"
        yield Finding("link", message, fix, source)
    elif reason := _unreadable(path):
        message, fix = (
            f"this file would go into the image, and {reason}",
            "mend it, or keep it out of the image",
        )
        yield Finding("unreadable", message, fix, source)
    elif is_secret_file(source) and (path.suffix != ".pem" or b"PRIVATE KEY" in path.read_bytes()):
        message = "this file would go into the image, and files of this name hold secrets"
        where = listed(["add it to .gitignore", "move it out of the package", "narrow image.include"], "or")
        yield Finding("secret-file", message, f"{where}; at run time secrets come by [secrets]", source)


def _unreadable(path: Path) -> str:
    """Why the file has no content for us; empty when it can be read. A pipe would be waited for for ever."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "it is a pipe, a socket or a device"
        path.open("rb").close()
    except OSError as error:
        return f"it cannot be read: {(error.strerror or str(error)).lower()}"
    return ""
