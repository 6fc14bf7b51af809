"""A base's own interpreter -> bytecode of any tree of Python sources.

In: the tree of a base that this host can run, and a directory of sources with its path in the image. Out:
`__pycache__` directories with unchecked-hash files (PEP 552), each of which depends on its source, that path
and the version of Python alone. Bytecode does not depend on the architecture, so the base that compiles may
be another than the one that is compiled.
"""

from __future__ import annotations

import ast
import errno
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shipway.build.interruption import run
from shipway.errors import BuildError

PYTHON = "3.13"

LIBRARIES = {"amd64": "usr/lib/x86_64-linux-gnu", "arm64": "usr/lib/aarch64-linux-gnu"}
"""Where Debian keeps the shared libraries of an architecture, and the dynamic loader with them."""

_LOADERS = {"amd64": "ld-linux-x86-64.so.2", "arm64": "ld-linux-aarch64.so.1"}

# Runs inside the interpreter. What Python writes for a file depends on what the process compiled or loaded
# before (cpython#129724). So a fork compiles what always comes together and nothing else: the files of one
# distribution in one directory, as RECORD lists them; any other file is alone. The parent imports little but
# what is frozen into Python, and nothing from bytecode that may or may not be there yet. A file that does not
# compile is somebody's template or test: skipped, as compileall does.
COMPILE = """
import importlib.util, marshal, os, sys
directory, image = sys.argv[1:]
sys.pycache_prefix = None
os.umask(0o022)  # the same modes for every user
workers, running, skipped, failed, count = len(os.sched_getaffinity(0)), {}, [], [], 0

def compile_one(inside):
    path = os.path.join(directory, inside)
    with open(path, "rb") as file:
        source = file.read()
    try:
        code = compile(source, os.path.join(image, inside), "exec", dont_inherit=True)
    except Exception:
        return False
    target = importlib.util.cache_from_source(path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    unchecked = (0b01).to_bytes(4, "little")
    with open(target, "wb") as file:
        file.write(importlib.util.MAGIC_NUMBER + unchecked + importlib.util.source_hash(source))
        file.write(marshal.dumps(code))
    return True

def fork(batch):
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        running[process] = batch, reading
        return
    code = 1
    try:
        for inside in batch:
            if not compile_one(inside):
                os.write(writing, inside.encode() + b"\\0")
        code = 0
    except BaseException as error:
        print(f"{inside}: {error}", file=sys.stderr, flush=True)
    os._exit(code)

def reap():
    process, status = os.wait()
    batch, reading = running.pop(process)
    with open(reading, "rb") as file:
        skipped.extend(name.decode() for name in file.read().split(b"\\0") if name)
    if code := os.waitstatus_to_exitcode(status):
        failed.append(f"{batch[0]} could not be compiled ({code})")

def owners(record):
    packages = os.path.dirname(os.path.dirname(record))
    with open(record, encoding="utf-8") as file:
        for row in file:
            path = row.rsplit(",", 2)[0].strip('"')
            yield os.path.normpath(os.path.join(packages, path)), record

files, owner = [], {}
for here, folders, names in os.walk(directory):
    folders[:] = sorted(set(folders) - {"__pycache__"})
    paths = [os.path.join(here, name) for name in names if name.endswith(".py")]
    files += filter(os.path.isfile, paths)
    if here.endswith(".dist-info") and "RECORD" in names:
        owner.update(owners(os.path.join(here, "RECORD")))
batches = {}
for path in sorted(files):
    batch = batches.setdefault((owner.get(path, path), os.path.dirname(path)), [])
    batch.append(os.path.relpath(path, directory))
for batch in sorted(batches.values(), key=len, reverse=True):
    if len(running) >= workers:
        reap()
    fork(batch)
while running:
    reap()
if failed:
    sys.exit(min(failed))
print(ascii([len(files) - len(skipped), sorted(skipped)]))  # json would first have to be compiled itself
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python of a base, run through the base's own loader and libraries.

    `program`, `loader`, `libraries` and `home` are paths below `root`, which `prepare` fills when it is
    needed. `unavailable` says why this host cannot run it; empty when it can.
    """

    root: Path
    program: str
    loader: str
    libraries: tuple[str, ...]
    home: str
    musl: bool = False
    unavailable: str = ""
    prepare: Callable[[], object] | None = None

    def command(self, *arguments: str) -> tuple[str, ...]:
        """The argument list that runs Python with nothing of the host's but its kernel."""
        libraries = ":".join(str(self.root / path) for path in self.libraries)
        return (
            *(str(self.root / self.loader), *(() if self.musl else ("--inhibit-cache",))),
            *("--library-path", libraries, str(self.root / self.program)),
            *("-s", "-P", "-S", "-B", "-W", "ignore", *arguments),
        )

    def run(self, *arguments: str) -> str:
        """Run Python with these arguments; returns its stdout. Raises BuildError when it fails."""
        if self.prepare:
            self.prepare()
        environment = {"PYTHONHOME": str(self.root / self.home), "PYTHONHASHSEED": "0"}
        try:
            done = run(self.command(*arguments), env=environment)
        except OSError as error:
            raise BuildError(
                f"the base's interpreter does not start from {self.root}: {error.strerror}",
                "if that file system is mounted noexec, put the cache elsewhere with SHIPWAY_CACHE",
            ) from error
        if f"[Errno {errno.ENOSPC}]" in done.stderr:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise BuildError(f"the base's interpreter failed with {done.returncode}: {last}")
        return done.stdout


@dataclass(frozen=True, slots=True)
class Compiled:
    """What `compile_tree` did: files compiled, and paths that are not valid Python.

    `unavailable` says why nothing was compiled at all.
    """

    files: int
    skipped: tuple[str, ...] = ()
    unavailable: str = ""


def host_arch() -> str:
    """The architecture of whose bases this host can run the Python; empty where it can run none."""
    machine = os.uname().machine if sys.platform == "linux" else ""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, "")


def unavailable(arch: str) -> str:
    """Why this host cannot run programs of a base for this architecture; empty when it can."""
    host = host_arch() or f"{sys.platform} {os.uname().machine}"
    return "" if arch == host else f"{host} cannot run the Python of a {arch} base"


def interpreter_in(root: Path, arch: str, prepare: Callable[[], object] | None = None) -> Interpreter:
    """The interpreter in the tree of a `minimal` base of this architecture."""
    libraries, loader = LIBRARIES[arch], f"{LIBRARIES[arch]}/{_LOADERS[arch]}"
    program = f"usr/bin/python{PYTHON}"
    return Interpreter(
        root, program, loader, (libraries,), "usr", unavailable=unavailable(arch), prepare=prepare
    )


def bytecode_path(source: str, python: str) -> str:
    """Where Python of this version ("3.13") looks for the bytecode of a source."""
    directory, slash, file = source.rpartition("/")
    return f"{directory}{slash}__pycache__/{file[:-3]}.cpython-{python.replace('.', '')}.pyc"


def compile_tree(interpreter: Interpreter, directory: Path, image_path: str) -> Compiled:
    """Compile every .py file below `directory`, which will be `image_path` in the image.

    Files that are not valid Python are skipped and named. Nothing is compiled, and the result says so, when
    the interpreter cannot run here. Raises BuildError when it should run and does not.
    """
    if interpreter.unavailable:
        return Compiled(0, unavailable=interpreter.unavailable)
    compiled, skipped = ast.literal_eval(
        interpreter.run("-X", "pycache_prefix=/nonexistent", "-c", COMPILE, str(directory), image_path)
    )
    return Compiled(compiled, tuple(skipped))
