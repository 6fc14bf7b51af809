"""What a stack may ask for, and how each target has it.

In: nothing. Out: `FEATURES`, of which docs/reference/targets.md is made. Nothing is dropped in silence.
"""

from __future__ import annotations

from shipway.render.ecs import fargate
from shipway.render.targets import asked
from shipway.render.targets.control import CONTROL
from shipway.render.targets.expressions import TARGETS, Feature, Otherwise, Refused, Whole

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
UNASKED = (
    "nothing says who may call the agent in {}, and it would not start",
    'write auth = "keys" or "jwt" in [api], or "none" where a gateway in front authenticates',
)
FEATURES: tuple[Feature, ...] = (
    Feature(
        "the agent, its probes, a grace to drain",
        asked.always,
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
        asked.long_grace,
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
        asked.any_grace,
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
        asked.always,
        {
            "compose": Whole("read_only, cap_drop, no-new-privileges, user"),
            "kubernetes": Whole("restricted pod security"),
            "ecs": Whole("readonlyRootFilesystem, linuxParameters, user; Fargate has no no-new-privileges"),
            "nomad": Whole("readonly_rootfs, cap_drop, security_opt, user"),
        },
    ),
    Feature(
        "several replicas",
        asked.replicas,
        {
            "compose": Otherwise("one", "Compose runs one agent, not {}: replicas need a router in front"),
            "kubernetes": Whole("replicas, topology spread, PodDisruptionBudget"),
            "ecs": Whole("desiredCount"),
            "nomad": Whole("count, spread"),
        },
    ),
    Feature(
        "sidecars",
        asked.sidecars,
        {
            "compose": Whole("services in the network namespace of a holder"),
            "kubernetes": Whole("native sidecars; plain containers by `--plain-sidecars`"),
            "ecs": Whole("containers of the task, with dependencies"),
            "nomad": Whole("tasks of the group, prestart and sidecar"),
        },
    ),
    Feature(
        "optional sidecars",
        asked.optional,
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
        asked.foreign_optional,
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
        asked.foreign,
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
        asked.commands,
        dict.fromkeys(TARGETS, _NO_IMAGE),
    ),
    Feature(
        "sidecars without a limit of memory",
        asked.unlimited,
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
        asked.always,
        {
            "compose": Whole("mem_limit; CPU is divided evenly, whatever is asked for"),
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
    *CONTROL,
    Feature(
        "a replayed model",
        asked.replayed,
        {**dict.fromkeys(TARGETS, _NO_REPLAY), "compose": Whole("a container in the agent's network")},
    ),
    Feature(
        "users, and nothing that says who may call ([api] auth)",
        asked.anybody,
        dict.fromkeys(TARGETS, Refused(*UNASKED)),
    ),
    Feature(
        "host names of MCP servers apart and control, of more than 63 letters",
        asked.long_hosts,
        dict.fromkeys(TARGETS, _NO_HOST),
    ),
    Feature(
        "names of agent and environment, of more than 63 letters together",
        asked.long_instance,
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
        asked.storage,
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
        asked.sqlite,
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
        asked.limits,
        {
            "compose": Whole("control; before it has one, etc/policy.json"),
            "kubernetes": Whole("control; before it has one, a ConfigMap"),
            "ecs": Whole("control"),
            "nomad": Whole("control; before it has one, a Nomad variable"),
        },
    ),
    Feature(
        "storage of an MCP server apart",
        lambda plan: tuple(server.name for server in plan.apart if server.storage),
        dict.fromkeys(TARGETS, _NOT_BESIDE),
    ),
    Feature(
        "storage of several replicas",
        asked.scratch,
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
        asked.files,
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
        asked.identities,
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
        asked.identity_files,
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
