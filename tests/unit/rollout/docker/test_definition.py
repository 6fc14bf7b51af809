"""What the engine is asked to create, for each thing that a plan says."""

from __future__ import annotations

from dataclasses import replace

from shipway.plan.deployment import LABEL, Container, Mount, Published
from shipway.rollout.docker.definition import CONTAINER, DEFINITION, REVISION, Place, define

PLACE = Place("desk-prod", "r1", {"/run/secrets": "/machine/secrets/r1/agent"})
AGENT = Container(
    "agent",
    "sha256:a",
    env={"NAME": "desk"},
    secrets={"KEY": "file", "URL": "env"},
    mounts=(Mount("data", "/data"),),
    joins="pod",
    memory=64,
    grace_s=75.5,
)
VALUES = {"KEY": "a-key", "URL": "a-url", "OTHER": "of another"}


def test_an_agent_joins_its_pod_and_may_nothing() -> None:
    body = define(AGENT, PLACE, VALUES)
    host = body["HostConfig"]
    assert host["NetworkMode"] == "container:desk-prod-r1-pod"
    assert "NetworkingConfig" not in body
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Tmpfs"]) == (True, ["ALL"], {"/tmp": ""})
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert (host["Memory"], host["MemorySwap"]) == (64, 64)
    assert host["RestartPolicy"] == {"Name": "unless-stopped"}
    assert body["StopTimeout"] == 76
    assert body["Labels"] | {DEFINITION: ""} == {
        LABEL: "desk-prod",
        CONTAINER: "agent",
        REVISION: "r1",
        DEFINITION: "",
    }


def test_a_secret_that_is_a_file_is_in_no_environment() -> None:
    body = define(AGENT, PLACE, VALUES)
    assert body["Env"] == ["NAME=desk", "URL=a-url"]
    assert body["HostConfig"]["Mounts"] == [
        {"Type": "volume", "Source": "desk-prod-data", "Target": "/data"},
        {
            "Type": "bind",
            "Source": "/machine/secrets/r1/agent",
            "Target": "/run/secrets",
            "ReadOnly": True,
        },
    ]


def test_what_others_built_is_left_alone_but_gets_no_new_rights() -> None:
    host = define(replace(AGENT, hardened=False, memory=None), PLACE, {})["HostConfig"]
    assert not host.keys() & {"ReadonlyRootfs", "CapDrop", "Tmpfs", "Memory", "MemorySwap"}
    assert host["SecurityOpt"] == ["no-new-privileges:true"]


def test_what_all_share_is_in_the_network_by_its_names_and_published() -> None:
    router = Container("router", "r", aliases=("router",), published=(Published("127.0.0.1", 80, 8080),))
    body = define(router, Place("desk-prod"), {})
    assert Place("desk-prod").name("router") == "desk-prod-router"
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"desk-prod": {"Aliases": ["router"]}}}
    assert body["ExposedPorts"] == {"8080/tcp": {}}
    assert body["HostConfig"]["PortBindings"] == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80"}]}


def test_an_image_keeps_its_own_command_unless_the_plan_says_another() -> None:
    assert not define(AGENT, PLACE, {}).keys() & {"Entrypoint", "Cmd"}
    said = define(replace(AGENT, entrypoint=("a",), command=("b",)), PLACE, {})
    assert (said["Entrypoint"], said["Cmd"]) == (["a"], ["b"])


def test_the_same_has_the_same_digest_and_each_difference_another() -> None:
    def digest(container: Container, place: Place = PLACE, values: dict[str, str] = VALUES) -> str:
        return str(define(container, place, values)["Labels"][DEFINITION])

    assert digest(AGENT) == digest(replace(AGENT))
    others = {
        digest(AGENT),
        digest(replace(AGENT, image="sha256:b")),
        digest(replace(AGENT, env={})),
        digest(replace(AGENT, memory=65)),
        digest(replace(AGENT, grace_s=80.0)),
        digest(AGENT, Place("desk-prod", "r2")),
        digest(AGENT, values=VALUES | {"URL": "another"}),
    }
    assert len(others) == 7
    assert digest(AGENT, values=VALUES | {"KEY": "another"}) == digest(AGENT)
