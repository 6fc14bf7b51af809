"""What became of an image beside its packages, in words that people say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.layout import Files, write_layout

from shipway.build.inspection.difference import compare, image_words, project_words
from shipway.build.inspection.image_source import open_image
from shipway.build.inspection.inspect import Inspection, inspect

BASE = {"usr/lib/base.so": b"1" * 1000}
SETTINGS = {"WorkingDir": "/app", "Env": ["A=1", "OLD=x"], "User": "65532"}


def image(root: Path, *layers: Files, settings: Mapping[str, Any] = SETTINGS) -> Inspection:
    write_layout(root, {f"{root.name}:1": layers}, settings)
    return inspect(open_image(str(root)))


def said(before: Inspection, after: Inspection) -> list[str]:
    difference = compare(before, after)
    return [*image_words(difference), *project_words(difference)]


def test_the_projects_files_and_not_their_bytecode(tmp_path: Path) -> None:
    pyc = "app/src/__pycache__/agent.cpython-313.pyc"
    one = image(tmp_path / "one", {"app/src/agent.py": b"1", pyc: b"1", "app/src/old.py": b"1"})
    new = {"app/src/agent.py": b"2", pyc: b"2", "app/data/new.md": b"1", "app/prompts/new.md": b"1"}
    lines = said(one, image(tmp_path / "two", new))
    assert "1 file added: /app/data/new.md" in lines
    assert "1 file removed: /app/src/old.py" in lines
    assert "1 file changed: /app/src/agent.py" in lines


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
