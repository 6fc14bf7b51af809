"""The admin ports of running agents: their policy read, and changed on every replica at once.

In: addresses, a token, a change. Out: for each replica its policy, or why it was not reached. A host name
that stands for several addresses is several replicas. Errors: StackError for a name that is nobody's.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2

from shipway.errors import StackError
from shipway_runtime import contract
from shipway_runtime.contract import Kill, Limits, Policy, Restriction

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Replica:
    """One admin port. `host` is what it is called where its address came from a name."""

    url: str
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a replica said: the document of GET /policy, or an error in words."""

    replica: str
    policy: dict[str, Any] | None = None
    error: str | None = None


Ask = Callable[[httpx2.AsyncClient, dict[str, str]], Awaitable[httpx2.Response]]


def find(urls: Sequence[str]) -> list[Replica]:
    """Every replica behind these URLs. Raises StackError."""
    found = [replica for url in urls for replica in _resolve(url)]
    return list(dict.fromkeys(found))


def _resolve(url: str) -> list[Replica]:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    port = parts.port or (443 if parts.scheme == "https" else contract.ADMIN_PORT)
    host = parts.hostname or ""
    if parts.scheme == "https":  # its certificate is for the name
        return [Replica(f"https://{parts.netloc}")]
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise StackError(f"{url}: {host!r} has no address: {error}", "give the admin port's URL") from None
    numbers = dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in addresses)
    named = [f"[{number}]" if ":" in number else number for number in numbers]
    if host == "localhost":  # one process, whichever of its addresses it listens on
        return [Replica(f"http://{host}:{port}")]
    return [Replica(f"http://{n}:{port}", None if host in numbers else f"{host}:{port}") for n in named]


def show(replicas: Sequence[Replica], token: str | None) -> list[Answer]:
    """The policy of each."""
    return asyncio.run(_all(replicas, token, _show))


def restrict(replicas: Sequence[Replica], token: str | None, more: Restriction) -> list[Answer]:
    """Add a restriction to the one each of them has: nobody's kill is lost to somebody else's."""

    async def change(client: httpx2.AsyncClient, headers: dict[str, str]) -> httpx2.Response:
        answer = await _show(client, headers)
        if answer.status_code != 200:
            return answer
        wanted = add(answer.json()["restriction"], more)
        return await client.put("/policy", content=contract.encode(wanted), headers=headers)

    return asyncio.run(_all(replicas, token, change))


def clear(replicas: Sequence[Replica], token: str | None, why: Restriction) -> list[Answer]:
    """Take the kills of `why` away, and leave the rest of each restriction; without any, take all of it."""

    async def change(client: httpx2.AsyncClient, headers: dict[str, str]) -> httpx2.Response:
        left: Restriction | None = None
        if why.policy.kill != Kill():
            answer = await _show(client, headers)
            if answer.status_code != 200:
                return answer
            left = without(answer.json()["restriction"], why)
        if left is None:
            return await client.request("DELETE", "/policy", content=contract.encode(why), headers=headers)
        return await client.put("/policy", content=contract.encode(left), headers=headers)

    return asyncio.run(_all(replicas, token, change))


def add(restriction: dict[str, Any] | None, more: Restriction) -> Restriction:
    """What is there already, as GET /policy shows it, and more: it ends when the later of the two does."""
    if restriction is None:
        return more
    policy = join(_policy(restriction), more.policy)
    return dataclasses.replace(more, policy=policy, for_s=max(more.for_s, restriction["remaining_s"]))


def join(there: Policy, new: Policy) -> Policy:
    """The kills of both; limits and the model are the new one's, where it says any."""
    tenants = dict(there.tenants)
    for name, limits in new.tenants.items():
        tenants[name] = _limits(tenants.get(name, Limits()), limits)
    return Policy(
        kill=Kill(
            there.kill.all or new.kill.all,
            *(_union(getattr(there.kill, kind), getattr(new.kill, kind)) for kind in Kill.__slots__[1:]),
        ),
        limits=_limits(there.limits, new.limits),
        tenants=tenants,
        model=new.model or there.model,
    )


def without(restriction: dict[str, Any] | None, less: Restriction) -> Restriction | None:
    """What is there but the kills of `less`, until its own end; None where nothing is left."""
    if restriction is None:
        return None
    policy = revive(_policy(restriction), less.policy.kill)
    if policy == Policy():
        return None
    return dataclasses.replace(less, policy=policy, for_s=restriction["remaining_s"])


def revive(there: Policy, kill: Kill) -> Policy:
    """The policy without these kills."""
    kept = Kill(
        there.kill.all and not kill.all,
        *(
            tuple(name for name in getattr(there.kill, kind) if name not in getattr(kill, kind))
            for kind in Kill.__slots__[1:]
        ),
    )
    return dataclasses.replace(there, kill=kept)


def _policy(restriction: dict[str, Any]) -> Policy:
    return contract.decode(Policy, json.dumps(restriction["policy"]), "the restriction in force")


def _limits(there: Limits, new: Limits) -> Limits:
    said = {name: limit for name in Limits.__slots__ if (limit := getattr(new, name)) is not None}
    return dataclasses.replace(there, **said)


def _union(there: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*there, *new)))


async def _all(replicas: Sequence[Replica], token: str | None, ask: Ask) -> list[Answer]:
    return list(await asyncio.gather(*(_one(replica, token, ask) for replica in replicas)))


async def _one(replica: Replica, token: str | None, ask: Ask) -> Answer:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    headers |= {"host": replica.host} if replica.host else {}
    try:
        async with httpx2.AsyncClient(
            base_url=replica.url, timeout=TIMEOUT_S, trust_env=False, headers=headers
        ) as client:
            return _read(replica, await ask(client, headers))
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        return Answer(replica.url, error=f"not reached: {str(error) or type(error).__name__}")
    except (ValueError, KeyError, TypeError, contract.ContractError):
        return Answer(replica.url, error="answers, but not as an agent's admin port does")


async def _show(client: httpx2.AsyncClient, headers: dict[str, str]) -> httpx2.Response:
    return await client.get("/policy", headers=headers)


def _read(replica: Replica, answer: httpx2.Response) -> Answer:
    document = answer.json()
    if answer.status_code == 200:
        document["effective"], document["restriction"], document["base"]
        return Answer(replica.url, policy=document)
    if not isinstance(document["error"], str):
        raise TypeError("not an error of an admin port")
    return Answer(replica.url, error=f"{answer.status_code}: {document['error']}")
