"""The parts that services of a Compose file have in common.

In: ports, limits, texts. Out: values for the file; anchors, which are written once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from shipway.plan import container
from shipway.render.yaml import MERGE, Anchor, Line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shipway.plan.control import Control

_MIB = 1024 * 1024
Said = TypeVar("Said")

KEPT = Anchor(
    "kept",
    {
        "restart": "unless-stopped",
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
    },
)
HARDENED = Anchor(
    "hardened",
    {
        MERGE: KEPT,
        "user": container.USER,
        "read_only": True,
        "tmpfs": Line(["/tmp"]),  # noqa: S108 - the container's
        "cap_drop": Line(["ALL"]),
        "security_opt": Line(["no-new-privileges:true"]),
    },
)
PROBE = Anchor(
    "probe",
    """\
import http.client, os, socket, sys
if not any(name.startswith("eth") for _, name in socket.if_nameindex()):
    os.kill(1, 15)  # the pod was restarted, and this is the network it had: start again, and join the new one
    sys.exit("the pod was restarted")
asked = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5)
asked.request("GET", sys.argv[2])
answer = asked.getresponse()
print(answer.read().decode())
sys.exit(answer.status != 200)
""",
)
"""What `docker inspect` shows of it is what /readyz says. Its arguments: a port and a path."""
OFTEN = Anchor("often", {"interval": "10s", "timeout": "6s", "retries": 3, "start_period": "60s"})
SHARED = (KEPT, HARDENED, PROBE, OFTEN)
"""In the order in which they refer to each other."""


def healthcheck(port: int, path: str) -> dict[str, Any]:
    """Compose does nothing about a container that is not healthy: it says so, and `up --wait` waits."""
    return {MERGE: OFTEN, "test": Line(["CMD", container.PYTHON, "-IS", "-c", PROBE, str(port), path])}


def limits(memory: int | None) -> dict[str, Any]:
    """Memory is limited, and swap adds nothing to it.

    CPU is not asked for. Its share would count against the 1024 of every container that says nothing: with a
    request of 0.1 the agent would have a tenth of what its own sidecars have.
    """
    if memory is None:
        return {}
    size = f"{memory // _MIB}m" if memory % _MIB == 0 else str(memory)
    return {"mem_limit": size, "memswap_limit": size}


def literal(value: Said) -> Said:
    """What agent.toml says, as Compose reads it back: it replaces what follows a $."""
    if isinstance(value, str):
        return value.replace("$", "$$")  # type: ignore[return-value]
    if isinstance(value, list):
        return [literal(item) for item in value]  # type: ignore[return-value]
    if isinstance(value, dict):
        return {key: literal(item) for key, item in value.items()}  # type: ignore[return-value]
    return value


_ENVIRONMENT = """\
# Yours: shipway writes it once. Compose reads it beside compose.yaml; variables of the shell come first.
COMPOSE_PROJECT_NAME={name}
# Ports of this machine{addresses}
API_PORT={api}
ADMIN_PORT={admin}
"""
_CONTROL = """\
CONTROL_PORT={port}
# Where another stack's control is the fleet's; empty, and there is none (docs/reference/control-stacks.md):
# CONTROL_URL=https://control.example.com
"""
_SECRETS = "# To be filled in, and kept out of version control\n"


def environment_file(
    name: str, ports: Mapping[Any, int], secrets: Iterable[str], control: Control | None
) -> str:
    """.env, with what is to be filled in. With `control` the stack is deployed: its API's port is on all
    addresses."""
    addresses = "; API_PORT=127.0.0.1:8080 where a proxy on it does TLS" if control else ""
    text = _ENVIRONMENT.format(name=name, addresses=addresses, **ports)
    text += _CONTROL.format(port=control.port) if control else ""
    lines = "".join(f"{secret}=\n" for secret in secrets)
    return text + (_SECRETS + lines if lines else "")
