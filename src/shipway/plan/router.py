"""The router's image: Debian's HAProxy on the base that agents' images have.

In: a name, platforms. Out: an ImagePlan, the same for every project. The controller writes the configuration,
into a directory that both have.
"""

from __future__ import annotations

import shipway
from shipway.plan.deployment import ROUTING_PATH
from shipway.plan.image import Base, BaseFacts, ImagePlan, Process, Python, settle
from shipway_runtime import contract

REFERENCE = f"shipway-router:{shipway.__version__}"
"""Its name on a machine."""

_PROGRAM = "/usr/sbin/haproxy"


def plan_router(platforms: tuple[str, ...], repository: str = REFERENCE) -> ImagePlan:
    """It serves as nobody, who may listen on 8080 without any right of root's."""
    plan = ImagePlan(
        role="router",
        also=(),
        repository=repository,
        platforms=platforms,
        python=Python(),
        base=Base(packages=("haproxy",)),
        ca=None,
        environments=(),
        node=(),
        files=(),
        manifest=None,
        process=Process(
            entrypoint=(_PROGRAM, "-db", "-f", f"{ROUTING_PATH}/haproxy.cfg"),
            user=f"{contract.UID}:{contract.UID}",
            env={"HOME": "/tmp"},  # noqa: S108 - the only writable place besides that directory
            working_dir="/",
            ports=(contract.API_PORT,),
        ),
        size_limit=None,
        version=shipway.__version__,
        licence="Apache-2.0",
    )
    return settle(plan, BaseFacts())
