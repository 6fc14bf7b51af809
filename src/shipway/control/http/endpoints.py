"""What each path of control does, for somebody who may.

In: control's parts, and a request. Out: its answer. Each is a transaction, and words for what it found.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import TYPE_CHECKING

from starlette.responses import Response

from shipway.control import conversations, evals, fleet, policies, releases, replicas, rollouts, turns
from shipway.control.gates import defaults, gates, plans, verdicts
from shipway.control.http.answers import Refused, document
from shipway.control.outcomes import minutes, rows
from shipway_runtime.contract import Deletion

if TYPE_CHECKING:
    from shipway.control.http.boundary import Asked
    from shipway.control.parts import Parts


async def take_outcomes(parts: Parts, asked: Asked) -> Response:
    """POST /v1/outcomes"""
    deployment, read = asked.deployment, await asyncio.to_thread(rows.read, asked.body)
    if read:
        await parts.intake.take(rows.Taken(deployment, read, asked.at))
    return Response(status_code=204)


def take_replica(parts: Parts, asked: Asked) -> Response:
    """POST /v1/replicas"""
    deployment, report = asked.deployment, replicas.read(asked.body)
    with parts.database.write() as transaction:
        replicas.keep(transaction, deployment, report, asked.at)
    return Response(status_code=204)


def show_policy(parts: Parts, asked: Asked) -> Response:
    """GET /v1/policy"""
    deployment = asked.deployment
    with parts.database.read() as transaction:
        version = policies.latest(transaction, deployment)
    headers = {"etag": version.etag, "cache-control": "no-cache"}
    known = asked.headers.get("if-none-match")
    if known is not None and policies.matches(known, version.etag):
        return Response(status_code=304, headers=headers)
    return Response(version.policy, 200, headers, "application/json")


def put_policy(parts: Parts, asked: Asked) -> Response:
    """PUT /v1/policy"""
    deployment, expected = asked.deployment, asked.headers.get("if-match")
    if expected is None:
        raise Refused(
            428,
            "if_match_missing",
            "say in If-Match which ETag this is to follow, or `*` for whatever is there",
        )
    wanted = policies.read(asked.document(), asked.by, asked.at)
    with parts.database.write() as transaction:
        version = policies.put(transaction, deployment, wanted, expected)
    return document(version.document(), etag=version.etag)


def show_versions(parts: Parts, asked: Asked) -> Response:
    """GET /v1/policy/versions"""
    deployment, (limit, before) = asked.deployment, asked.paging()
    with parts.database.read() as transaction:
        found = policies.versions(transaction, deployment, limit, before)
    return document([version.document() for version in found])


def show_deployments(parts: Parts, asked: Asked) -> Response:
    """GET /v1/deployments"""
    with parts.database.read() as transaction:
        return document(fleet.all_of(transaction, asked.at))


def show_fleet(parts: Parts, asked: Asked) -> Response:
    """GET /v1/fleet"""
    with parts.database.read() as transaction:
        return document(fleet.show(transaction, asked.deployment, asked.at))


def show_errors(parts: Parts, asked: Asked) -> Response:
    """GET /v1/errors?since=T"""
    deployment, since = asked.deployment, asked.number("since")
    with parts.database.read() as transaction:
        return document(minutes.show(transaction, deployment, since, asked.at))


async def alive(parts: Parts, asked: Asked) -> Response:
    """GET /healthz: the process answers, whatever its threads wait for."""
    return document({"status": "ok"})


async def ready(parts: Parts, asked: Asked) -> Response:
    """GET /readyz: the database can be written. A file of tokens that is wrong is told, and no reason."""
    if problem := parts.readiness.problem:
        return document({"status": "unready", "problem": problem}, 503)
    return document({"status": "ok", "problem": parts.tokens.problem})


def take_eval(parts: Parts, asked: Asked) -> Response:
    """POST /v1/evals"""
    deployment, run = asked.deployment, evals.read(asked.document())
    with parts.database.write() as transaction:
        identity = evals.keep(transaction, deployment, run, asked.by, asked.at)
    return document({"id": identity}, 201)


def show_evals(parts: Parts, asked: Asked) -> Response:
    """GET /v1/evals"""
    deployment, (limit, before) = asked.deployment, asked.paging()
    with parts.database.read() as transaction:
        return document(evals.all_of(transaction, deployment, asked.query.get("revision", ""), limit, before))


def show_eval(parts: Parts, asked: Asked) -> Response:
    """GET /v1/evals/ID"""
    with parts.database.read() as transaction:
        return document(evals.one_of(transaction, asked.deployment, asked.path["id"]))


def take_release(parts: Parts, asked: Asked) -> Response:
    """POST /v1/releases"""
    deployment, (revision, release) = asked.deployment, releases.read(asked.document())
    with parts.database.write() as transaction:
        releases.keep(transaction, deployment, revision, release, asked.at)
    return Response(status_code=204)


def show_releases(parts: Parts, asked: Asked) -> Response:
    """GET /v1/releases"""
    deployment, (limit, before) = asked.deployment, asked.paging()
    with parts.database.read() as transaction:
        return document(releases.all_of(transaction, deployment, limit, before))


def put_gate(parts: Parts, asked: Asked) -> Response:
    """PUT /v1/gates/CANARY"""
    deployment, canary = asked.deployment, asked.path["canary"]
    data = asked.document()
    with parts.database.write() as transaction:
        filled = defaults.complete(transaction, deployment, canary, data, asked.at)
        plan = plans.read(canary, filled, asked.at)
        gates.put(transaction, deployment, plan, asked.by, asked.at)
    return document(parts.gates.show(deployment, canary, asked.at))


def show_gates(parts: Parts, asked: Asked) -> Response:
    """GET /v1/gates"""
    return document(parts.gates.all_of(asked.deployment, *asked.paging()))


def show_gate(parts: Parts, asked: Asked) -> Response:
    """GET /v1/gates/CANARY"""
    return document(parts.gates.show(asked.deployment, asked.path["canary"], asked.at))


def end_gate(parts: Parts, asked: Asked) -> Response:
    """DELETE /v1/gates/CANARY"""
    parts.gates.end(asked.deployment, asked.path["canary"], asked.by, asked.at)
    return Response(status_code=204)


def show_verdict(parts: Parts, asked: Asked) -> Response:
    """GET /v1/verdict?canary=REVISION"""
    canary = asked.query.get("canary")
    if not canary:
        raise Refused(400, "bad_query", "query: `canary` is the revision that is judged; it is missing")
    judgement = parts.gates.judge(asked.deployment, canary)
    return verdicts.answer(judgement, asked.query.get("as", "json"), asked.number("enough"))


def take_rollout(parts: Parts, asked: Asked) -> Response:
    """PUT /v1/rollout"""
    deployment, snapshot = asked.deployment, rollouts.read(asked.body)
    with parts.database.write() as transaction:
        rollouts.keep(transaction, deployment, snapshot, asked.at)
    if snapshot.ended:
        with contextlib.suppress(Refused):  # nothing judged it
            parts.gates.end(deployment, snapshot.canary.revision, asked.by, asked.at)
    return Response(status_code=204)


def show_rollout(parts: Parts, asked: Asked) -> Response:
    """GET /v1/rollout"""
    with parts.database.read() as transaction:
        known = rollouts.known(transaction, asked.deployment, asked.at)
    return document(dataclasses.asdict(known))


def order(parts: Parts, asked: Asked) -> Response:
    """POST /v1/rollout/orders"""
    deployment, wanted = asked.deployment, rollouts.read_order(asked.document())
    with parts.database.write() as transaction:
        taken = rollouts.order(transaction, deployment, wanted, asked.by, asked.at)
    return document(dataclasses.asdict(taken), 201)


def show_orders(parts: Parts, asked: Asked) -> Response:
    """GET /v1/rollout/orders?after=N"""
    with parts.database.read() as transaction:
        found = rollouts.orders(transaction, asked.deployment, asked.number("after") or 0)
    return document([dataclasses.asdict(one) for one in found])


def show_conversations(parts: Parts, asked: Asked) -> Response:
    """GET /v1/conversations"""
    deployment, (limit, before) = asked.deployment, asked.paging(conversations.LIMIT)
    revision = asked.query.get("revision", "")
    with parts.database.read() as transaction:
        return document(conversations.failed(transaction, deployment, revision, limit, before))


def forget_conversation(parts: Parts, asked: Asked) -> Response:
    """DELETE /v1/conversations/ID"""
    deployment, tenant = asked.deployment, asked.query.get("tenant") or None
    deletion = Deletion(asked.path["conversation"], tenant, asked.at)
    with parts.database.write() as transaction:
        turns.keep(transaction, deployment, [deletion], asked.at)
    return Response(status_code=204)


def take_turns(parts: Parts, asked: Asked) -> Response:
    """POST /v1/turns"""
    deployment, lines = asked.deployment, turns.read(asked.body)
    with parts.database.write() as transaction:
        turns.keep(transaction, deployment, lines, asked.at)
    return Response(status_code=204)


def show_metrics(parts: Parts, asked: Asked) -> Response:
    """GET /metrics"""
    content_type, page = parts.metrics.page(asked.headers.get("accept", ""))
    return Response(page, headers={"content-type": content_type})
