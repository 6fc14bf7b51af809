"""The images of a stack's containers: which of them we make, and what they are called in the engine.

In: the stack. Out: names. What we make has a name of its directory's own, so that the tag of a deployed image
stays what it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shipway.plan.stack import Replay, StackPlan


@dataclass(frozen=True, slots=True)
class Images:
    """`built`: role -> name, of those that we make. `roles`: what the stack calls an image -> its role."""

    built: dict[str, str]
    roles: dict[str, str]

    def name(self, image: str) -> str:
        """What an image of the stack is called in the engine."""
        role = self.roles.get(image)
        return self.built[role] if role else image

    def others(self, images: Iterable[str]) -> tuple[str, ...]:
        """Those that somebody else has made, each once."""
        return tuple(dict.fromkeys(image for image in images if image not in self.roles))


def name_images(stack: StackPlan, replay: Replay | None, project: str) -> Images:
    """Modules of the project run from the agent's image; the replay's is the same for all projects."""
    roles = {stack.agent.image: "agent"}
    for server in (*stack.sidecars, *stack.apart):
        if server.program and server.program.requirement:
            roles[server.image] = f"mcp-{server.name}"
    built = {role: f"{project}-{role}:up" for role in roles.values()}
    if replay:
        roles[replay.image], built["replay"] = "replay", replay.image
    return Images(built, roles)
