"""How `shipway eval` comes to a run: whom to ask, with which judge, against what.

In: a loaded agent.toml and the command line. Out: a Run, whole or as far as an interrupt let it come.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from shipway.errors import StackError
from shipway.evals import control, records
from shipway.evals.against import Measure, match
from shipway.evals.asking import Place
from shipway.evals.environment import find_python
from shipway.evals.model_api import APIS, Model, locate
from shipway.evals.records import Before
from shipway.evals.results import Run, of_revisions
from shipway.evals.session import Done, Evaluation, compare, evaluate, finish
from shipway.evals.suite import read_suite
from shipway.local import dotenv, state
from shipway.local.ask import KEY
from shipway.plan.sdk_variables import base_urls
from shipway.spec.load import DEVELOPMENT
from shipway.spec.model import Evals

if TYPE_CHECKING:
    from shipway.evals.case import Suite
    from shipway.local.state import Stack
    from shipway.spec.load import Loaded
    from shipway.spec.model import Spec

_PATIENCE_S = 30.0  # beyond the agent's own limit of a turn, so that it is the agent who says so


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line."""

    url: str | None
    against: str | None
    pattern: str | None
    failed: bool
    concurrency: int
    repeats: int


@dataclass(frozen=True, slots=True)
class Ran:
    run: Run
    interrupted: bool = False


def run(loaded: Loaded, asked: Asked) -> Ran:
    """Run the suite. Raises SpecError for its mistakes, StackError when nobody can be asked."""
    from shipway.cli.eval_progress import progress

    if loaded.env and not asked.url:
        raise click.UsageError(f"--env {loaded.env} needs --url: what runs here is {DEVELOPMENT}")
    if loaded.spec.evals and loaded.spec.evals.command:
        return Ran(_by_command(loaded, loaded.spec.evals.command, asked))
    wanted = plan(loaded, asked)
    before = _before(loaded, asked.against, wanted) if asked.against else None
    done, interrupted = Done(), False
    with progress(len(wanted.suite.cases)) as tell:
        try:
            if before:
                asyncio.run(compare(wanted, before, measure(loaded.spec), done, tell))
            else:
                asyncio.run(evaluate(wanted, done, tell))
        except KeyboardInterrupt:
            interrupted = True
    return Ran(finish(wanted, done), interrupted)


def _by_command(loaded: Loaded, command: str, asked: Asked) -> Run:
    """The run of another framework's command."""
    from shipway.evals.commands import running

    if asked.pattern or asked.failed or asked.repeats > 1:
        raise click.UsageError("-k, --failed and --repeat are for suites: use the command's own options")
    if asked.against and asked.against.startswith(("http://", "https://")):
        raise click.UsageError("--against takes a revision or a run's JSON where [evals] has a command")
    spec, root, environment = loaded.spec, loaded.path.resolve().parent, loaded.env or DEVELOPMENT
    before = _earlier(root, asked.against, spec.name, environment) if asked.against else None
    began = time.time()
    results = running.run(command, root, asked.url or state.require(root).api)
    return Run(
        name=spec.name,
        environment=environment,
        source=command,
        results=results,
        started=began,
        finished=time.time(),
        required=spec.evals.required if spec.evals else 1.0,
        against=match(before, results, measure(spec)) if before else None,
        remarks=of_revisions(results),
    )


def plan(loaded: Loaded, asked: Asked) -> Evaluation:
    """What is to be run."""
    spec, root = loaded.spec, loaded.path.resolve().parent
    evals = spec.evals or Evals()
    suite = _only(read_suite(root, evals.suite, scored=bool(evals.scorer)), asked, root)
    stack = None if asked.url else state.require(root)
    python, remark = find_python(root) if evals.scorer else (None, "")
    if remark:
        click.echo(remark, err=True)
    return Evaluation(
        name=spec.name,
        environment=loaded.env or DEVELOPMENT,
        source=evals.suite,
        suite=suite,
        place=_place(spec, stack.api if stack else str(asked.url)),
        root=root,
        python=python,
        scorer=evals.scorer,
        judge=_judge(spec, evals, root, stack) if suite.judged else "no judge",
        concurrency=asked.concurrency,
        repeats=asked.repeats,
        required=evals.required,
        remarks=_replayed(stack, suite),
    )


def _replayed(stack: Stack | None, suite: Suite) -> tuple[str, ...]:
    """Whose words these are, where they are not the model's."""
    if stack is None or stack.replayed is None:
        return ()
    judge = " and the judge's" if suite.judged else ""
    return (f"the model's answers{judge} are replayed from {stack.replayed}/: they test the code around it",)


def measure(spec: Spec) -> Measure:
    """How much worse answers may be: as a rollout would have it."""
    if spec.rollout is None:
        return Measure()
    gate = spec.rollout.gates.evals
    return Measure(gate.margin if gate else None, spec.rollout.alpha)


def _place(spec: Spec, url: str) -> Place:
    prices = spec.model.prices if spec.model else {}
    return Place(url, os.environ.get(KEY), spec.api.timeout + _PATIENCE_S, prices)


def _only(suite: Suite, asked: Asked, root: Path) -> Suite:
    """The cases that the command line wants."""
    cases = suite.cases
    if (pattern := asked.pattern) is not None:
        cases = tuple(case for case in cases if pattern in case.id or pattern in case.tags)
        if not cases:
            raise click.UsageError(f"no case has {pattern} in its id or among its tags")
    if asked.failed:
        wanted = records.unpassed(root)
        cases = tuple(case for case in cases if case.id in wanted)
        if not cases:
            raise click.UsageError("every case passed in the last run here")
    return replace(suite, cases=cases)


def _judge(spec: Spec, evals: Evals, root: Path, stack: Stack | None) -> Model | str:
    """The judge's model; or why there is none. While the agent's model is replayed, so is the judge."""
    if spec.model is None:
        return "the judge needs a model: add [model] to agent.toml"
    provider, name = spec.model.provider, evals.judge or spec.model.name
    environ = {**dotenv.read(root / ".env"), **os.environ}
    if stack and stack.replayed:
        (replay,) = (process for process in stack.processes if process.name == "replay")
        environ |= base_urls(urlsplit(replay.address).port or 0)
        provider = provider if provider in APIS else "openai"  # as the replay speaks it, and not a gateway
    try:
        return locate(provider, name, environ)
    except LookupError as error:
        return str(error)


def _before(loaded: Loaded, against: str, wanted: Evaluation) -> Before | Place:
    """What to compare with: an agent that runs, a file, or a revision that was run before."""
    if against.startswith(("http://", "https://")):
        return _place(loaded.spec, against)
    return _earlier(wanted.root, against, wanted.name, wanted.environment)


def _earlier(root: Path, against: str, name: str, environment: str) -> Before:
    """A run's JSON, or the last run of a revision, here or in control. Raises StackError."""
    if (file := Path(against)).is_file() or (file := records.find(root, against) or Path()).is_file():
        return records.read(file)
    reasons = [f"no run of {against} in {records.PLACE}"]
    if server := control.named(os.environ, name, environment):
        found = server.find(against)
        if isinstance(found, Before):
            return found
        reasons.append(found)
    known = ", ".join(records.names(root)) or "none"
    raise StackError("; ".join(reasons), f"runs that are here: {known}; or give a URL, or a run's JSON")
