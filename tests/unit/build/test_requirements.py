"""Pins: parsed from every form a lock comes in, and never loosened by what an index answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shipway.build.cache import Cache
from shipway.build.environment import install
from shipway.build.requirements import _with_hashes_of, locked, parse_pins, resolve, target_options
from shipway.errors import ResolveError, TamperedError, UnreachableError
from shipway.plan.image import Environment

PINNED = "six==1.16.0 --hash=sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254"
PACKAGES = "tree/lib/python3.13/site-packages"
OPTIONS = target_options("3.13", "linux/amd64")


def environment(*requirements: str, lock: str | None = None) -> Environment:
    return Environment("test", "/app/.venv", requirements=requirements, lock=lock)


def test_parse_pins_reads_continued_lines_comments_and_markers() -> None:
    text = (
        "# a comment\n"
        "Typing_Extensions==4.16.0 ; python_version < '3.14' \\\n"
        "    --hash=sha256:aa \\\n"
        "    --hash=sha256:bb\n"
        "    # via x\n"
        "--index-url https://index.example.com\n"
        "loose>=1\n"
        "uvicorn[standard]==0.54.0\n"
    )
    assert parse_pins(text) == [
        ("typing-extensions==4.16.0", ("--hash=sha256:aa", "--hash=sha256:bb")),
        ("uvicorn==0.54.0", ()),
    ]


def test_the_locks_hashes_win_over_the_indexs() -> None:
    merged = _with_hashes_of("six==1.16.0 --hash=sha256:good", "six==1.16.0 \\\n    --hash=sha256:evil\n")
    assert merged == "six==1.16.0 --hash=sha256:good\n"


def test_requirements_files_include_each_other(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "requirements.txt").write_text("a==1\n-r sub/more.txt\n")
    (tmp_path / "sub/more.txt").write_text("b==2\n-c limits.txt\n")
    lines = locked(tmp_path, "requirements.txt", (), ()).splitlines()
    assert lines == ["a==1", "b==2", f"-c {tmp_path / 'sub/limits.txt'}"]


def test_pyproject_gives_dependencies_extras_and_groups(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "1"\ndependencies = ["a>=1"]\n'
        '[project.optional-dependencies]\npg = ["b"]\n[dependency-groups]\nprod = ["c"]\ndev = ["d"]\n'
    )
    assert locked(tmp_path, "pyproject.toml", ("prod",), ("pg",)).split() == ["a>=1", "b", "c"]


def test_pylock_gives_versions_and_hashes(tmp_path: Path) -> None:
    (tmp_path / "pylock.toml").write_text(
        'lock-version = "1.0"\ncreated-by = "test"\n[[packages]]\nname = "six"\nversion = "1.16.0"\n'
        '[[packages.wheels]]\nname = "six-1.16.0-py2.py3-none-any.whl"\n'
        'url = "https://index.example.com/six-1.16.0-py2.py3-none-any.whl"\nhashes = { sha256 = "ab" }\n'
    )
    assert locked(tmp_path, "pylock.toml", (), ()) == "six==1.16.0 --hash=sha256:ab"


def test_nothing_wanted_is_nothing_resolved(tmp_path: Path) -> None:
    assert resolve(environment(), tmp_path, OPTIONS, Cache(tmp_path), print) == ""


@pytest.mark.network
def test_a_pinned_package_resolves_and_installs(tmp_path: Path) -> None:
    pins = resolve(environment("six==1.16.0"), tmp_path, OPTIONS, Cache(tmp_path / "cache"), print)
    assert pins.startswith("six==1.16.0 --hash=sha256:")
    install(pins, tmp_path / PACKAGES, OPTIONS, "test")
    assert (tmp_path / PACKAGES / "six.py").exists()


@pytest.mark.network
def test_another_file_than_the_lock_says_is_refused(tmp_path: Path) -> None:
    wrong = PINNED[:-4] + "0000"
    pins = resolve(environment(wrong), tmp_path, OPTIONS, Cache(tmp_path / "cache"), print)
    with pytest.raises(TamperedError, match=r"six==1\.16\.0"):
        install(pins, tmp_path / PACKAGES, OPTIONS, "test")


@pytest.mark.network
def test_a_package_without_a_wheel_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResolveError, match=r"pyspark==3\.5\.0 has no wheel"):
        resolve(environment("pyspark==3.5.0"), tmp_path, OPTIONS, Cache(tmp_path / "cache"), print)


def no_index(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(directory))


def test_an_index_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_index(monkeypatch, tmp_path / "uv")
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9"):
        resolve(environment("six"), tmp_path, OPTIONS, Cache(tmp_path / "cache"), print)


@pytest.mark.network
def test_an_older_answer_serves_while_no_index_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, said = Cache(tmp_path / "cache"), list[str]()
    pins = resolve(environment("six"), tmp_path, OPTIONS, cache, said.append)
    (kept,) = cache.directory("resolved").iterdir()
    os.utime(kept, (0, 0))
    no_index(monkeypatch, tmp_path / "uv")
    assert resolve(environment("six"), tmp_path, OPTIONS, cache, said.append) == pins
    assert said
    assert "no index answers" in said[0]
