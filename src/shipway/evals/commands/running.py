"""A command of another framework, run; and what its cases came to.

In: the command, the project, the agent's URL. Out: results. What it prints goes to stderr. Errors: StackError
when it cannot be run, or leaves nothing to read.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2

from shipway.errors import StackError
from shipway.evals.commands import ANY, FRAMEWORKS
from shipway.evals.commands.framework import Framework, apart
from shipway.evals.environment import PLACES
from shipway.evals.mark import Mark, missing
from shipway.evals.results import Result
from shipway.loopback import is_loopback
from shipway_runtime.contract import REVISION_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

URL = "SHIPWAY_URL"
"""Where the command finds the agent: its API, without /v1."""
PROGRAMS = (*(f"{place}/bin" for place in PLACES), "node_modules/.bin")
"""Of the project, looked into before PATH."""


def run(command: str, root: Path, url: str) -> tuple[Result, ...]:
    """Run it to its end. Results have the revision that the agent names before and after."""
    words = shlex.split(command)
    framework = known(words)
    with tempfile.TemporaryDirectory(prefix="shipway-evals-") as directory:
        place = Path(directory)
        before = revision(url)
        code = _run([*words, *framework.options(place)], root, variables(framework, place, root, url))
        revisions = tuple(dict.fromkeys(name for name in (before, revision(url)) if name))
        found = _read(framework, place, words, code)
    return tuple(_with(result, revisions) for result in apart(found))


def known(words: Sequence[str]) -> Framework:
    """The framework that a command runs, also behind `npx`, `uv run` or `python -m`."""
    for word in words:
        name = Path(word).name.partition("@")[0]
        if framework := FRAMEWORKS.get("inspect" if name == "inspect_ai" else name):
            return framework
    return ANY


def variables(framework: Framework, place: Path, root: Path, url: str) -> Mapping[str, str]:
    programs = [str(root / program) for program in PROGRAMS if (root / program).is_dir()]
    path = os.pathsep.join([*programs, os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, URL: url, **framework.variables(place)}


def revision(url: str) -> str | None:
    """The revision that answers at the agent's URL now, if anybody does."""
    here = is_loopback(urlsplit(url).hostname)
    try:
        answer = httpx2.get(f"{url.rstrip('/')}/healthz", timeout=10.0, trust_env=not here)
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return None
    named = answer.headers.get(REVISION_HEADER)
    return str(named) if named else None


def _run(words: Sequence[str], root: Path, environ: Mapping[str, str]) -> int:
    try:
        return subprocess.run(words, cwd=root, env=environ, stdout=sys.stderr, check=False).returncode
    except FileNotFoundError:
        hint = f"install it; looked into {', '.join(PROGRAMS)} of the project, and PATH"
        raise StackError(f"there is no program {words[0]}", hint) from None
    except OSError as error:
        raise StackError(f"{words[0]} cannot be run: {error.strerror}") from None


def _read(framework: Framework, place: Path, words: Sequence[str], code: int) -> list[Result]:
    name = " ".join(words)
    try:
        found = list(framework.read(place))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"the results of `{name}` cannot be read: {type(error).__name__}: {error}"
        raise StackError(
            message, "its version may be newer than shipway knows: docs/reference/evals.md"
        ) from None
    if not found and framework is ANY:
        mark = Mark("exit code", code == 0, str(code))
        return [Result(name, "failed" if code else "passed", float(code == 0), (mark,))]
    if not found:
        raise StackError(f"`{name}` ended with code {code} and left no results", "its output above says why")
    if code and all(result.status == "passed" for result in found):
        reason = f"it ended with code {code}, though each case in its results passed"
        found.append(Result(name, "missing", None, (missing("exit code", reason),)))
    return found


def _with(result: Result, revisions: tuple[str, ...]) -> Result:
    return replace(result, revisions=revisions)
