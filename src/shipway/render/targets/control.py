"""How each target has control: a part of the table.

In: nothing. Out: `CONTROL`.
"""

from __future__ import annotations

from shipway.render.targets import asked
from shipway.render.targets.expressions import TARGETS, Feature, Otherwise, Whole

_BY_TAG = Otherwise(
    "by its tag, which is shipway's version",
    "{}: `shipway control image --push` brings it there; render again, and it is named by its digest",
)
CONTROL: tuple[Feature, ...] = (
    Feature(
        "control, outside development",
        asked.control,
        {
            "compose": Whole("the service `control`; its page on 127.0.0.1; another one by `.env`"),
            "kubernetes": Whole("a component: Deployment, Service, NetworkPolicy; another one by a patch"),
            "ecs": Whole("a service of its own, found by Service Connect; another one by account.env"),
            "nomad": Otherwise(
                "a job of its own, found by Nomad's service discovery; another one by a Nomad variable",
                "{}: the agent is started again when it moves; its address is read at start",
            ),
        },
    ),
    Feature(
        "control's image, where the release does not name it",
        asked.control_image,
        dict.fromkeys(TARGETS, _BY_TAG),
    ),
    Feature(
        "control's records, where agent.toml names no PostgreSQL",
        asked.control_file,
        {
            "compose": Whole("SQLite on a named volume"),
            "kubernetes": Whole("SQLite on a PersistentVolumeClaim, of one pod at a time"),
            "ecs": Otherwise(
                "PostgreSQL, by a parameter of its own",
                "{}: keeps its records in PostgreSQL alone, whose URL is a parameter: docs/reference/ecs.md",
            ),
            "nomad": Otherwise(
                "SQLite on a host volume",
                "{}: a host volume of this name that the cluster has to offer, of user 65532",
            ),
        },
    ),
)
