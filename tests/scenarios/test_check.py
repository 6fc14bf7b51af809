"""`shipway check`, and shared bases, as people use and misuse them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.layout import write_layout
from tests.scenarios.conftest import Run

Write = Callable[[Mapping[str, str]], Path]
EXAMPLES = Path(__file__).parents[2] / "examples"
AGENT = "async def agent(messages, ctx):\n    return 'x'\n"
SPEC = 'name = "a"\nentrypoint = "agent:agent"\n'
ON_BASE = SPEC + '[image]\nbase = "./base/.shipway/base"\n'


def test_a_project_that_is_right(shipway: Run, project: Write) -> None:
    done = shipway("check", cwd=project({"agent.py": AGENT, "agent.toml": SPEC}))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "nothing found\n")


def test_every_family_says_its_findings_at_once(shipway: Run, project: Write) -> None:
    key = "sk-ant-api03-" + "Ab3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5zA7b" * 2
    files = {
        "agent.py": f"{AGENT}KEY = '{key}'\n",
        "agent.toml": SPEC + '[image]\nca = "ca.pem"\n',
        "shipway.lock": 'version = 1\n\n[tools]\nshipway = "0.0.1"\n',
    }
    done = shipway("check", "--json", cwd=project(files))
    assert done.returncode == 2
    found = {(f["rule"], f["file"]) for f in json.loads(done.stdout)}
    assert found >= {
        ("lock-stale", "shipway.lock"),
        ("secret-in-file", "agent.py"),
        ("image-ca", "ca.pem"),
    }
    assert key not in done.stdout


def test_what_is_wrong_with_agent_toml_is_said_in_the_same_way(shipway: Run, project: Write) -> None:
    done = shipway("check", "--json", cwd=project({"agent.py": AGENT, "agent.toml": SPEC + "nme = 1\n"}))
    assert done.returncode == 2
    assert [f["rule"] for f in json.loads(done.stdout)] == ["unknown-key"]


@pytest.mark.network
def test_agents_on_a_shared_base_add_only_what_is_missing(shipway: Run, project: Write) -> None:
    root = project(
        {
            "agent.py": AGENT,
            "agent.toml": ON_BASE,
            "requirements.txt": "six\nmsgspec==0.20.0\n",
            "base/agent.toml": 'name = "team-base"\n',
            "base/requirements.txt": "six==1.16.0\n",
        }
    )
    made = shipway("build", "--base-only", "-t", "team/agent-base", cwd=root / "base")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("team/agent-base@sha256:")
    assert not (root / "base/.shipway/release.json").exists(), "a base is no release"
    built = shipway("build", cwd=root)
    assert built.returncode == 0, built.stderr
    (layers,) = json.loads((root / ".shipway/layers.json").read_text()).values()
    assert any("msgspec" in layer for layer in layers)
    assert not any("six" in layer for layer in layers), "it may be any version, so it is the base's"
    assert shipway("check", cwd=root).returncode == 0
    (root / "requirements.txt").write_text("six==1.17.0\n")
    done = shipway("check", cwd=root)
    assert done.returncode == 2
    assert "the project wants six 1.17.0, and the base ./base/.shipway/base has 1.16.0" in done.stdout
    assert shipway("build", cwd=root).returncode == 2


@pytest.mark.network
def test_a_lock_pins_the_layout_that_an_agent_stands_on(shipway: Run, project: Write) -> None:
    root = project(
        {
            "agent.py": AGENT,
            "agent.toml": ON_BASE,
            "base/agent.toml": 'name = "team-base"\n',
        }
    )
    assert shipway("build", "--base-only", cwd=root / "base").returncode == 0
    assert shipway("lock", cwd=root).returncode == 0
    first = shipway("build", "--locked", cwd=root)
    assert first.returncode == 0, first.stderr
    assert shipway("build", "--locked", cwd=root).stdout == first.stdout
    (root / "base/requirements.txt").write_text("six==1.17.0\n")
    assert shipway("build", "--base-only", cwd=root / "base").returncode == 0
    moved = shipway("build", "--locked", cwd=root)
    assert moved.returncode == 1
    assert "the base ./base/.shipway/base is sha256:" in moved.stderr
    assert "run `shipway lock --upgrade`" in moved.stderr


def test_a_base_that_is_no_layout(shipway: Run, project: Write) -> None:
    done = shipway("build", cwd=project({"agent.py": AGENT, "agent.toml": ON_BASE}))
    assert done.returncode == 1
    assert "the base ./base/.shipway/base is no OCI layout" in done.stderr
    assert "Traceback" not in done.stderr


# -- Of anybody ----------------------------------------------------------------------------------------------

CLASSIC = """\
FROM python:3.12-slim
WORKDIR /app
COPY . .
RUN pip install -r requirements.txt
CMD uvicorn main:app --host 0.0.0.0 --port 8000
"""


def rules(done: subprocess.CompletedProcess[str]) -> set[str]:
    return {finding["rule"] for finding in json.loads(done.stdout)}


def test_a_project_that_shipway_does_not_know(shipway: Run, project: Write) -> None:
    root = project({"Dockerfile": CLASSIC, "main.py": "app = 1\n", "requirements.txt": "fastapi\n"})
    done = shipway("check", cwd=root)
    assert done.returncode == 2
    assert "Dockerfile:5: CMD is in shell form" in done.stdout
    assert "    fix: write it as a list: CMD [" in done.stdout
    assert done.stderr == "2 errors, 3 warnings, 2 notes\n"


def test_severities_make_the_exit_code(shipway: Run, project: Write) -> None:
    warned = 'FROM python:3.13@sha256:0a\nUSER 1\nCMD ["python", "a.py"]\n'
    root = project({"Dockerfile": warned})
    assert shipway("check", cwd=root).returncode == 0
    assert shipway("check", "--fail-on", "warning", cwd=root).returncode == 2
    (root / "Dockerfile").write_text(warned.replace("@sha256:0a", "-slim"))
    assert shipway("check", "--fail-on", "warning", cwd=root).returncode == 0
    assert shipway("check", "--fail-on", "note", cwd=root).returncode == 2


def test_a_finding_that_is_answered_for(shipway: Run, project: Write) -> None:
    text = "FROM python:3.13-slim@sha256:0a\n# shipway: ignore root-user: it makes devices\nUSER root\n"
    root = project({"Dockerfile": text})
    done = shipway("check", "--sarif", "out.sarif", "--with-ignored", cwd=root)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "nothing found, 1 ignored with a reason\n"
    (result,) = json.loads((root / "out.sarif").read_text())["runs"][0]["results"]
    assert result["suppressions"][0]["justification"] == "it makes devices"
    (root / "Dockerfile").write_text(text.replace(": it makes devices", ""))
    assert rules(shipway("check", "--json", cwd=root)) == {"root-user", "ignore-reason"}


def test_a_rule_that_is_ignored_everywhere(shipway: Run, project: Write) -> None:
    root = project(
        {"Dockerfile": "FROM python:3.13-slim\nUSER 0\n", "b.Dockerfile": "FROM python:3.13-slim\nUSER 0\n"}
    )
    why = "a sandbox of its own"
    sarif = ("--sarif", "out.sarif", "--with-ignored")
    done = shipway("check", "--json", "--ignore", f"root-user: {why}", *sarif, cwd=root)
    assert done.returncode == 0
    assert rules(done) == {"base-digest"}
    results = json.loads((root / "out.sarif").read_text())["runs"][0]["results"]
    given = [one for result in results for one in result.get("suppressions", ())]
    assert given == [{"kind": "external", "justification": why}] * 2
    for wrong, said in (("root-user", "has no reason"), ("root: x", "there is no rule `root`")):
        done = shipway("check", "--ignore", wrong, cwd=root)
        assert done.returncode == 2
        assert said in done.stderr


def test_what_is_named_is_looked_at_alone(shipway: Run, project: Write) -> None:
    root = project({"agent.toml": "nme = 1\n", "docker/agent.Dockerfile": CLASSIC})
    done = shipway("check", "--json", "--dockerfile", "docker/agent.Dockerfile", cwd=root)
    assert {f["file"] for f in json.loads(done.stdout)} == {"docker/agent.Dockerfile"}
    both = shipway("check", ".", "--json", "--dockerfile", "docker/agent.Dockerfile", cwd=root)
    assert {f["file"] for f in json.loads(both.stdout)} == {"agent.toml", "docker/agent.Dockerfile"}


def test_places_are_named_from_where_one_is(shipway: Run, project: Write) -> None:
    root = project({"svc/agent.toml": SPEC + "nme = 1\n", "svc/agent.py": AGENT, "svc/Dockerfile": CLASSIC})
    done = shipway("check", "svc", "--json", cwd=root)
    assert {f["file"] for f in json.loads(done.stdout)} == {"svc/agent.toml", "svc/Dockerfile"}


def test_nothing_to_check(shipway: Run, project: Write) -> None:
    done = shipway("check", cwd=project({"readme.txt": ""}))
    assert done.returncode == 2
    assert "there is nothing to check in" in done.stdout
    missing = shipway("check", "nowhere", cwd=project({}))
    assert missing.returncode == 2
    assert "nowhere" in missing.stderr + missing.stdout
    assert "Traceback" not in missing.stderr


def test_files_that_are_no_dockerfiles(shipway: Run, project: Write) -> None:
    root = project({"Dockerfile": "hello there\n", "b.Dockerfile": "# only this\n"})
    (root / "c.Dockerfile").write_bytes(b"\xff\xfe\x00")
    done = shipway("check", "--dockerfile", "d.Dockerfile", "--json", ".", cwd=root)
    assert done.returncode == 2
    said = {f["file"]: f["message"] for f in json.loads(done.stdout) if f["rule"] == "dockerfile-syntax"}
    assert said["Dockerfile"] == "`HELLO` is no instruction of a Dockerfile"
    assert "no FROM" in said["b.Dockerfile"]
    assert "not UTF-8" in said["c.Dockerfile"]
    assert "cannot be read: No such file" in said["d.Dockerfile"]


def test_an_image_and_one_that_is_not_there(shipway: Run, project: Write) -> None:
    root = project({})
    root.mkdir(exist_ok=True)
    layers = [{"app/.env": b"A=1\n"}, {"app/.wh..env": b""}]
    labels = {"shipway.ignore/image-secret-file": "a template, without values"}
    (root / "image").mkdir()
    write_layout(root / "image", {"agent:1": layers}, {"Labels": labels})
    done = shipway("check", "--json", "--image", "image", "--image", "nowhere.tar", cwd=root)
    assert done.returncode == 2
    assert rules(done) == {"image-root"}
    assert "there is no file or directory nowhere.tar" in done.stderr
    assert "1 ignored with a reason, 1 could not be looked at" in done.stderr
    assert shipway("check", "--image", "nowhere.tar", cwd=root).returncode == 1


@pytest.mark.parametrize("example", sorted(p.parent.name for p in EXAMPLES.glob("*/agent.toml")))
def test_the_examples_have_no_finding(shipway: Run, example: str) -> None:
    done = shipway("check", example, cwd=EXAMPLES)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "nothing found\n")
