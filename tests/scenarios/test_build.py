"""`shipway build` and `shipway plan`, as people use and misuse them."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from tests.scenarios.conftest import Run

Write = Callable[[Mapping[str, str]], Path]
AGENT = "async def agent(messages, ctx):\n    return 'x'\n"
SPEC = 'name = "a"\nentrypoint = "agent:agent"\n'


@pytest.mark.network
def test_stdout_is_the_reference_and_nothing_else(shipway: Run, project: Write) -> None:
    directory = project({"agent.py": AGENT, "agent.toml": SPEC})
    done = shipway("build", "-t", "registry.example.com/team/a:1.2", cwd=directory)
    assert done.returncode == 0, done.stderr
    reference = done.stdout.strip()
    assert reference.startswith("registry.example.com/team/a:1.2@sha256:")
    release = json.loads((directory / ".shipway/release.json").read_text())
    assert release["images"] == {"agent": reference}
    names = json.loads((directory / ".shipway/images/manifest.json").read_text())[0]["RepoTags"]
    assert names == ["registry.example.com/team/a:1.2"]


@pytest.mark.network
def test_over_its_size_the_build_fails_and_names_the_largest_parts(shipway: Run, project: Write) -> None:
    spec = SPEC + '[image]\nsize = "10MB"\n'
    directory = project({"agent.py": AGENT, "agent.toml": spec, "requirements.txt": "msgspec==0.20.0\n"})
    done = shipway("build", cwd=directory)
    assert done.returncode == 1
    assert "over the limit of 10 MB" in done.stderr
    assert "layer: base (minimal" in done.stderr
    assert re.search(r"MB  httpx2 \S+ \(/app/\.venv\), required by shipway-runtime", done.stderr)
    assert done.stdout == ""
    assert not (directory / ".shipway/release.json").exists()


@pytest.mark.network
def test_both_platforms_come_from_one_host(shipway: Run, project: Write) -> None:
    directory = project({"agent.py": AGENT, "agent.toml": SPEC, "requirements.txt": "msgspec==0.20.0\n"})
    done = shipway("build", "--platform", "linux/amd64,linux/arm64", cwd=directory)
    assert done.returncode == 0, done.stderr
    layout = directory / ".shipway/images"
    top, *attached = json.loads((layout / "index.json").read_text())["manifests"]
    index = blob(layout, top)
    assert [m["platform"]["architecture"] for m in index["manifests"]] == ["amd64", "arm64"]
    subjects = [blob(layout, entry)["subject"]["digest"] for entry in attached]
    assert sorted(subjects) == sorted([m["digest"] for m in index["manifests"]] * 2)


PYPROJECT = """\
[project]
name = "a"
version = "3.1"
license = "MIT"
dependencies = ["msgspec==0.20.0"]
"""


@pytest.mark.network
def test_the_bill_names_each_package_with_the_hash_of_its_file(
    shipway: Run, project: Write, tmp_path: Path
) -> None:
    """Also when every layer comes from the cache, and in another cache the bytes are the same."""
    directory = project({"agent.py": AGENT, "agent.toml": SPEC, "pyproject.toml": PYPROJECT})
    layout, caches = directory / ".shipway/images", {"SHIPWAY_CACHE": str(tmp_path / "cache")}
    made = []
    for env in ({}, {}, caches):
        done = shipway("build", cwd=directory, env=env)
        assert done.returncode == 0, done.stderr
        made.append(json.loads((layout / "index.json").read_text())["manifests"])
    assert made[0] == made[1] == made[2]
    top, bill, provenance = made[0]
    said = blob(layout, top)["annotations"]
    assert said["org.opencontainers.image.version"] == "3.1"
    assert said["org.opencontainers.image.licenses"] == "MIT"
    document = blob(layout, blob(layout, bill)["layers"][0])
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
    components = {component["name"]: component for component in document["components"]}
    assert {"msgspec", "shipway-runtime", "uvicorn", "libc6"} <= set(components)
    assert [name for name, c in components.items() if not c.get("hashes")] == ["debian"]
    statement = blob(layout, blob(layout, provenance)["layers"][0])
    assert f"sha256:{statement['subject'][0]['digest']['sha256']}" == top["digest"]


def blob(layout: Path, descriptor: Mapping[str, str]) -> Any:
    return json.loads((layout / "blobs" / descriptor["digest"].replace(":", "/")).read_text())


def test_without_network_it_says_what_was_not_reached(shipway: Run, project: Write, tmp_path: Path) -> None:
    directory = project({"agent.py": AGENT, "agent.toml": SPEC})
    nowhere = {
        "SHIPWAY_CACHE": str(tmp_path / "cache"),
        "SHIPWAY_DEBIAN_MIRROR": "http://127.0.0.1:9/debian",
        "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple",
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "UV_HTTP_RETRIES": "0",
    }
    done = shipway("build", cwd=directory, env=nowhere)
    assert done.returncode == 1
    assert "http://127.0.0.1:9/debian/dists/trixie/InRelease cannot be reached" in done.stderr
    assert "cache" in done.stderr
    assert "Traceback" not in done.stderr


class Tampered(BaseHTTPRequestHandler):
    """A mirror whose index nobody signed."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"Origin: Debian\nCodename: trixie\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def tampered() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Tampered)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/debian"
    server.shutdown()
    server.server_close()


