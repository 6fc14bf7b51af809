"""What the files for ECS and Nomad say of a container, done by Docker in their place.

ECS documents for each parameter of a container which option of `docker run` it is, and Nomad's driver is
Docker. What only they have, secrets' stores and templates, is done here as they describe it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.docker import Docker
from tests.nomad_schema import read

from shipway.plan.stack import StackPlan, plan_stack
from shipway.render.ecs import files as ecs
from shipway.render.nomad import files as nomad
from shipway.spec.load import load

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.long]

SHIPWAY = Path(sys.executable).with_name("shipway")
NO_CONTROL = {"SHIPWAY_CONTROL_URL": ""}  # as an account says that there is none
VALUES = {"TOKEN": 'of "env" $x', "KEY": "of-file"}
SPEC = """\
name = "seen"
entrypoint = "seen:agent"
[secrets]
TOKEN = "env"
KEY = "file"
[api]
auth = "none"
[config]
greeting = "plain"
[env.prod.config]
greeting = "{{ hi }} ${x}"
"""
AGENT = """\
import json, os, pathlib

def writable(place):
    try:
        pathlib.Path(place, "probe").write_text("x")
        return True
    except OSError:
        return False

async def agent(messages, ctx):
    places = [place for place in ("/", "/app", "/etc/shipway", "/tmp") if writable(place)]
    secrets = {name: ctx.secret(name) for name in ("TOKEN", "KEY")}
    return json.dumps({"secrets": secrets, "greeting": ctx.config["greeting"], "writable": places,
                       "uid": os.getuid(), "pid": os.getpid()})
