"""The engine that docker talks to: where it is, and what it says."""

from __future__ import annotations

import pytest

from shipway.deploy.engine import SOCKET, Engine, _socket, refused
from shipway.errors import StackError


@pytest.mark.parametrize(
    ("host", "machine"),
    [
        ("unix:///var/run/docker.sock", "localhost"),
        ("ssh://me@far.example.com", "far.example.com"),
        ("ssh://me@far.example.com:2222", "far.example.com"),
        ("tcp://10.0.0.7:2376", "10.0.0.7"),
    ],
)
def test_the_machine_is_named_as_people_get_there(host: str, machine: str) -> None:
    assert Engine("docker", host, "linux/amd64", SOCKET).machine == machine


def test_the_socket_is_that_of_the_machine() -> None:
    rootless = {"SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]}
    assert _socket("ssh://me@far", {}) == SOCKET
    assert _socket("unix:///home/me/.docker/desktop/docker.sock", {}) == SOCKET  # Desktop's is in its machine
    assert _socket("unix:///run/user/1000/docker.sock", rootless) == "/run/user/1000/docker.sock"
    with pytest.raises(StackError, match="only its own machine knows"):
        _socket("ssh://me@far", rootless)


def test_a_full_disk_is_said_in_words() -> None:
    said = "Error response from daemon: write /var/lib/docker/tmp/x: no space left on device\n"
    assert str(refused(said)).startswith("Docker's disk is full: write /var")
    assert str(refused("Error response from daemon: no\n  way")) == "Docker refuses: no way"
