"""A deployment on the real engine, with its controller, control and router in containers, as `shipway deploy`
makes it; its agents are a few lines of Python in control's image, which has one."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from tests.ports import free_port

from shipway.build.cache import Cache, default_root
from shipway.build.own_image import build_own, own_platform, plan_own
from shipway.build.registries.pool import Registries
from shipway.cli import delivery
from shipway.plan import container as plan_container
from shipway.plan import controller
from shipway.plan.control import CONTROL as CONTROL_PROGRAM
from shipway.plan.deployment import (
    AGENT,
    CONTROL,
    CONTROL_DATA,
    DATA,
    LABEL,
    POD,
    ROUTER,
    SOCKET,
    Container,
    Deployment,
    Mount,
    Published,
    Revision,
)
from shipway.plan.rollout import RolloutPlan, Step
from shipway.plan.router import plan_router
from shipway.rollout.service.messages import Applied, Apply, Done, Refusal, Releases, Status, Tokens
from shipway_runtime import contract

T = TypeVar("T")
BOUND_S = 120.0
ENVIRONMENT = "prod"

AGENT_PROGRAM = """
import http.server, json, os, signal, sys, threading, time
def end(*_):
    time.sleep(float(os.environ.get("ENDS_AFTER", 0)))
    os._exit(0)
signal.signal(signal.SIGTERM, end)
if os.environ.get("CRASHES"): sys.exit(3)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, status, document):
        text = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def do_GET(self):
        up = not os.environ.get("UNREADY")
        check = {"state": "up" if up else "down", "since": 1.0, "last_error": None if up else "refused"}
        self.answer(200 if up else 503, {"status": "", "checks": {"mcp git": check}})
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        try: key = open("/run/secrets/KEY").read()
        except OSError as error: key = repr(error)
        self.answer(200, {"revision": os.environ["NAME"], "key": key})
    def log_message(self, *_): pass
for port in (8080, 8081):
    server = http.server.ThreadingHTTPServer(("0.0.0.0", port), Handler)
    threading.Thread(target=server.serve_forever).start()
