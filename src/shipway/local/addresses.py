"""What a container calls this machine.

In: URLs, as this machine's environment and agent.toml have them. Out: the same for a container, whose
loopback is its own. Docker Desktop leads HOST to this machine's loopback; on Linux it is the address of
Docker's bridge, where only servers are found that listen on every address.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from shipway.loopback import is_loopback

HOST = "host.docker.internal"


def is_here(url: str) -> bool:
    """Whether the URL leads to this machine's loopback."""
    try:
        return is_loopback(urlsplit(url).hostname)
    except ValueError:
        return False


def from_container(url: str) -> str:
    """The URL as a container has to call it; what does not lead to loopback stays as it is."""
    if not is_here(url):
        return url
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=f"{user}{at}{HOST}{port}").geturl()
