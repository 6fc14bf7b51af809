"""What answers the agents of the demonstration in Docker: replays, behind a gateway.

An agent that serves users refuses what a replay says, and the gateway is how it is talked into it here: it
takes the mark from the answers, as no gateway of yours should. Two containers in the deployment's network.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.build.own_image import plan_own
from shipway.deploy import own_images
from shipway.plan.deployment import LABEL, ROUTING_PATH
from shipway.plan.own_image import REPLAY
from shipway.plan.router import plan_router
from shipway_runtime.contract import REPLAY_HEADER, REPLAY_PORT, REPLAYS

if TYPE_CHECKING:
    from shipway.deploy.engine import Engine

HOST = "gateway"
URL = f"http://{HOST}:{REPLAY_PORT}"
GATEWAY = f"""\
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen model
    bind :{REPLAY_PORT}
    http-response del-header {REPLAY_HEADER}
    server replay replay:{REPLAY_PORT}
"""


def names(project: str) -> tuple[str, str]:
    """What the containers are called: the replay's, the gateway's."""
    return f"{project}-replay", f"{project}-{HOST}"


def start(engine: Engine, project: str, replays: Path) -> None:
    """Both of them, and the network, where the deployment will find it."""
    here, (replay, gateway) = (engine.platform,), names(project)
    plans = [plan_own(REPLAY, REPLAY.reference, here), plan_router(here)]
    images = own_images.make(engine, plans, replays.parent, lambda _: None)
    engine.ask("network", "create", "--label", f"{LABEL}={project}", project)
    _run(engine, project, replay, "replay", images["replay"], replays, REPLAYS)
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        (Path(place) / "haproxy.cfg").write_text(GATEWAY)
        _run(engine, project, gateway, HOST, images["router"], Path(place), ROUTING_PATH)


def _run(engine: Engine, project: str, name: str, alias: str, image: str, files: Path, where: str) -> None:
    """A container with a copy of a directory's files: the engine may be one that does not see ours."""
    engine.ask("create", "--name", name, "--network", project, "--network-alias", alias, image)
    engine.ask("cp", str(files), f"{name}:{where}")
    engine.ask("start", name)
