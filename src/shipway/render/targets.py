"""What a stack may ask for, and how each target has it: one table.

In: a StackPlan and a target. Out: remarks about what the target has in another way; SpecError for what it
cannot have at all. docs/reference/targets.md is made from this table: nothing is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from shipway.errors import Finding, SpecError
from shipway.plan.container import ENDING_S
from shipway.plan.stack import StackPlan
from shipway.render.ecs import fargate
from shipway.render.identities import GOOGLE, IDENTITIES
from shipway_runtime import contract

Target = Literal["compose", "kubernetes", "ecs", "nomad"]
TARGETS: tuple[Target, ...] = ("compose", "kubernetes", "ecs", "nomad")
RULE = "target"


@dataclass(frozen=True, slots=True)
class Whole:
    """The target has it as it is meant. `how`: by which of its own means."""

    how: str


@dataclass(frozen=True, slots=True)
class Otherwise:
    """The target has it in another way, or in part. `remark` is told to who uses it; {} are the names."""

    how: str
    remark: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The target cannot have it. `message` with {} for the names, and what to do."""

    message: str
    fix: str

    @property
    def how(self) -> str:
        return "refused"


Expression = Whole | Otherwise | Refused


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that a stack may ask for; `used` gives the names of what asks for it."""

    title: str
    used: Callable[[StackPlan], tuple[str, ...]]
    by: Mapping[Target, Expression]


def judge(plan: StackPlan, target: Target) -> tuple[str, ...]:
    """The remarks for this stack on this target. Raises SpecError with a finding for all that is refused."""
    remarks, findings = [], []
    for feature in FEATURES:
        names = feature.used(plan)
        expression = feature.by[target]
        if not names or isinstance(expression, Whole):
            continue
        listed = ", ".join(names)
        if isinstance(expression, Refused):
            message = f"{target}: {expression.message.format(listed)}"
            findings.append(Finding(RULE, message, expression.fix, "agent.toml"))
        else:
            remarks.append(expression.remark.format(listed))
    if findings:
        raise SpecError(findings)
    return tuple(remarks)


# -- What a stack may use ------------------------------------------------------------------------------------


def _files(plan: StackPlan) -> tuple[str, ...]:
    return tuple(name for name, source in plan.agent.secrets.items() if source == "file")


def _identities(plan: StackPlan) -> tuple[str, ...]:
    secrets = plan.config.settings.secrets.items()
    return tuple(name for name, secret in secrets if secret.broker and secret.broker.identity_token)


def _identity_files(plan: StackPlan) -> tuple[str, ...]:
    return tuple(name for name in (*IDENTITIES, GOOGLE) if name in plan.agent.secrets)


def _storage(plan: StackPlan) -> tuple[str, ...]:
    return (plan.storage.path,) if plan.storage else ()


def _sidecars(plan: StackPlan) -> tuple[str, ...]:
    return tuple(server.name for server in plan.sidecars)


def _optional(plan: StackPlan) -> tuple[str, ...]:
    return tuple(server.name for server in plan.sidecars if server.optional)


def _unlimited(plan: StackPlan) -> tuple[str, ...]:
    servers = (*plan.sidecars, *plan.apart)
    return tuple(server.name for server in servers if server.resources.memory is None)


def _commands(plan: StackPlan) -> tuple[str, ...]:
    """Sidecars that are a command of the user's own: nobody has an image of them."""
    servers = (*plan.sidecars, *plan.apart)
    return tuple(server.name for server in servers if server.program and server.program.kind == "command")


def _replicas(plan: StackPlan) -> tuple[str, ...]:
    return (str(plan.agent.replicas),) if plan.agent.replicas > 1 else ()


def _scratch(plan: StackPlan) -> tuple[str, ...]:
    """Storage of several replicas, whose conversations are in PostgreSQL."""
    return (plan.storage.path,) if plan.storage and plan.agent.replicas > 1 else ()


def _foreign(plan: StackPlan) -> tuple[str, ...]:
    """MCP servers in images that others built."""
    return tuple(server.name for server in (*plan.sidecars, *plan.apart) if not server.program)


def _foreign_optional(plan: StackPlan) -> tuple[str, ...]:
    return tuple(server.name for server in plan.sidecars if server.optional and not server.program)


def _long_grace(plan: StackPlan) -> tuple[str, ...]:
    """A grace that is longer than the two minutes that Fargate gives."""
    return _grace_above(plan, fargate.STOP_S)


