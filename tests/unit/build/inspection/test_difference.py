"""What became of an image, in words that people say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.layout import Files, distribution, docker_archive, write_layout

from shipway.build.inspection.difference import compare, words
from shipway.build.inspection.image_source import open_image
from shipway.build.inspection.inspect import Inspection, inspect

BASE = {"usr/lib/base.so": b"1" * 1000}
SETTINGS = {"WorkingDir": "/app", "Env": ["A=1", "OLD=x"], "User": "65532"}


def image(root: Path, *layers: Files, settings: Mapping[str, Any] = SETTINGS) -> Inspection:
    write_layout(root, {f"{root.name}:1": layers}, settings)
    return inspect(open_image(str(root)))


def said(before: Inspection, after: Inspection) -> list[str]:
    return list(words(compare(before, after)))


def test_the_same_image_in_a_layout_and_in_an_archive(tmp_path: Path) -> None:
    one = image(tmp_path / "one", BASE)
    (tmp_path / "a.tar").write_bytes(docker_archive("two:1", [BASE], SETTINGS))
    two = inspect(open_image(str(tmp_path / "a.tar")))
    assert said(one, two) == ["one:1 -> two:1 (linux/amd64)", "the images are the same"]


def test_an_upgrade_an_addition_and_a_removal(tmp_path: Path) -> None:
    old = distribution("anthropic", "2.11.0", {"anthropic/x.py": b"1" * 100_000})
    new = distribution("anthropic", "2.12.0", {"anthropic/x.py": b"1" * 400_000})
    one = image(tmp_path / "one", BASE, old, distribution("six", "1.0", {"six.py": b"1"}))
    two = image(tmp_path / "two", BASE, new, distribution("h11", "0.16", {"h11.py": b"1" * 250_000}))
    lines = said(one, two)
    assert "python: anthropic 2.11.0 -> 2.12.0 (+0.3 MB) in /app/.venv" in lines
    assert "python: added h11 0.16 (+0.3 MB) in /app/.venv" in lines
    assert any(line.startswith("python: removed six 1.0 (-") for line in lines)
    assert lines[1].startswith("layers: 1 of 3 shared; ")
    assert lines[1].endswith("new: layer 1, layer 2")
    assert lines[-1] == "unpacked: 101.2 kB -> 0.7 MB (+0.5 MB)" or lines[-1].startswith(
        "unpacked: 0.1 MB -> "
    )


def test_debian_packages_are_the_base(tmp_path: Path) -> None:
    def base(version: str, content: bytes) -> Files:
        return {
            "var/lib/dpkg/status.d/libssl3t64": f"Package: libssl3t64\nVersion: {version}\n".encode(),
            "var/lib/dpkg/status.d/libssl3t64.md5sums": b"0  usr/lib/libssl.so\n",
            "usr/lib/libssl.so": content,
        }

    one = image(tmp_path / "one", base("3.5.1", b"1"))
    assert "base: libssl3t64 3.5.1 -> 3.5.2 (same size)" in said(
        one, image(tmp_path / "two", base("3.5.2", b"2"))
    )
    rebuilt = said(one, image(tmp_path / "three", base("3.5.1", b"2" * 2001)))
    assert "base: libssl3t64 3.5.1: same version, other content (+2.0 kB)" in rebuilt


def test_the_projects_files_and_not_their_bytecode(tmp_path: Path) -> None:
    pyc = "app/src/__pycache__/agent.cpython-313.pyc"
    one = image(tmp_path / "one", {"app/src/agent.py": b"1", pyc: b"1", "app/src/old.py": b"1"})
    two = image(tmp_path / "two", {"app/src/agent.py": b"2", pyc: b"2", "app/prompts/new.md": b"1"})
    lines = said(one, two)
    assert "project: 1 file added: /app/prompts/new.md" in lines
    assert "project: 1 file removed: /app/src/old.py" in lines
    assert "project: 1 file changed: /app/src/agent.py" in lines


def test_the_config_setting_by_setting(tmp_path: Path) -> None:
    after = {"WorkingDir": "/app", "Env": ["A=2"], "Labels": {"v": "1"}, "ExposedPorts": {"80/tcp": {}}}
    lines = said(image(tmp_path / "one", BASE), image(tmp_path / "two", BASE, settings=after))
    assert [line for line in lines if line.startswith("config")] == [
        "config: Env A: 1 -> 2",
        "config: Env OLD: x -> (not set)",
        "config: ExposedPorts 80/tcp: (not set) -> set",
        "config: Labels v: (not set) -> 1",
        "config: User: 65532 -> (not set)",
    ]
    assert "layers: 1 of 1 shared" in lines


def test_files_of_nobody_do_not_change_in_silence(tmp_path: Path) -> None:
    one, two = (image(tmp_path / name, BASE, {"etc/x": name.encode()}) for name in ("one", "two"))
    assert "other files: changed (same size)" in said(one, two)
