"""What a rollout may ask for, and how each engine has it: the second table of docs/reference/targets.md.

In: nothing. Out: `ROLLOUTS`. Kubernetes stands there twice: as it is, and with Argo Rollouts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.render import gate
from shipway.render.kubernetes.argo.analysis import suite_image
from shipway.render.nomad import canaries
from shipway.render.targets import asked
from shipway.render.targets.expressions import ENGINES, Otherwise, Refused, RolloutFeature, Whole

if TYPE_CHECKING:
    from shipway.plan.rollout import RolloutPlan
    from shipway.plan.stack import StackPlan


def _always(plan: StackPlan, rollout: RolloutPlan) -> tuple[str, ...]:
    return ("[rollout]",)


def _ladder(plan: StackPlan, rollout: RolloutPlan) -> tuple[str, ...]:
    """The weights, where there is more than one below 100."""
    weights = [step.weight for step in rollout.steps]
    below = [weight for weight in weights if weight < gate.WHOLE]
    return (", ".join(f"{weight} %" for weight in weights),) if len(below) > 1 else ()


def _count(plan: StackPlan, rollout: RolloutPlan) -> tuple[str, ...]:
    """What becomes of the first weight where instances are counted."""
    weight = rollout.steps[0].weight
    if weight >= gate.WHOLE:
        return ()
    count = canaries.canaries(plan.agent.replicas, weight)
    real = 100 * count / (plan.agent.replicas + count)
    return (f"{weight} % is {count} beside {plan.agent.replicas}: {real:.0f} % of the instances",)


def _sqlite(plan: StackPlan, rollout: RolloutPlan) -> tuple[str, ...]:
    return asked.sqlite(plan) if rollout.steps[0].weight < gate.WHOLE else ()


def _forgetful(plan: StackPlan, rollout: RolloutPlan) -> tuple[str, ...]:
    """Conversations that live in the process."""
    return (plan.name,) if plan.config.settings.storage is None else ()


def _unpinned(plan: StackPlan, rollout: RolloutPlan) -> tuple[str, ...]:
    return (plan.name,) if rollout.steps[0].weight < gate.WHOLE else ()


def _suite(plan: StackPlan, rollout: RolloutPlan) -> tuple[str, ...]:
    return (suite_image(plan),) if rollout.suite else ()


def _nameless(plan: StackPlan, rollout: RolloutPlan) -> tuple[str, ...]:
    return () if plan.namespace else (plan.environment,)


_NOTHING = Whole("one agent, as it is")
_BY_HAND = Whole("as you say")
_FORGETS = Otherwise(
    "lost when a turn reaches the other revision",
    "{}: conversations live in the process, and a turn that the other revision gets has forgotten them; keep "
    "them in PostgreSQL: [storage] url",
)
_BESIDE = Otherwise(
    "run by you, before the deployment",
    "the paired suite is run by you, before the deployment: shipway eval --url CANARY --against STABLE",
)
ROLLOUTS: tuple[RolloutFeature, ...] = (
    RolloutFeature(
        "a rollout",
        _always,
        {
            "compose": Otherwise(
                "none: it is replaced at once",
                "{}: Compose replaces the agent at once; `shipway deploy` rolls out on a machine with Docker",
            ),
            "kubernetes": Otherwise(
                "by hand, or with `--rollout argo`",
                "{}: a Deployment replaces its pods, and nothing judges them: --rollout argo, or by hand "
                "(docs/reference/kubernetes.md)",
            ),
            "argo": Whole("Rollout, HTTPRoute, AnalysisTemplates that ask control"),
            "ecs": Whole("ECS's canary, with control as its hook; needs a load balancer"),
            "nomad": Whole("canaries, which a job of shipway's promotes or fails by what control says"),
        },
    ),
    RolloutFeature(
        "several steps",
        _ladder,
        {
            "compose": _NOTHING,
            "kubernetes": _BY_HAND,
            "argo": Whole("setWeight, pause, analysis"),
            "ecs": Otherwise(
                "the first one, for as long as all of them together",
                "steps of {}: ECS has one, and then all. The canary keeps the first weight for as long as "
                "all steps together",
            ),
            "nomad": Otherwise(
                "the first one, for as long as all of them together",
                "steps of {}: Nomad has one, and then all. The canaries stay for as long as all steps "
                "together",
            ),
        },
    ),
    RolloutFeature(
        "a step's weight",
        _count,
        {
            **dict.fromkeys(ENGINES, Whole("of new conversations")),
            "compose": _NOTHING,
            "kubernetes": Otherwise("of the pods", "{}, when you do it by hand"),
            "ecs": Whole("of requests"),
            "nomad": Otherwise("of the instances", "{}: Nomad counts instances"),
        },
    ),
    RolloutFeature(
        "conversations that stay with their revision",
        _unpinned,
        {
            "compose": _NOTHING,
            "kubernetes": _BY_HAND,
            "argo": Otherwise(
                "by your gateway, where it can",
                "{}: a conversation may change its revision between turns, unless your gateway pins it "
                "(docs/reference/argo.md)",
            ),
            "ecs": Otherwise(
                "no", "{}: a conversation may change its revision between turns: ECS knows no conversations"
            ),
            "nomad": Otherwise(
                "by your balancer, where it can",
                "{}: a conversation may change its revision between turns, unless your balancer pins it",
            ),
        },
    ),
    RolloutFeature(
        "conversations in SQLite, and a rollout",
        _sqlite,
        {
            "compose": _NOTHING,
            "kubernetes": Otherwise(
                "one pod: it stops before the next one starts",
                "conversations are in SQLite on {}, which one pod has at a time: a canary needs PostgreSQL",
            ),
            "argo": Refused(
                "conversations are in SQLite on {}, on a volume that one pod has at a time, and a canary is "
                "a second one",
                'keep them in PostgreSQL: [env.NAME.storage] url = { secret = "DATABASE_URL" }',
            ),
            "ecs": Whole("refused anyhow"),
            "nomad": Refused(
                "conversations are in SQLite on {}, on a volume that one task has at a time, and a canary is "
                "a second one",
                'keep them in PostgreSQL: [env.NAME.storage] url = { secret = "DATABASE_URL" }',
            ),
        },
    ),
    RolloutFeature(
        "conversations in the process, and a rollout",
        _forgetful,
        {"compose": _NOTHING, **dict.fromkeys(ENGINES[1:], _FORGETS)},
    ),
    RolloutFeature(
        "the paired suite",
        _suite,
        {
            "compose": _NOTHING,
            "kubernetes": _BY_HAND,
            "argo": Otherwise(
                "a Job before the first step, in an image of yours",
                "the paired suite runs in {}, an image that you build: docs/reference/argo.md",
            ),
            "ecs": _BESIDE,
            "nomad": _BESIDE,
        },
    ),
    RolloutFeature(
        "no namespace",
        _nameless,
        {
            **dict.fromkeys(ENGINES, Whole("as it is")),
            "argo": Refused(
                "Argo asks control from a namespace of its own, and {} names none",
                'write [env.NAME.kubernetes] namespace = "…"',
            ),
        },
    ),
)
