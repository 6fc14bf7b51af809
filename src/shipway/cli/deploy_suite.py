"""The paired suite of a rollout, run from here: canary and stable are asked the same, through the engine.

In: a rollout that waits for it. Out: the verdict, told to the controller. Whoever is interrupted has told
nothing: the rollout waits, and the next `shipway deploy` of the same release runs it.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from shipway.cli import eval_run, eval_words
from shipway.deploy.tunnel import tunnel
from shipway.errors import ShipwayError, StackError
from shipway.evals import records

if TYPE_CHECKING:
    from shipway.deploy.controller import Controller
    from shipway.deploy.deploying import Deployed
    from shipway.evals.results import Run
    from shipway.rollout.service.messages import RevisionStatus, Status

AT_ONCE = 4
"""Cases that are asked side by side: each connection is a process here and one there."""


def run(deployed: Deployed, status: Status) -> None:
    """Run it and tell the verdict; one that cannot be run is told as broken."""
    canary, stable = status.canary, status.stable
    if canary is None or stable is None:
        raise StackError("the evals compare two revisions, and one of them is away")
    click.echo(f"  the evals ask {canary.revision} and {stable.revision}", err=True)
    try:
        verdict = _ask(deployed, canary, stable).verdict
    except ShipwayError:
        deployed.controller.suite("broken", canary.revision)
        raise
    deployed.controller.suite(verdict, canary.revision)


def _ask(deployed: Deployed, canary: RevisionStatus, stable: RevisionStatus) -> Run:
    with ExitStack() as stack:
        urls = [stack.enter_context(_reach(deployed.controller, one)) for one in (canary, stable)]
        evals = deployed.subject.loaded.spec.evals
        # Another framework's command has no pairs to ask: what it said of stable before is compared, if kept.
        earlier = records.find(deployed.subject.root, stable.revision) if evals and evals.command else None
        against = (str(earlier) if earlier else None) if evals and evals.command else urls[1]
        ran = eval_run.run(deployed.subject.loaded, eval_run.Asked(urls[0], against, None, False, AT_ONCE, 1))
    if ran.interrupted:
        raise KeyboardInterrupt
    eval_words.talk(ran.run)
    records.keep(deployed.subject.root, ran.run)
    return ran.run


def _reach(controller: Controller, revision: RevisionStatus):  # type: ignore[no-untyped-def]
    if revision.host is None or revision.port is None:
        raise StackError(f"{revision.revision} has no address yet")
    return tunnel(controller.connect(revision.host, revision.port))