def test_an_index_that_nobody_signed_is_refused(
    shipway: Run, project: Write, tmp_path: Path, tampered: str
) -> None:
    directory = project({"agent.py": AGENT, "agent.toml": SPEC})
    mirror = {"SHIPWAY_CACHE": str(tmp_path / "cache"), "SHIPWAY_DEBIAN_MIRROR": tampered}
    done = shipway("build", cwd=directory, env=mirror)
    assert done.returncode == 1
    assert "InRelease" in done.stderr
    assert "sign" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "there is no agent.toml"),
        ({"agent.toml": 'name = "a\n'}, "does not end on its line [syntax]"),
        ({"agent.toml": SPEC}, "entrypoint"),
        ({"agent.toml": SPEC + "[rollout]\nsteps = []\n", "agent.py": AGENT}, "rollout"),
    ],
    ids=["no agent.toml", "syntax", "no entry point", "wrong value"],
)
def test_wrong_input_is_exit_code_2_and_one_message(
    shipway: Run, project: Write, files: dict[str, str], message: str
) -> None:
    directory = project({"README.md": "", **files})
    done = shipway("build", cwd=directory)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_command_that_is_not_there_suggests_one(shipway: Run, tmp_path: Path) -> None:
    done = shipway("biuld", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean `build`" in done.stderr


def test_a_platform_that_is_not_there_is_a_usage_error(shipway: Run, tmp_path: Path) -> None:
    done = shipway("build", "--platform", "linux/riscv64", cwd=tmp_path)
    assert done.returncode == 2
    assert "linux/riscv64" in done.stderr


def test_a_plan_is_json_that_names_the_environment(shipway: Run, project: Write) -> None:
    spec = SPEC + "[config]\ntone = 1\n[env.prod.config]\ntone = 2\n[env.prod.api]\nauth = 'none'\n"
    directory = project({"agent.toml": spec, "agent.py": AGENT})
    plan = json.loads(shipway("plan", "stack", "--env", "prod", "--json", cwd=directory).stdout)
    assert plan["environment"] == "prod"
    assert plan["config"]["settings"]["config"] == {"tone": 2}
    assert plan["config"]["provenance"]["config.tone"].startswith("env.prod")


def layers(directory: Path) -> list[str]:
    archive = json.loads((directory / ".shipway/images/manifest.json").read_text())
    return list(archive[0]["Layers"])


@pytest.mark.network
def test_an_upgrade_moves_one_layer_and_says_which(shipway: Run, project: Write) -> None:
    requirements = "idna=={}\nhttpx2==2.16.2\nmsgspec==0.20.0\n"
    files = {"agent.py": AGENT, "agent.toml": SPEC}
    directory = project(files | {"requirements.txt": requirements.format("3.19")})
    assert shipway("build", cwd=directory).returncode == 0
    before = layers(directory)
    project({"requirements.txt": requirements.format("3.20")})
    done = shipway("build", "--explain", cwd=directory)
    assert done.returncode == 0, done.stderr
    after = layers(directory)
    assert len([layer for layer in after if layer not in before]) == 1
    moved = [line for line in done.stderr.splitlines() if "idna: 3.19" in line]
    assert len(moved) == 1
    assert "-> 3.20" in moved[0]
    assert len([line for line in done.stderr.splitlines() if line.endswith(": unchanged")]) == len(after) - 1


@pytest.mark.network
def test_another_project_finds_the_layers_it_shares(shipway: Run, project: Write, tmp_path: Path) -> None:
    one = project({"agent.py": AGENT, "agent.toml": SPEC, "requirements.txt": "cryptography==50.0.2\n"})
    assert shipway("build", cwd=one).returncode == 0
    other = tmp_path / "other"
    other.mkdir()
    (other / "agent.py").write_text("async def agent(messages):\n    return 'other'\n")
    (other / "agent.toml").write_text(SPEC.replace('"a"', '"other"'))
    (other / "requirements.txt").write_text("cryptography==50.0.2\nclick==8.5.1\n")
    assert shipway("build", cwd=other).returncode == 0
    shared = set(layers(one)) & set(layers(other))
    assert len(shared) >= len(layers(one)) - 3, (
        "all but the group with click, the project, and the group of cffi"
    )


@pytest.mark.network
def test_a_sidecar_of_the_project_is_the_agents_image(shipway: Run, project: Write) -> None:
    servers = '[mcp.own]\nshape = "sidecar"\nrun = "project:own"\n'
    servers += '[mcp.cmd]\nshape = "sidecar"\nrun = ["my-server"]\n'
    directory = project({"agent.py": AGENT, "own.py": "x = 1\n", "agent.toml": SPEC + servers})
    done = shipway("build", cwd=directory)
    assert done.returncode == 0, done.stderr
    images = json.loads((directory / ".shipway/release.json").read_text())["images"]
    assert set(images) == {"agent", "mcp-own"}
    assert images["mcp-own"] == images["agent"]
    assert "mcp-cmd: no image of ours" in done.stderr


def test_a_secret_in_the_code_is_refused_and_never_printed(shipway: Run, project: Write) -> None:
    key = "ghp_" + "x7Kq2mWz9RtB4nYc8LpF3vJd6HsG1aUeTiQo"
    directory = project({"agent.py": f'{AGENT}TOKEN = "{key}"\n', "agent.toml": SPEC})
    done = shipway("build", cwd=directory)
    assert done.returncode == 2, done.stderr
    assert "agent.py:3" in done.stderr
    assert "[secret-in-file]" in done.stderr
    assert key not in done.stderr


def test_push_wants_to_know_where(shipway: Run, project: Write) -> None:
    directory = project({"agent.py": AGENT, "agent.toml": SPEC})
    done = shipway("build", "--push", cwd=directory)
    assert done.returncode == 2
    assert "names no registry" in done.stderr
