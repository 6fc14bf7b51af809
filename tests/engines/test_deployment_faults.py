"""What a machine does to a deployment under real Docker: disks that are full, an engine that ends, images
that are gone; and who is told."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import _engine
from tests.deploying import BOUND_S, Images, Machine, make_images
from tests.ports import free_port

from shipway.plan.deployment import CERTIFICATES, LABEL, STATE
from shipway.plan.rollout import Step

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.long]

WAIT = (Step(50, 3600.0), Step(100))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    yield from make_images(_engine("docker"), tmp_path_factory.mktemp("images"))


@pytest.fixture
def machine(images: Images) -> Iterator[Machine]:
    made = Machine(_engine("docker"), images)
    try:
        yield made
    finally:
        made.close()


# -- The disk ------------------------------------------------------------------------------------------------


class SmallDisk(Machine):
    """A machine whose controller has two megabytes."""

    def prepare(self) -> None:
        volume = self.part("controller")
        options = [word for o in ("type=tmpfs", "device=tmpfs", "o=size=2m") for word in ("--opt", o)]
        self.run("volume", "create", *options, "--label", f"{LABEL}={self.project}", volume)

    def fill(self) -> None:
        self._python(f"open('{STATE}/filler', 'wb', 0).write(bytes(1 << 22))")

    def empty(self) -> None:
        self._python(f"import os; os.remove('{STATE}/filler')")

    def _python(self, program: str) -> None:
        self.run("exec", self.part("controller"), "python", "-c", program)


def test_a_disk_that_is_full_loses_nothing_and_keeps_nobody_from_being_served(images: Images) -> None:
    machine = SmallDisk(_engine("docker"), images)
    try:
        machine.deploy("one")
        machine.apply(machine.deployment("two", machine.plan(*WAIT)))
        machine.until_phase("stepping")
        machine.until(lambda: machine.serves() == "two")
        machine.until_it_has_looked()
        machine.fill()
        assert "rollouts.db" in machine.refused("order", "abort", "--by", "ann").error
        machine.until(lambda: machine.serves("somebody-new"))
        machine.until(lambda: any("rollouts.db" in line for line in machine.status().trouble), 0.5)
        machine.run("restart", "--time", "1", machine.part("router"))
        machine.until(lambda: machine.serves())
        machine.empty()
        machine.order("abort")
        machine.until_phase("aborted")
        assert machine.serves() == "one"
        machine.until(lambda: machine.status().trouble == (), 0.5)
    finally:
        machine.close()


# -- Who is told, and who tells ------------------------------------------------------------------------------


class Webhook:
    """Of the people of a deployment; it refuses the first time."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.asked = 0
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
                webhook.asked += 1
                if webhook.asked > 1:
                    webhook.texts.append(body["text"])
                self.send_response(204 if webhook.asked > 1 else 503)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.port = free_port()
        self._server = ThreadingHTTPServer(("0.0.0.0", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_a_suite_that_fails_is_told_and_people_are_told(machine: Machine) -> None:
    webhook = Webhook()
    try:
        gateway = '{{(index .NetworkSettings.Networks "bridge").Gateway}}'
        host = machine.run("inspect", "--format", gateway, machine.part("controller"))
        machine.secrets["HOOK"] = f"http://{host}:{webhook.port}/token"
        machine.deploy("one")
        plan = machine.plan(Step(100), suite=True, notify="HOOK")
        machine.apply(machine.deployment("two", plan))
        machine.until(lambda: machine.status().suite_wanted, 0.5)
        status = machine.status()
        assert status.canary
        assert status.stable
        assert status.canary.health == status.stable.health == "ready"
        assert machine.serves() == "one"
        answer = machine.through(status.canary.host, status.canary.port)
        assert '"revision": "two"' in answer
        machine.ask_done("suite", "fail", "--canary", "two")
        machine.until_phase("aborted")
        assert machine.serves() == "one"
        machine.until(lambda: webhook.texts)
        told = f"{machine.name} (prod), rollout of two: back to one: the evals found the canary worse"
        assert webhook.texts == [told]
        logs = machine.run("logs", machine.part("controller"))
        assert "token" not in logs
    finally:
        webhook.close()


# -- Certificates --------------------------------------------------------------------------------------------


def certificate(place: Path, name: str) -> str:
    """One that signs itself, with its key."""
    files = ("-keyout", str(place / "key.pem"), "-out", str(place / "cert.pem"))
    kind = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    subprocess.run(("openssl", "req", *kind, *files, "-subj", f"/CN={name}"), check=True, capture_output=True)
    return (place / "cert.pem").read_text() + (place / "key.pem").read_text()


def test_certificates_are_renewed_without_a_restart_and_kept_by_one(machine: Machine, tmp_path: Path) -> None:
    def shown() -> str:
        try:
            return ssl.get_server_certificate(("127.0.0.1", machine.api), timeout=5).strip()
        except OSError:
            return ""

    first, second = certificate(tmp_path, "one"), certificate(tmp_path, "two")
    machine.secrets[CERTIFICATES] = first
    deployment = machine.deployment("one")
    machine.apply(replace(deployment, router=replace(deployment.router, secrets={CERTIFICATES: "file"})))
    machine.until(lambda: shown() and shown() in first)
    started = machine.run("inspect", "--format", "{{.State.StartedAt}}", machine.part("router"))
    machine.ask_done("certificates", stdin=second)
    machine.until(lambda: shown() and shown() in second)
    assert machine.run("inspect", "--format", "{{.State.StartedAt}}", machine.part("router")) == started
    machine.run("restart", "--time", "1", machine.part("router"))
    machine.until(lambda: shown() and shown() in second)


# -- Images, and revisions that never were ready -------------------------------------------------------------


def test_a_first_revision_that_is_never_ready_is_replaced_by_the_next_one(machine: Machine) -> None:
    machine.apply(machine.deployment("broken", CRASHES="1"))
    machine.until(lambda: machine.part("broken", "pod") in machine.containers())
    assert machine.apply(machine.deployment("mended")).what == "first"
    machine.until(lambda: machine.serves() == "mended")
    machine.until(lambda: machine.part("broken", "pod") not in machine.containers())


def test_an_image_that_is_gone_is_named_as_the_cause(machine: Machine) -> None:
    machine.deploy("one")
    missing = machine.deployment("two")
    nowhere = "sha256:" + "0" * 64
    containers = tuple(replace(one, image=nowhere) for one in missing.revision.containers)
    machine.apply(replace(missing, revision=replace(missing.revision, containers=containers)))

    def cause() -> str:
        canary = machine.status().canary
        return canary.containers[0].cause if canary else ""

    machine.until(lambda: "its image is gone" in cause(), 0.5)
    assert any("its image is gone" in line for line in machine.status().trouble)
    machine.rollback()
    machine.until_phase("aborted")
    assert "images of two are not on this machine" in machine.refused("rollback", "two").error


def test_a_way_back_to_one_that_is_ending_is_taken_when_it_has_ended(machine: Machine) -> None:
    machine.deploy("one", ENDS_AFTER="15")
    machine.apply(machine.deployment("two"), at_once=True)
    machine.until_phase("promoting")
    assert "one is finishing its turns" in machine.rollback().words
    assert machine.serves() == "two"
    machine.until(lambda: machine.serves() == "one")
    machine.until_phase("promoted")
    newest = machine.releases().releases[0]
    assert (newest.revision, newest.stable) == ("one", True)


# -- The engine ----------------------------------------------------------------------------------------------


class OwnEngine:
    """A second dockerd, in a network namespace of its own: whatever it does to bridges and rules, the engine
    of the machine sees nothing of it."""

    def __init__(self, place: Path, dockerd: str, docker: str) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._exec = tempfile.mkdtemp(prefix="exec")  # short: sockets lie in it, whose paths have 107 bytes
        self.socket = f"{place}/docker.sock"
        self._place, self._dockerd = place, dockerd
        self.docker = str(place / "docker")
        Path(self.docker).write_text(f'#!/bin/sh\nexec {docker} -H unix://{self.socket} "$@"\n')
        Path(self.docker).chmod(0o755)

    def start(self) -> None:
        roots = (f"--data-root={self._place}/data", f"--exec-root={self._exec}")
        files = (f"--pidfile={self._place}/pid", f"--host=unix://{self.socket}")
        daemon = " ".join((self._dockerd, *roots, *files, "--storage-driver=overlay2"))
        words = (
            "unshare",
            "--net",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            f"ip link set lo up; exec {daemon}",
        )
        with (self._place / "log").open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log)
        end = time.monotonic() + BOUND_S
        while subprocess.run((self.docker, "info"), capture_output=True).returncode:
            assert time.monotonic() < end, (self._place / "log").read_text()[-3000:]
            time.sleep(0.2)

    def stop(self) -> None:
        pid = int((self._place / "pid").read_text())
        subprocess.run(("kill", "-TERM", str(pid)), check=True)
        assert self._process
        self._process.wait(BOUND_S)

    def close(self) -> None:
        """End it, whatever it came to; it leaves its data mounted."""
        if self._process and self._process.poll() is None:
            self._process.kill()  # and with it what `unshare` started
            self._process.wait(BOUND_S)
        subprocess.run(("umount", "--lazy", f"{self._place}/data"), capture_output=True)
        shutil.rmtree(self._exec, ignore_errors=True)


class Inside(Machine):
    """A machine whose router is reached from inside alone."""

    def serves(self, conversation: str = "") -> str:
        named = {"x-conversation-id": conversation or "any"}
        program = (
            "import http.client, json; "
            f"c = http.client.HTTPConnection('{self.part('router')}', 8080, timeout=9); "
            f"c.request('POST', '/v1/responses', '{{}}', {named}); "
            "print(json.loads(c.getresponse().read()).get('revision', ''))"
        )
        words = (self.docker, "exec", self.part("controller"), "python", "-c", program)
        return subprocess.run(words, capture_output=True, text=True).stdout.strip()


def test_everything_is_back_after_the_engine_was_restarted(images: Images, tmp_path: Path) -> None:
    docker = _engine("docker")
    own = OwnEngine(tmp_path, _engine("dockerd"), docker)
    try:
        own.start()
        ids = [images.controller, images.router, images.control]
        with subprocess.Popen((docker, "save", *ids), stdout=subprocess.PIPE) as saved:
            subprocess.run((own.docker, "load"), stdin=saved.stdout, check=True, capture_output=True)
        machine = Inside(own.docker, images, own.socket)
        machine.deploy("one")
        machine.apply(machine.deployment("two", machine.plan(*WAIT)))
        machine.until_phase("stepping")
        machine.until(lambda: "two" in {machine.serves(f"a{number}") for number in range(4)})
        went = {name: machine.serves(name) for name in (f"c{number}" for number in range(6))}
        machine.until_it_has_looked()
        own.stop()
        own.start()
        machine.until(lambda: {name: machine.serves(name) for name in went} == went)
        assert machine.phase() == "stepping"
        machine.order("promote")
        machine.until_phase("promoted")
        machine.close()
        own.stop()
    finally:
        own.close()