"""
SEEN = {"secrets": VALUES, "greeting": "{{ hi }} ${x}", "writable": ["/tmp"], "uid": 65532, "pid": 1}


@pytest.fixture
def plan(tmp_path: Path, docker: Docker) -> StackPlan:
    """The stack in prod, of an image that was just built."""
    project, image = tmp_path / "seen", f"shipway-test-{uuid.uuid4().hex[:8]}:1"
    project.mkdir()
    (project / "agent.toml").write_text(SPEC)
    (project / "seen.py").write_text(AGENT)
    docker.images.append(image)
    command = (SHIPWAY, "build", "--load", "-t", image)
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    found = plan_stack(load(project / "agent.toml", "prod"), "prod")
    return dataclasses.replace(found, agent=dataclasses.replace(found.agent, image=image))


def ask(docker: Docker, name: str) -> httpx2.Response:
    return httpx2.post(f"{docker.address(name, '8080')}/v1/responses", json={"input": "?"}, timeout=30)


def answer(docker: Docker, name: str) -> dict[str, Any]:
    admin = docker.address(name, "8081")
    until(lambda: httpx2.get(f"{admin}/readyz").status_code == 200, lambda: docker("logs", name))
    document = ask(docker, name).json()
    said: dict[str, Any] = json.loads(document["output"][0]["content"][0]["text"])
    return said


def until(true: Callable[[], bool], why: Callable[[], str]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if true():
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(why())


def test_a_container_of_ecs(plan: StackPlan, docker: Docker) -> None:
    """Secrets in files come in the environment, and the agent sees no difference."""
    task = json.loads(ecs.render(plan).owned["register-task-definition.json"])
    (container,) = task["containerDefinitions"]
    kept = VALUES | {"SHIPWAY_ADMIN_TOKEN": "of sixteen or more", "SHIPWAY_CONTROL_TOKEN": "unused"}
    store = {f"/seen/prod/{name}": value for name, value in kept.items()}
    variables = {one["name"]: one["value"] for one in container["environment"]}
    variables |= {one["name"]: store[one["valueFrom"]] for one in container["secrets"]} | NO_CONTROL
    linux = container["linuxParameters"]
    (tmp,) = linux["tmpfs"]
    name = docker.container(
        "run",
        container["image"],
        "--detach",
        *(word for key, value in variables.items() for word in ("--env", f"{key}={value}")),
        *(word for drop in linux["capabilities"]["drop"] for word in ("--cap-drop", drop)),
        *("--tmpfs", f"{tmp['containerPath']}:size={tmp['size']}m,{','.join(tmp['mountOptions'])}"),
        *("--user", container["user"], "--memory", f"{container['memoryReservation']}m"),
        *(["--read-only"] if container["readonlyRootFilesystem"] else []),
        *("--publish", "127.0.0.1::8080", "--publish", "127.0.0.1::8081"),
    )
    assert answer(docker, name) == SEEN
    kind, *probe = container["healthCheck"]["command"]
    assert kind == "CMD"
    docker("exec", name, *probe)
    bearer = {"authorization": "Bearer of sixteen or more"}
    policy = httpx2.get(f"{docker.address(name, '8081')}/policy", headers=bearer)
    assert policy.status_code == 200, "the operator's token opens the admin port"
    docker("stop", "--time", str(container["stopTimeout"]), name)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", name) == "0"


def test_a_task_of_nomad(plan: StackPlan, docker: Docker, tmp_path: Path) -> None:
    """Files are where they are everywhere, and a policy that is replaced counts at once."""
    (job,) = read(nomad.render(plan).owned["agent.nomad.hcl"])["job"]
    (group,) = job["seen"]["group"]
    task = group["agent"]["task"][0]["agent"]
    (config,) = task["config"]
    (tmpfs,) = config["mount"]
    (options,) = tmpfs["tmpfs_options"]
    written = [one for one in task["template"] if one["destination"] != "local/control.env"]
    variables = task["env"][0] | write_templates(written, tmp_path / "task") | NO_CONTROL
    mount = f"type=tmpfs,destination={tmpfs['target']},tmpfs-size={options['size']}"
    name = docker.container(
        "run",
        config["image"],
        "--detach",
        *(word for key, value in variables.items() for word in ("--env", f"{key}={value}")),
        *(word for volume in config["volumes"] for word in ("--volume", f"{tmp_path}/task/{volume}")),
        *(word for option in config["security_opt"] for word in ("--security-opt", option)),
        *(word for drop in config["cap_drop"] for word in ("--cap-drop", drop)),
        *("--mount", f"{mount},tmpfs-mode={options['mode']:o}", "--user", task["user"]),
        *("--memory", f"{task['resources'][0]['memory']}m"),
        *(["--read-only"] if config["readonly_rootfs"] else []),
        *("--publish", "127.0.0.1::8080", "--publish", "127.0.0.1::8081"),
    )
    assert answer(docker, name) == SEEN
    etc = tmp_path / "task/local/etc"
    (etc / "new").write_text('{"kill": {"all": true}}')
    (etc / "new").rename(etc / "policy.json")  # as Nomad replaces what a template has become
    until(lambda: ask(docker, name).status_code != 200, lambda: "the policy was not read again")


def write_templates(templates: list[dict[str, Any]], directory: Path) -> dict[str, str]:
    """What the templates become while the policy has no variable. Gives those of the environment."""
    environment: dict[str, str] = {}
    for template in templates:
        own = "left_delimiter" in template
        text = template["data"] if own else filled(template["data"])
        if template.get("env"):
            pairs = (line.split("=", 1) for line in text.splitlines() if line)
            environment |= {key: json.loads(value) for key, value in pairs}
            continue
        file = directory / template["destination"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        if os.geteuid() == 0 and "uid" in template:
            os.chown(file, template["uid"], template["gid"])
            file.chmod(int(template["perms"], 8))
    return environment


def filled(text: str) -> str:
    text = re.sub(r"{{ if nomadVarExists .*?{{ else }}(.*){{ end }}", r"\1", text, flags=re.DOTALL)
    text = re.sub(r'{{ with nomadVar "nomad/jobs/seen" }}(.*?){{ end }}', r"\1", text, flags=re.DOTALL)
    text = re.sub(r"{{ \.(\w+)\.Value \| toJSON }}", lambda match: json.dumps(VALUES[match[1]]), text)
    return re.sub(r"{{ \.(\w+) }}", lambda match: VALUES.get(match[1], "unused"), text)
