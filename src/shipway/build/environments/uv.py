"""uv, run as a program: its output, or its failure as one of our errors.

In: arguments. Out: stdout, or an error that says in uv's own words what could not be met, fetched or
verified. uv's settings (indexes, credentials, proxies) are its own: nothing here overrides them.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import uv

from shipway.build.interruption import run
from shipway.errors import BuildError, ResolveError, TamperedError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Sequence

# uv writes to a terminal-width of its own and in colour unless told otherwise.
_QUIET = ("--quiet", "--color", "never", "--no-progress")
_WIDE = "4000"

_UNANSWERED = re.compile(
    r"Failed to fetch: `?(\S+?)`?\s|Could not connect|dns error|Request failed|response body error"
)
_NO_WHEEL = re.compile(r"Invalid zip file structure|Failed to read from zip file|Failed to extract archive")


def run_uv(arguments: Sequence[str], purpose: str, cwd: Path | None = None) -> str:
    """Run uv and return its stdout. `purpose` completes the message "cannot …" when it fails.

    A full disk is an OSError, as in writing of our own.
    """
    program = Path(uv.find_uv_bin())
    done = run([program, *arguments, *_QUIET], cwd, os.environ | {"COLUMNS": _WIDE})
    if full := re.search(r"(/[^`\s]*)`?: No space left on device", done.stderr):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), full[1])
    if done.returncode:
        raise _error(done.stderr, purpose)
    return done.stdout


def _error(stderr: str, purpose: str) -> BuildError:
    said = _plain(stderr)
    if "Hash mismatch" in said or "hashes do not match" in said.lower():
        return TamperedError(
            f"cannot {purpose}: a package is not what the lock says\n{said}",
            "the index or a cache between serves another file than was locked: find out why before "
            "you change the hash",
        )
    if "valid authentication credentials" in said or "401 Unauthorized" in said:
        return BuildError(
            f"cannot {purpose}: the package index wants other credentials\n{said}",
            "give them to uv: user:password in the address in UV_INDEX, UV_INDEX_NAME_USERNAME and "
            "UV_INDEX_NAME_PASSWORD for the [[tool.uv.index]] of that name, or a line in ~/.netrc",
        )
    if match := _UNANSWERED.search(said):
        where = f" {match[1]}" if match[1] else ""
        return UnreachableError(
            f"cannot {purpose}: the package index did not answer:{where}\n{said}",
            "check the network, the proxy and uv's index settings (UV_DEFAULT_INDEX, uv.toml); "
            "packages that uv has cached need no network",
        )
    if _NO_WHEEL.search(said):
        return BuildError(
            f"cannot {purpose}: what the package index served is no wheel\n{said}",
            "the index may be half way through an update, or a proxy has answered in its place: try again",
        )
    if match := re.search(r"Because (\S+?) has no (?:usable wheels|wheels with a matching)", said):
        return ResolveError(
            f"cannot {purpose}: {match[1]} has no wheel for this platform and Python\n{said}",
            "pin a version that has one, or build the wheel yourself and let uv find it (UV_FIND_LINKS)",
        )
    return ResolveError(f"cannot {purpose}\n{said}")


def _plain(stderr: str) -> str:
    """uv's message without its markers, indented below ours."""
    lines = [re.sub(r"^(error|\s*cause|hint): ", "", line) for line in stderr.splitlines()]
    return "\n".join(f"    {line.strip()}" for line in lines if line.strip())
