from __future__ import annotations

import os
import socket

import pytest

from shipway_runtime import ports
from shipway_runtime.errors import StartError


def test_a_bound_port_refuses_until_somebody_serves():
    with ports.bind("127.0.0.1", 0, purpose="the API", variable="X") as sock:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(sock.getsockname(), timeout=20)
        sock.listen()
        socket.create_connection(sock.getsockname(), timeout=20).close()


def test_the_owner_of_a_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            StartError, match=rf"port {port} \(the API\) is in use by .*\(pid {os.getpid()}\)"
        ):
            ports.bind("127.0.0.1", port, purpose="the API", variable="X")
    assert ports.find_owner(port) is None


def test_an_address_that_is_not_ours():
    with pytest.raises(StartError, match=r"port 0 \(the API\) on 192.0.2.1: .*set X or SHIPWAY_HOST"):
        ports.bind("192.0.2.1", 0, purpose="the API", variable="X")
