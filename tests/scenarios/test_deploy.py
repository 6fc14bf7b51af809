"""A release on a machine with a real engine: there at first, then rolled out, and back."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.far_engine import far_engine, ssh_engine
from tests.scenarios import deployments
from tests.scenarios.deployments import LABEL, RELEASES, SECRET, Deployment, revision_of, until

pytestmark = [pytest.mark.docker, pytest.mark.network]

CANARY = '[rollout]\nsteps = [{ weight = 50, hold = "1h" }, { weight = 100 }]\n'
QUICK = '[rollout]\nsteps = [{ weight = 50, hold = "1s" }, { weight = 100 }]\n'


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, engine: Callable[[str], str]) -> Path:
    root = tmp_path_factory.mktemp("releases")
    deployments.build(root, engine("docker"))
    return root


@pytest.fixture
def there(
    built: Path, tmp_path: Path, free_port: Callable[[], int], engine: Callable[[str], str]
) -> Iterator[Deployment]:
    made = Deployment(built, tmp_path / "project", free_port(), engine("docker"))
    yield made
    made.remove()
    assert not made.containers()


# -- Before anything is sent ---------------------------------------------------------------------------------


def test_a_missing_secret_is_said_before_anything_is_there(there: Deployment) -> None:
    done = there.deploy("one", KEY="", code=2)
    assert "agent needs the secret KEY, which is neither in the environment nor in .env.t" in done.stderr
    assert not there.containers()


def test_a_port_that_is_taken_is_said_before_anything_is_there(there: Deployment) -> None:
    with socket.create_server(("127.0.0.1", there.port)):
        done = there.deploy("one", code=1)
    assert f"port {there.port} of localhost is taken by something else" in done.stderr
    assert not there.containers()


# -- A whole life --------------------------------------------------------------------------------------------


@pytest.mark.long
def test_from_a_first_deployment_to_a_rollback(there: Deployment) -> None:
    there.rollout = CANARY
    first = there.deploy("one")
    one = revision_of(first.stdout)
    assert f"api      http://localhost:{there.port}" in first.stderr
    assert there.ask("hello") == "one hello"
    assert there.status()["stable"]["revision"] == one

    second = there.deploy("two")
    two = revision_of(second.stdout)
    assert "50 % of new conversations go to it" in second.stderr
    answers = {there.ask(conversation=f"c-{number}").split()[0] for number in range(40)}
    assert answers == {"one", "two"}
    assert there.run("deploy", "--env", there.environment).stdout == f"{two}\n"  # it goes on with it
    other = there.deploy("broken", code=1)
    assert f"a rollout of {two} goes on" in other.stderr

    paused = there.run("rollout", "pause", "--env", there.environment, "--reason", "INC-7")
    assert paused.returncode == 0, paused.stderr
    assert until(lambda: there.status()["rollout"]["phase"] == "paused")
    assert "INC-7" in there.run("rollout", "status", "--env", there.environment).stdout
    assert there.run("rollout", "promote", "--env", there.environment).returncode == 0
    assert there.run("rollout", "watch", "--env", there.environment).returncode == 0
    assert until(lambda: there.status()["stable"]["revision"] == two)
    assert {there.ask(conversation=f"d-{number}").split()[0] for number in range(10)} == {"two"}

    back = there.run("rollback", "--env", there.environment)
    assert (back.returncode, back.stdout) == (0, f"{one}\n"), back.stderr
    assert there.ask("again") == "one again"
    listed = there.run("releases", "--env", there.environment)
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:3]] == [one, two]


@pytest.mark.long
def test_a_canary_that_cannot_start_has_no_users(there: Deployment) -> None:
    there.rollout = CANARY
    there.deploy("one")
    there.choose("broken")
    terminal = there.start("deploy", "--env", there.environment)
    try:
        status = ("status", "--env", there.environment)
        assert until(lambda: "is not ready: agent: restarting since " in there.run(*status).stdout)
        assert there.run(*status).returncode == 1
        assert {there.ask(conversation=f"c-{number}").split()[0] for number in range(10)} == {"one"}
        terminal.send_signal(signal.SIGINT)
        _, said = terminal.communicate(timeout=deployments.PATIENCE_S)
        assert "shipway rollout abort" in said
        assert terminal.returncode == 130
    finally:
        terminal.kill()
        terminal.communicate()
    assert there.run("rollout", "abort", "--env", there.environment).returncode == 0
    assert there.run("rollout", "watch", "--env", there.environment).returncode == 3


@pytest.mark.long
def test_a_first_revision_that_cannot_start_names_the_cause(there: Deployment) -> None:
    done = there.deploy("broken", code=1)
    assert "is not ready\n" in done.stderr
    assert "the agent cannot start" in done.stderr
    mended = there.deploy("one")
    assert there.ask("hello") == "one hello"
    assert revision_of(mended.stdout) in there.run("releases", "--env", there.environment).stdout


# -- Secrets, and others who deploy --------------------------------------------------------------------------


def test_a_first_deployment_and_no_secret_of_it_is_to_be_read(there: Deployment) -> None:
    done = there.deploy("one")
    revision = revision_of(done.stdout)
    assert there.ask("hello") == "one hello"  # it has its secret, and says so
    assert there.status()["stable"]["revision"] == revision
    policy = there.run("policy", "show", "--env", there.environment)  # through Docker, without any token
    assert (policy.returncode, policy.stdout.split()[-2:]) == (0, ["in", "force"]), policy.stderr
    found = [done.stderr]
    for container in there.containers():
        found += [there("inspect", container), there("logs", container), there("top", container)]
        found += [there("image", "inspect", there("inspect", "-f", "{{.Image}}", container))]
    for command in ("status", "releases"):
        said = there.run(command, "--env", there.environment, "--json").stdout
        assert revision in said
        found.append(said)
    assert not [text for text in found if SECRET in text]


@pytest.mark.long
def test_a_secret_that_the_machine_has_need_not_be_given_again(there: Deployment) -> None:
    there.deploy("one")
    there.deploy("two", "--wait", KEY="")
    assert there.ask("hello") == "two hello"


@pytest.mark.long
def test_two_who_deploy_at_once(there: Deployment) -> None:
    """One of them rolls out, the other one hears of it; nothing is done twice."""
    there.rollout = CANARY
    there.deploy("one")
    there.choose("two")
    both = [there.start("deploy", "--env", there.environment) for _ in range(2)]
    said = [one.communicate(timeout=2 * deployments.PATIENCE_S) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert said[0][0] == said[1][0]
    words = [next(line for line in err.splitlines() if "roll" in line) for _, err in said]
    assert sorted("is rolled out over" in line for line in words) == [False, True], words
    rollouts = there.run("releases", "--env", there.environment, "--json").stdout
    assert rollouts.count(f'"{revision_of(said[0][0])}"') == 1


@pytest.mark.long
def test_an_engine_of_another_machine(there: Deployment) -> None:
    """Reached through a port, as one far away would be: images are sent whole, and nothing is mounted."""
    there.build("far", RELEASES["one"] + f"# {uuid.uuid4()}: no engine has it\n")
    with far_engine() as host:
        done = there.deploy("far", DOCKER_HOST=host)
        assert "because it could not pull: the engine is on another machine" in done.stderr
        assert there.run("releases", "--env", there.environment, DOCKER_HOST=host).returncode == 0
    assert there.ask("hello") == "one hello"


@pytest.mark.long
def test_an_engine_by_ssh(there: Deployment, tmp_path: Path, engine: Callable[[str], str]) -> None:
    there.build("by-ssh", RELEASES["one"] + f"# {uuid.uuid4()}: no engine has it\n")
    with ssh_engine(engine("sshd"), tmp_path) as way:
        done = there.deploy("by-ssh", **way)
        assert "because it could not pull: the engine is on another machine" in done.stderr
        assert f"api      http://machine:{there.port}" in done.stderr
        assert re.search(r"control  ssh -L (\d+):127.0.0.1:\1 machine", done.stderr)
        assert there.run("status", "--env", there.environment, **way).returncode == 0
        assert "API on port 8080" in there.run("logs", "--env", there.environment, "agent", **way).stdout
        assert there.run("down", "--env", there.environment, "--volumes", **way).returncode == 0
    assert not there.containers()


@pytest.mark.long
def test_it_is_removed_and_comes_back_with_what_was_kept(there: Deployment) -> None:
    there.deploy("one")
    there.ask("hello", "kept")
    where = ("--env", there.environment)
    said = there.run("logs", *where).stdout
    assert re.search(r"^agent +\| .*API on port 8080", said, re.MULTILINE)
    assert re.search(r"^controller +\| ", said, re.MULTILINE)
    assert all(line.startswith("router ") for line in there.run("logs", *where, "router").stdout.splitlines())
    assert "no container is called x; there is: agent," in there.run("logs", *where, "x").stderr
    done = there.run("down", *where)
    assert f"kept, with conversations, secrets and records: {there.project}-control" in done.stderr
    assert not there.containers()
    assert there.run("down", "--volumes").returncode == 2
    there.deploy("one")
    assert there.ask("more", "kept") == "one more"
    done = there.run("down", *where, "--volumes")
    assert done.returncode == 0, done.stderr
    for kind in ("volume", "network"):
        assert not there(kind, "ls", "-q", "--filter", f"label={LABEL}={there.project}")
    assert not there("image", "ls", "-q", f"{there.project}/*")
    gone = there.run("down", *where)
    assert (gone.returncode, f"there is nothing of {there.project} in Docker" in gone.stderr) == (1, True)


@pytest.mark.long
def test_logs_go_on_until_their_containers_end(there: Deployment) -> None:
    there.deploy("one")
    with there.start("logs", "--env", there.environment, "--follow", "agent") as following:
        assert following.stdout
        assert any("API on port 8080" in line for line in following.stdout)
        there.run("down", "--env", there.environment)
        assert following.wait(deployments.PATIENCE_S) == 0


# -- The paired suite ----------------------------------------------------------------------------------------

EVALS = """
[evals]
suite = "evals/*.jsonl"
[rollout]
steps = [{ weight = 50, hold = "1h" }, { weight = 100 }]
gates = { evals = { margin = 0.02 } }
"""


@pytest.mark.long
def test_a_canary_that_answers_worse_is_rolled_back_before_it_has_users(there: Deployment) -> None:
    there.rollout = EVALS
    cases = [{"id": f"c-{n}", "input": f"{n}", "checks": [{"contains": "one"}]} for n in range(60)]
    (there.root / "evals").mkdir(parents=True)
    (there.root / "evals/basic.jsonl").write_text("".join(f"{json.dumps(case)}\n" for case in cases))
    there.deploy("one")
    worse = there.deploy("two", code=3)
    assert "the evals ask" in worse.stderr
    assert "back to" in worse.stderr
    assert "rolled back; everybody is with" in worse.stderr
    assert there.ask("hello") == "one hello"


# -- Certificates --------------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_certificate_is_shown_kept_and_renewed(there: Deployment, tmp_path: Path) -> None:
    def make(name: str) -> tuple[str, ...]:
        key, certificate = tmp_path / f"{name}.key", tmp_path / f"{name}.crt"
        subprocess.run(
            (
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                *(
                    "-nodes",
                    "-days",
                    "2",
                    "-subj",
                    f"/CN={name}",
                    "-keyout",
                    str(key),
                    "-out",
                    str(certificate),
                ),
            ),
            check=True,
            capture_output=True,
        )
        return "--tls", str(certificate), "--tls", str(key)

    def shown() -> str:
        asked = ("openssl", "s_client", "-connect", f"127.0.0.1:{there.port}")
        done = subprocess.run(asked, input="", capture_output=True, text=True, timeout=60)
        return done.stdout

    first = there.deploy("one", *make("first"))
    assert f"api      https://localhost:{there.port}" in first.stderr
    assert until(lambda: "CN = first" in shown())
    assert there.ask("hello", scheme="https", verify=False) == "one hello"
    there.deploy("one")
    assert "CN = first" in shown()
    router = f"{there.project}-router"
    began = there("inspect", "-f", "{{.State.StartedAt}}", router)
    there.deploy("one", *make("second"))
    assert until(lambda: "CN = second" in shown())
    make("third")
    text = "".join((tmp_path / f"third.{kind}").read_text() for kind in ("key", "crt"))
    pipe = (there.docker, "exec", "-i", f"{there.project}-controller", "python", "-m", "shipway.rollout")
    done = subprocess.run(
        (*pipe, "certificates"), input=text, capture_output=True, text=True
    )  # as a hook does
    assert done.returncode == 0, done.stdout
    assert until(lambda: "CN = third" in shown())
    assert there("inspect", "-f", "{{.State.StartedAt}}", router) == began
