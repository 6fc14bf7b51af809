from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from shipway_runtime.health import reach
from shipway_runtime.health.reach import Reach, route


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({}, ("api.example.com", 443)),
        ({"HTTPS_PROXY": "http://proxy:3128"}, ("proxy", 3128)),
        ({"https_proxy": "proxy:3128"}, ("proxy", 3128)),
        ({"ALL_PROXY": "http://proxy:3128"}, ("proxy", 3128)),
        ({"HTTP_PROXY": "http://proxy:3128"}, ("api.example.com", 443)),
        (
            {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "localhost, .example.com"},
            ("api.example.com", 443),
        ),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, ("api.example.com", 443)),
        ({"ALL_PROXY": "socks5h://proxy"}, ("proxy", 1080)),
    ],
)
def test_the_way_to_a_model_leads_through_its_proxy(environ, place):
    assert route("https://api.example.com/v1", environ) == place


def test_urls_that_name_a_port_or_an_address():
    assert route("http://[::1]:8000/v1", {}) == ("::1", 8000)
    assert route("http://models.internal", {}) == ("models.internal", 80)


def probe(url, environ=None):
    return asyncio.run(Reach(url, environ or {}).probe())


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_a_connection_is_all_it_takes(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host.strip("[]"), 0), family=family) as server:
        port = server.getsockname()[1]
        assert probe(f"http://{host}:{port}") is None
    assert probe(f"http://{host}:{port}") == f"{host.strip('[]')}:{port}: Connection refused"


def test_a_name_that_does_not_exist():
    assert probe("https://nowhere.invalid").startswith("nowhere.invalid:443: ")


@pytest.fixture
def names(monkeypatch):
    """A name server that never answers, until it is let go; counts its questions."""
    answered, asked = threading.Event(), []

    def hang(*given, **_):
        asked.append(given)
        answered.wait()
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(reach, "LOOKUP_S", 0.01)
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield answered, asked
    answered.set()


def test_a_name_server_that_hangs_holds_one_thread_however_often_it_is_asked(names):
    answered, asked = names

    async def probes():
        way = Reach("https://api.example.com", {})
        reasons = [await way.probe() for _ in range(5)]
        answered.set()
        while len(reasons) < 200 and "is not resolved" in reasons[-1]:
            reasons.append(await way.probe())
        return reasons

    reasons = asyncio.run(probes())
    assert reasons[0] == "api.example.com:443: the name is not resolved within 0.01 s"
    assert reasons[-1] == "api.example.com:443: Temporary failure in name resolution"
    assert len(asked) == 1


def test_a_family_that_leads_nowhere_does_not_hide_the_other(monkeypatch):
    """The first address swallows what is sent to it, as a tunnel without a far end does."""
    monkeypatch.setattr(reach, "STAGGER_S", 0.01)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_server(("127.0.0.1", 0), backlog=0) as full,
    ):
        clog = [socket.socket() for _ in range(4)]
        for client in clog:
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", s.getsockname()) for s in (full, server)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert probe("http://two.example") is None
        for client in clog:
            client.close()