"""


class Images:
    """What the machine has: ids of images."""

    def __init__(self, controller: str, router: str, control: str) -> None:
        self.controller, self.router, self.control = controller, router, control


class Machine:
    """One deployment on the engine, and whoever deploys to it."""

    def __init__(self, docker: str, images: Images, socket: str = SOCKET) -> None:
        self.docker, self.images = docker, images
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self.api, self.control_port = free_port(), free_port()
        self.secrets = {"KEY": "one"}
        self.http = httpx2.Client(base_url=f"http://127.0.0.1:{self.api}", timeout=20.0, trust_env=False)
        self.prepare()
        self.run(*controller.run(self.project, images.controller, socket))
        self.until(lambda: self.try_ask("status"))

    def prepare(self) -> None:
        """What has to be there before the controller."""

    @property
    def project(self) -> str:
        return f"{self.name}-{ENVIRONMENT}"

    # -- What a deployment is --------------------------------------------------------------------------------

    def deployment(self, revision: str, plan: RolloutPlan | None = None, **env: str) -> Deployment:
        return Deployment(
            name=self.name,
            environment=ENVIRONMENT,
            rollout=plan or self.plan(Step(50), Step(100)),
            revision=self._revision(revision, env),
            router=Container(
                ROUTER, self.images.router, published=(Published("127.0.0.1", self.api, contract.API_PORT),)
            ),
            control=Container(
                CONTROL,
                self.images.control,
                secrets={contract.env.CONTROL_TOKENS: "file"},
                mounts=(Mount(CONTROL_DATA, contract.CONTROL_DATA),),
                aliases=(f"{self.name}-control",),
                published=(Published("127.0.0.1", self.control_port, contract.CONTROL_PORT),),
            ),
        )

    def plan(self, *steps: Step, **more: Any) -> RolloutPlan:
        return RolloutPlan(self.name, ENVIRONMENT, steps, **more)

    def _revision(self, revision: str, env: dict[str, str]) -> Revision:
        image, data = self.images.control, (Mount(DATA, "/data"),)
        pod = Container(POD, image, entrypoint=plan_container.HOLD, mounts=data)
        agent = Container(
            AGENT,
            image,
            entrypoint=(plan_container.PYTHON, "-IS", "-c", AGENT_PROGRAM),
            env={"NAME": revision, **env},
            secrets={"KEY": "file", contract.env.CONTROL_TOKEN: "file"},
            joins=POD,
            memory=64 * 1024**2,
            grace_s=20.0,
        )
        return Revision(revision, f"release-of-{revision}", (pod, replace(agent, mounts=data)))

    # -- What is asked of its controller ---------------------------------------------------------------------

    def apply(self, deployment: Deployment, *, at_once: bool = False) -> Applied:
        asked = Apply(deployment, self.secrets, "ann", at_once)
        return self.ask(Applied, "apply", stdin=json.dumps(asdict(asked)))

    def deploy(self, revision: str, **env: str) -> None:
        """The first one, until it serves."""
        self.apply(self.deployment(revision, **env))
        self.until(lambda: self.serves() == revision)
        self.until(lambda: self.status().ready_since)  # which the next round writes down

    def status(self) -> Status:
        return self.ask(Status, "status")

    def ask_done(self, *command: str, stdin: str = "") -> Done:
        return self.ask(Done, *command, stdin=stdin)

    def through(self, host: str | None, port: int | None) -> str:
        """What a revision answers to who comes through the controller."""
        request = "POST /v1/responses HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"
        done = self._exec("connect", str(host), str(port), stdin=request)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def order(self, what: str) -> Done:
        return self.ask(Done, "order", what, "--by", "ann", stdin="a reason")

    def rollback(self, *revision: str) -> Done:
        return self.ask(Done, "rollback", *revision, "--by", "ann")

    def releases(self) -> Releases:
        return self.ask(Releases, "releases")

    def phase(self) -> str:
        rollout = self.status().rollout
        return rollout.phase if rollout else ""

    def until_it_has_looked(self) -> None:
        """A whole round began and ended after this."""
        for _ in range(2):
            seen = time.time()
            self.until(lambda seen=seen: (self.status().at or 0.0) > seen, 0.5)  # type: ignore[misc]

    def until_phase(self, phase: str) -> None:
        self.until(lambda: self.phase() == phase, 0.5)

    def ask(self, kind: type[T], *command: str, stdin: str = "") -> T:
        done = self._exec(*command, stdin=stdin)
        assert done.returncode == 0, done.stdout + done.stderr
        return contract.decode(kind, done.stdout, command[0])

    def refused(self, *command: str, stdin: str = "") -> Refusal:
        done = self._exec(*command, stdin=stdin)
        assert done.returncode == 1, done.stdout + done.stderr
        return contract.decode(Refusal, done.stdout, command[0])

    def refused_apply(self, deployment: Deployment) -> Refusal:
        return self.refused("apply", stdin=json.dumps(asdict(Apply(deployment, self.secrets, "bob"))))

    def try_apply(self, deployment: Deployment) -> int:
        """The exit code."""
        return self._exec(
            "apply", stdin=json.dumps(asdict(Apply(deployment, self.secrets, "bob")))
        ).returncode

    def try_ask(self, *command: str) -> bool:
        return self._exec(*command).returncode == 0

    def _exec(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        words = (self.docker, *controller.ask(self.project, *command))
        return subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=BOUND_S)

    # -- What users see, and what happens to a machine -------------------------------------------------------

    def post(self, conversation: str = "") -> dict[str, Any]:
        headers = {contract.CONVERSATION_HEADER: conversation} if conversation else {}
        answer = self.http.post("/v1/responses", json={"input": "hi"}, headers=headers)
        found: dict[str, Any] = answer.json()
        return found

    def serves(self, conversation: str = "") -> str:
        """Which revision answers; nothing while none does."""
        try:
            return str(self.post(conversation).get("revision", ""))
        except (httpx2.TransportError, ValueError):
            return ""

    def control(self, method: str, path: str, body: Any = None, **query: str) -> httpx2.Response:
        """As people ask it, with the token that the controller has made for them."""
        token = self.ask(Tokens, "tokens").operate
        url = f"http://127.0.0.1:{self.control_port}{path}"
        who = {"name": self.name, "environment": ENVIRONMENT, **query}
        shown = {"authorization": f"Bearer {token}"}
        return httpx2.request(method, url, params=who, headers=shown, json=body, timeout=20.0)

    def part(self, *names: str) -> str:
        return "-".join((self.project, *names))

    def run(self, *arguments: str, stdin: str = "") -> str:
        words = (self.docker, *arguments)
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=BOUND_S)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def containers(self) -> set[str]:
        label = f"label={LABEL}={self.project}"
        return set(self.run("ps", "--filter", label, "--format", "{{.Names}}").split())

    def until(self, condition: Callable[[], object], rest_s: float = 0.1) -> None:
        end = time.monotonic() + BOUND_S
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"it never came to it: {self._said()}")
            time.sleep(rest_s)

    def _said(self) -> str:
        done = self._exec("status")
        logs = subprocess.run((self.docker, "logs", self.part("controller")), capture_output=True, text=True)
        return f"{done.stdout}{done.stderr}{logs.stderr[-3000:]}"

    def close(self) -> None:
        """Nothing of it is left."""
        self.http.close()
        label = ("--filter", f"label={LABEL}={self.project}")
        subprocess.run((self.docker, "rm", "--force", self.part("controller")), capture_output=True)
        for what, kind in (("ps", "rm"), ("volume", "volume"), ("network", "network")):
            listing = ("ps", "--all") if what == "ps" else (what, "ls")
            found = self.run(*listing, "--quiet", *label).split()
            remove = (kind, "--force") if kind == "rm" else (kind, "rm")
            if found:
                self.run(*remove, *found)
        images = self.run("images", "--format", "{{.Repository}}:{{.Tag}}", f"{self.project}/*").split()
        if images:
            self.run("rmi", "--force", *images)


def make_images(docker: str, place: Path) -> Iterator[Images]:
    """Images of controller, router and control in the engine, under names that are nobody else's."""
    tag, cache = uuid.uuid4().hex[:8], Cache(default_root())
    platforms = (own_platform(),)
    plans = {
        "controller": plan_own(controller.PROGRAM, f"shipway-test-controller:{tag}", platforms),
        "router": plan_router(platforms, f"shipway-test-router:{tag}"),
        "control": plan_own(CONTROL_PROGRAM, f"shipway-test-control:{tag}", platforms),
    }
    found = {}
    for role, plan in plans.items():
        with Registries() as registries:
            made = build_own(plan, place, cache, lambda _: None, registries)
        delivery.write_layout(place / role, [made], cache, load=True, needed=True)
        shown = (docker, "image", "inspect", "--format", "{{.Id}}", plan.repository)
        found[role] = subprocess.run(shown, check=True, capture_output=True, text=True).stdout.strip()
    yield Images(**found)
    subprocess.run((docker, "rmi", *(plan.repository for plan in plans.values())), capture_output=True)
