"""A gate's verdict in the form that an engine asks for.

In: a judgement, the form, and how many conversations of the canary are enough where there is no evidence of
harm. Out: JSON for people, Argo's web metric and the controller; an exit code, for a job or a script; what a
lifecycle hook of ECS says. Each has three values: an engine that knows two must not take the third for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import PlainTextResponse

from shipway.control.http.answers import Refused, document

if TYPE_CHECKING:
    from starlette.responses import Response

EXIT = {"pass": 0, "fail": 3, "inconclusive": 75}  # a gate said no; sysexits' "try again later"
ECS = {"pass": "SUCCEEDED", "fail": "FAILED", "inconclusive": "IN_PROGRESS"}
ECS_DELAY_S = 60  # until the hook is called again
FORMS = ("json", "exit", "ecs")


def verdict(judgement: dict[str, Any], enough: float | None) -> str:
    """The gate's own; but with `enough` conversations of the canary, and no evidence of harm, a pass."""
    said: str = judgement["verdict"]
    harmless = judgement["why"] == "no-harm" and not judgement["pause"]
    if enough is not None and harmless and judgement["canary"] >= enough:
        return "pass"
    return said


def answer(judgement: dict[str, Any], form: str, enough: float | None) -> Response:
    """What an engine is told. Raises Refused for a form that there is not."""
    said = verdict(judgement, enough)
    if form == "exit":
        return PlainTextResponse(f"{EXIT[said]}\n", headers={"cache-control": "no-store"})
    if form == "ecs":
        again = {"callBackDelay": ECS_DELAY_S} if said == "inconclusive" else {}
        return document({"hookStatus": ECS[said], **again})
    if form != "json":
        raise Refused(400, "bad_query", f"query: `as` is one of {', '.join(FORMS)}; saw {form[:80]!r}")
    keys = ("why", "words", "pause", "evidence", "threshold", "canary", "stable")
    metrics = [{key: one[key] for key in ("metric", "harm", "fine", "words")} for one in judgement["metrics"]]
    return document({"verdict": said} | {key: judgement[key] for key in keys} | {"metrics": metrics})
