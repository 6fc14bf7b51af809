"""The controller's container and the images of controller and router: what `shipway deploy` puts on a machine
before anything else can be asked of it.

In: a project, an image's id. Out: arguments for the engine's command line, and plans of images.
"""

from __future__ import annotations

from shipway.plan.deployment import LABEL, SOCKET, STATE, controller
from shipway.plan.own_image import Server

PROGRAM = Server(
    "rollout",
    ("rollout", "plan/__init__.py", "plan/deployment.py", "plan/rollout.py"),
    ("serve",),
    None,
    user="0:0",
)
"""`python -m shipway.rollout serve PROJECT`. It is root, as whoever has the engine's socket is anyway; of
root's powers it keeps two: to write what others own, and to give away (secrets belong to who reads them)."""


def run(project: str, image: str, socket: str = SOCKET) -> tuple[str, ...]:
    """What follows `docker` to start it. `socket` is the engine's, on its machine."""
    called = controller(project)
    return (
        *(
            "run",
            "--detach",
            "--name",
            called,
            "--restart",
            "unless-stopped",
            "--label",
            f"{LABEL}={project}",
        ),
        *("--mount", f"type=volume,source={called},target={STATE},volume-label={LABEL}={project}"),
        *("--mount", f"type=bind,source={socket},target={SOCKET}"),
        *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--cap-add", "CHOWN"),  # noqa: S108 - its own
        *("--cap-add", "DAC_OVERRIDE", "--security-opt", "no-new-privileges", "--memory", "256m"),
        *("--log-driver", "local", "--log-opt", "max-size=10m", "--log-opt", "max-file=3"),
        *(image, project),
    )


def ask(project: str, *command: str) -> tuple[str, ...]:
    """What follows `docker` to ask it something: rollout/service/messages.py says what, and its answers."""
    return ("exec", "-i", controller(project), "python", "-m", "shipway.rollout", *command)