def _any_grace(plan: StackPlan) -> tuple[str, ...]:
    """A grace that is longer than what a client of Nomad gives, unless it is told to."""
    return _grace_above(plan, _NOMAD_KILL_S)


def _grace_above(plan: StackPlan, most_s: float) -> tuple[str, ...]:
    return (f"{plan.agent.grace_s:g} s",) if plan.agent.grace_s > most_s - ENDING_S else ()


def _sqlite(plan: StackPlan) -> tuple[str, ...]:
    storage = plan.config.settings.storage
    return (storage.path,) if plan.storage and storage and not storage.url_secret else ()


def _limits(plan: StackPlan) -> tuple[str, ...]:
    return ("[policy]",) if plan.config.settings.limits != contract.Limits() else ()


def _long_hosts(plan: StackPlan) -> tuple[str, ...]:
    hosts = [f"{plan.name}-mcp-{server.name}" for server in plan.apart]
    return tuple(host for host in hosts if len(host) > _LABEL)


def _long_instance(plan: StackPlan) -> tuple[str, ...]:
    instance = f"{plan.name}-{plan.environment}"
    return (instance,) if len(instance) > _LABEL else ()


def _replayed(plan: StackPlan) -> tuple[str, ...]:
    return (plan.environment,) if plan.replay else ()


def _always(plan: StackPlan) -> tuple[str, ...]:
    return (plan.name,)


_LABEL = 63
"""Letters that a part of a host name may have, and a label of Kubernetes."""
_NOMAD_KILL_S = 30.0

