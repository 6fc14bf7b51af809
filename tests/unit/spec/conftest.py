"""A project in a temporary directory, and what loading it says."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from shipway.errors import Finding, SpecError
from shipway.spec.load import load

MINIMAL = 'name = "support"\nentrypoint = "agent:agent"\n'


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Write agent.toml: two lines with name and entry point, then the text."""

    def write_spec(text: str = "", *, head: str = MINIMAL) -> Path:
        path = tmp_path / "agent.toml"
        path.write_text(head + text, encoding="utf-8")
        return path

    return write_spec


@pytest.fixture
def findings(write: Callable[..., Path]) -> Callable[..., tuple[Finding, ...]]:
    """What is wrong with an agent.toml; empty when it loads."""

    def find(text: str = "", *, head: str = MINIMAL, **options: object) -> tuple[Finding, ...]:
        try:
            load(write(text, head=head), **options)  # type: ignore[arg-type]
        except SpecError as error:
            return error.findings
        return ()

    return find


@pytest.fixture
def project(tmp_path: Path) -> Callable[[Mapping[str, str]], Path]:
    """Write files, by relative path; the first time an agent.toml too, unless one is given."""

    def make(files: Mapping[str, str]) -> Path:
        default = {} if (tmp_path / "agent.toml").exists() else {"agent.toml": MINIMAL}
        for name, content in (default | dict(files)).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        return tmp_path

    return make


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run git in the temporary directory, with a configuration of its own."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.com")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")

    def run(*arguments: str) -> str:
        return subprocess.run(
            ("git", *arguments), cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    return run
