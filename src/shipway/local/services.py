"""Databases and caches of a local stack: run when their server is installed here, else reached by URL.

In: the stack's services, and the servers that databases.py found. Out: their processes, as values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from shipway.errors import StackError
from shipway.local.plan import Installed, Machine, Probe, Process, Setup
from shipway.local.ports import LOOPBACK
from shipway.local.variables import inherited

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipway.plan.stack import Service, StackPlan


@dataclass(frozen=True, slots=True)
class Planned:
    """The services that run here, and the URL of each service by the variable that holds it."""

    processes: tuple[Process, ...] = ()
    setups: tuple[Setup, ...] = ()
    urls: dict[str, str] = field(default_factory=dict, repr=False)
    remarks: tuple[str, ...] = ()


def plan(stack: StackPlan, machine: Machine) -> Planned:
    """A given URL wins over a server of this machine. Raises StackError when there is neither."""
    processes, setups, urls, remarks = [], [], {}, []
    for service in stack.services:
        if url := machine.value(service.env_url):
            urls[service.env_url] = url
            remarks.append(f"{service.name}: not started, {service.env_url} says where it is")
            continue
        installed = machine.installed.get(service.name)
        if installed is None:
            raise StackError(
                f"[services.{service.name}] {service.image}: its server is not installed on this machine",
                f"install it, or say where one runs: {service.env_url}=URL in the environment or in .env",
            )
        process, setup, url = _PLANS[service.kind](service, installed, machine)
        processes.append(process)
        setups.append(setup)
        urls[service.env_url] = url
        remarks.append(f"{service.name}: {installed.version} of this machine stands in for {service.image}")
    return Planned(tuple(processes), tuple(setups), urls, tuple(remarks))


def _postgres(service: Service, installed: Installed, machine: Machine) -> tuple[Process, Setup, str]:
    port, data = machine.ports.services[service.name], installed.directory
    programs = PurePosixPath(installed.server).parent
    listen = ("-h", LOOPBACK, "-p", str(port), "-c", "unix_socket_directories=")
    process = Process(
        name=service.name,
        role="service",
        argv=(installed.server, "-D", data, *listen),
        env=inherited(machine.variables),
        cwd="/",
        address=f"{LOOPBACK}:{port}",
        probe=Probe("command", (f"{programs}/pg_isready", "-q", "-h", LOOPBACK, "-p", str(port))),
        stop="SIGINT",  # "fast": SIGTERM would wait until every client has left
        user=installed.user,
    )
    options = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
    setup = Setup(
        service.name, data, installed.user, (f"{programs}/initdb", "-D", data, *options), "PG_VERSION"
    )
    return process, setup, f"postgresql://postgres@{LOOPBACK}:{port}/postgres"


def _redis(service: Service, installed: Installed, machine: Machine) -> tuple[Process, Setup, str]:
    port, data = machine.ports.services[service.name], installed.directory
    process = Process(
        name=service.name,
        role="service",
        argv=(installed.server, "--bind", LOOPBACK, "--port", str(port), "--dir", data, "--save", "60 1"),
        env=inherited(machine.variables),
        cwd="/",
        address=f"{LOOPBACK}:{port}",
        probe=Probe("tcp", (LOOPBACK, str(port))),
    )
    return process, Setup(service.name, data), f"redis://{LOOPBACK}:{port}/0"


_PLANS: dict[str, Callable[[Service, Installed, Machine], tuple[Process, Setup, str]]] = {
    "postgres": _postgres,
    "redis": _redis,
}