_NO_REPLAY = Refused(
    "the model of {} is replayed, which needs the project's recordings", "name an environment: --env prod"
)
_NO_IMAGE = Refused(
    "{} is a command of your own, and no image has it",
    'write run = "image:…", "pypi:…", "npm:…" or "project:…"',
)
_NO_HOST = Refused(
    "{} is no host name: it has more than 63 letters", "give the agent or the MCP server a shorter name"
)
_NOT_BESIDE = Refused(
    "{} is apart from the agent, and the volume is for what is beside it",
    'write shape = "sidecar", or remove `storage`',
)
FEATURES: tuple[Feature, ...] = (
    Feature(
        "the agent, its probes, a grace to drain",
        _always,
        {
            "compose": Whole(
                "service; a healthcheck that says whether it is ready, and restarts nothing that hangs; "
                "stop_grace_period"
            ),
            "kubernetes": Whole("Deployment; startup, liveness and readiness probes that differ"),
            "ecs": Whole("task definition and service; healthCheck on the admin port, stopTimeout"),
            "nomad": Whole("job, group and task; checks on the admin port, kill_timeout"),
        },
    ),
    Feature(
        "a grace longer than two minutes",
        _long_grace,
        {
            "compose": Whole("stop_grace_period"),
            "kubernetes": Whole("terminationGracePeriodSeconds"),
            "ecs": Refused(
                "Fargate ends a task two minutes after SIGTERM, and health.grace is {}",
                "write a shorter `grace`",
            ),
            "nomad": Whole("kill_timeout"),
        },
    ),
    Feature(
        "a grace longer than half a minute",
        _any_grace,
        {
            "compose": Whole("stop_grace_period"),
            "kubernetes": Whole("terminationGracePeriodSeconds"),
            "ecs": Whole("stopTimeout"),
            "nomad": Otherwise(
                "kill_timeout, where the client's max_kill_timeout allows it",
                "a grace of {}: Nomad's clients cut it to 30 s, unless their max_kill_timeout says more",
            ),
        },
    ),
    Feature(
        "read-only root, no capabilities, uid 65532",
        _always,
        {
            "compose": Whole("read_only, cap_drop, no-new-privileges, user"),
            "kubernetes": Whole("restricted pod security"),
            "ecs": Whole("readonlyRootFilesystem, linuxParameters, user; Fargate has no no-new-privileges"),
            "nomad": Whole("readonly_rootfs, cap_drop, security_opt, user"),
        },
    ),
    Feature(
        "several replicas",
        _replicas,
        {
            "compose": Otherwise("one", "Compose runs one agent, not {}: replicas need a router in front"),
            "kubernetes": Whole("replicas, topology spread, PodDisruptionBudget"),
            "ecs": Whole("desiredCount"),
            "nomad": Whole("count, spread"),
        },
    ),
    Feature(
        "sidecars",
        _sidecars,
        {
            "compose": Whole("services in the network namespace of a holder"),
            "kubernetes": Whole("native sidecars; plain containers by `--plain-sidecars`"),
            "ecs": Whole("containers of the task, with dependencies"),
            "nomad": Whole("tasks of the group, prestart and sidecar"),
        },
    ),
    Feature(
        "optional sidecars",
        _optional,
        {
            "compose": Whole("nothing depends on them"),
            "kubernetes": Whole("not asked whether they started or are ready: that would block the pod"),
            "ecs": Whole("not essential; started again where they ran for a minute"),
            "nomad": Otherwise(
                "started again for ever; a deployment waits for them",
                "{}: its failure fails nothing that runs, but a deployment waits until it runs",
            ),
        },
    ),
    Feature(
        "optional sidecars of an image that others built",
        _foreign_optional,
        {
            "compose": Whole("nothing depends on them"),
            "kubernetes": Otherwise(
                "optional while they run",
                "{}: Kubernetes takes a pod out of traffic while one of its containers restarts; an image "
                "that "
                "shipway builds restarts its server without that",
            ),
            "ecs": Whole("not essential"),
            "nomad": Otherwise(
                "started again for ever; a deployment waits for them",
                "{}: its failure fails nothing that runs, but a deployment waits until it runs",
            ),
        },
    ),
    Feature(
        "MCP servers in an image that others built",
        _foreign,
        {
            "compose": Whole("as the image says"),
            "kubernetes": Otherwise(
                "restricted pod security, with the image's own user",
                "{}: the pod starts if the image names its user by number, and that is not root; "
                "else set runAsUser in your kustomization.yaml",
            ),
            "ecs": Whole("as the image says"),
            "nomad": Whole("as the image says"),
        },
    ),
    Feature(
        "sidecars that are a command of one's own",
        _commands,
        dict.fromkeys(TARGETS, _NO_IMAGE),
    ),
    Feature(
        "sidecars without a limit of memory",
        _unlimited,
        {
            "compose": Whole("no limit"),
            "kubernetes": Otherwise(
                "64Mi asked, no limit", "{}: no `memory`, so it asks for 64Mi and has no limit"
            ),
            "ecs": Otherwise(
                "64 MiB counted, the task's is the limit",
                "{}: no `memory`, so 64 MiB are counted for it, and the task's is its limit",
            ),
            "nomad": Otherwise("128 MB", "{}: no `memory`, and Nomad needs one: it gets 128 MB"),
        },
    ),
    Feature(
        "CPU and memory",
        _always,
        {
            "compose": Whole("cpu_shares, mem_limit"),
            "kubernetes": Whole("requests, and a limit of memory"),
            "ecs": Whole("the task's size, the smallest that Fargate has for the sum"),
            "nomad": Whole("MHz, of a core of 2 GHz, and a limit of memory"),
        },
    ),
    Feature(
        "more than the smallest size of Fargate",
        fargate.rounded,
        {
            **dict.fromkeys(TARGETS, Whole("as it is")),
            "ecs": Otherwise("rounded up to a size of Fargate", "{}: the next size of Fargate"),
        },
    ),
    Feature(
        "more than the largest size of Fargate",
        fargate.too_large,
        {
            **dict.fromkeys(TARGETS, Whole("as it is")),
            "ecs": Refused("Fargate has no task of this size: {}", "ask for less in `resources`"),
        },
    ),
    Feature(
        "MCP servers apart from the agent",
        lambda plan: tuple(server.name for server in plan.apart),
        {
            "compose": Whole("services with a name of their own, one container each"),
            "kubernetes": Whole("Deployment and Service of their own"),
            "ecs": Whole("a service of their own, found by Service Connect"),
            "nomad": Otherwise(
                "a job of their own, found by Nomad's service discovery",
                "{}: the agent is started again when it moves; its address is read at start",
            ),
        },
    ),
    Feature(
        "a replayed model",
        _replayed,
        {**dict.fromkeys(TARGETS, _NO_REPLAY), "compose": Whole("a container in the agent's network")},
    ),
    Feature(
        "host names of MCP servers apart, of more than 63 letters",
        _long_hosts,
        dict.fromkeys(TARGETS, _NO_HOST),
    ),
    Feature(
        "names of agent and environment, of more than 63 letters together",
        _long_instance,
        {
            **{target: Whole("as they are") for target in TARGETS},
            "kubernetes": Refused(
                "{} is no label: it has more than 63 letters",
                "give the agent or the environment a shorter name",
            ),
        },
    ),
    Feature(
        "databases of [services]",
        lambda plan: tuple(service.name for service in plan.services),
        {
            "compose": Otherwise(
                "run in development; elsewhere given by URL",
                "{}: run in development alone; elsewhere the URL comes from the environment",
            ),
            **{
                target: Otherwise(
                    "given by URL", "{}: given by its URL, as a secret; shipway runs none there"
                )
                for target in TARGETS[1:]
            },
        },
    ),
    Feature(
        "storage",
        _storage,
        {
            "compose": Otherwise(
                "a named volume, of any size", "{}: a named volume, which Docker holds to no `size`"
            ),
            "kubernetes": Whole("a PersistentVolumeClaim, of one pod at a time: a rollout stops it first"),
            "ecs": Otherwise("an EFS file system", "{}: Fargate keeps files in EFS alone; fill in its id"),
            "nomad": Otherwise(
                "a host volume", "{}: a host volume that the cluster has to offer, of user 65532"
            ),
        },
    ),
    Feature(
        "conversations in SQLite",
        _sqlite,
        {
            "compose": Whole("a file on the volume"),
            "kubernetes": Whole("a file on the volume"),
            "ecs": Refused(
                "conversations would be in SQLite on {}, and Fargate keeps files in EFS, where SQLite's log "
                "does not work",
                'keep them in PostgreSQL: [env.NAME.storage] url = { secret = "DATABASE_URL" }',
            ),
            "nomad": Whole("a file on the volume; one task at a time"),
        },
    ),
    Feature(
        "[policy], changed while the agent runs",
        _limits,
        {
            "compose": Whole("etc/policy.json"),
            "kubernetes": Whole("a ConfigMap"),
            "ecs": Otherwise(
                "control, or a restriction through the admin port",
                "{}: changes with a deployment; at once by a restriction (`shipway policy set --url`)",
            ),
            "nomad": Whole("a Nomad variable"),
        },
    ),
    Feature(
        "storage of an MCP server apart",
        lambda plan: tuple(server.name for server in plan.apart if server.storage),
        dict.fromkeys(TARGETS, _NOT_BESIDE),
    ),
    Feature(
        "storage of several replicas",
        _scratch,
        {
            "compose": Whole("one replica, one volume"),
            "kubernetes": Otherwise(
                "a volume of each, which ends with it",
                "{}: each replica has its own, and it ends with the pod; conversations are in PostgreSQL",
            ),
            "ecs": Whole("an EFS file system that all of them share"),
            "nomad": Whole("a volume that all of them share"),
        },
    ),
    Feature(
        "secrets in files that rotate",
        _files,
        {
            "compose": Whole("secrets/ beside compose.yaml, mounted as a directory"),
            "kubernetes": Whole("a mounted Secret"),
            "ecs": Otherwise(
                "in the environment",
                "{}: ECS gives secrets in the environment alone; a new value needs a new deployment",
            ),
            "nomad": Whole("templates in the task's secrets directory"),
        },
    ),
    Feature(
        "identity tokens of the platform",
        _identities,
        {
            "compose": Refused("no platform gives the token that {} is exchanged for", "use `client_secret`"),
            "kubernetes": Otherwise(
                "projected service-account tokens",
                "{}: its token is for the audience `token_url`; where the broker asks for another, patch "
                "it in your "
                "kustomization.yaml",
            ),
            "ecs": Refused("ECS projects no tokens, and {} is exchanged for one", "use `client_secret`"),
            "nomad": Otherwise(
                "workload identity, written to a file",
                "{}: Nomad's own token, for the audience of its `token_url`",
            ),
        },
    ),
    Feature(
        "variables of SDKs that name a token's file",
        _identity_files,
        {
            "compose": Whole("a path that is given, and mounted by you"),
            "kubernetes": Whole("projected service-account tokens, a mounted Secret"),
            "ecs": Refused(
                "{} names a file, and ECS mounts no secrets and projects no tokens",
                "use the provider's key; AWS's own SDKs find the task role without a variable",
            ),
            "nomad": Whole("workload identity, a template in the task's secrets directory"),
        },
    ),
)
