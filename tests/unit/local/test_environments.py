from __future__ import annotations

import sys
from pathlib import Path

import pytest

from shipway.errors import ResolveError, UnreachableError
from shipway.local import environments
from shipway.local.environments import Sources
from shipway.local.plan import Environment, LocalPlan
from shipway.local.ports import Ports

pytestmark = pytest.mark.slow


def plan(root: Path, *environments: Environment) -> LocalPlan:
    return LocalPlan("x", str(root), Ports(1, 2, 3, 4), (), environments, (), {}, {}, (), ())


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv with an empty cache, and no index but the one that a test names."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("SHIPWAY_CACHE", str(tmp_path / "shipway"))


def test_an_index_that_does_not_answer_is_named(
    tmp_path: Path, free_port: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{free_port()}/simple")  # type: ignore[operator]
    said: list[str] = []
    server = Environment("mcp time", str(tmp_path / "mcp"), "mcp-server-time", "mcp-server-time")
    with pytest.raises(UnreachableError) as caught:
        environments.prepare(plan(tmp_path, server), Sources(tmp_path, None), tmp_path, said.append)
    assert "environment of mcp time" in str(caught.value)
    assert "uv's cache does not have all of it" in str(caught.value)
    assert "mcp time: no index answers, trying with what uv has cached" in said


def test_a_package_that_is_nowhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_NO_INDEX", "1")
    server = Environment("mcp x", str(tmp_path / "mcp"), "no-such-server", "no-such-server")
    with pytest.raises(ResolveError, match="no-such-server"):
        environments.prepare(plan(tmp_path, server), Sources(tmp_path, None), tmp_path, lambda _: None)


def test_what_the_runtime_needs_beside_its_own_is_installed(tmp_path: Path) -> None:
    assert Sources(tmp_path, None).requirements() == ""
    assert "pyjwt[crypto]" in Sources(tmp_path, None, runtime_extras=("jwt",)).requirements().lower()


def test_an_environment_is_used_again_until_its_inputs_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_PYTHON", sys.executable)
    package = tmp_path / "package"
    package.mkdir()
    wheel = make_wheel(package, "1.0")
    own = Environment("mcp own", str(tmp_path / "mcp"), f"own @ {wheel.as_uri()}", "own")
    said: list[str] = []
    environments.prepare(plan(tmp_path, own), Sources(tmp_path, None), tmp_path, said.append)
    assert (tmp_path / "mcp/bin/own").exists()
    assert "mcp own: installing" in said
    said.clear()
    environments.prepare(plan(tmp_path, own), Sources(tmp_path, None), tmp_path, said.append)
    assert "mcp own: installing" not in said
    changed = Environment("mcp own", own.path, f"own @ {make_wheel(package, '2.0').as_uri()}", "own")
    environments.prepare(plan(tmp_path, changed), Sources(tmp_path, None), tmp_path, said.append)
    assert "mcp own: installing" in said
    assert list((tmp_path / "mcp").glob("lib/*/site-packages/own-2.0.dist-info"))


def make_wheel(directory: Path, version: str) -> Path:
    import zipfile

    info = f"own-{version}.dist-info"
    members = {
        "own.py": "def main() -> None: ...\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: own\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nown = own:main\n",
    }
    members[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*members, f"{info}/RECORD"])
    path = directory / f"own-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path
