"""An image that a real engine has is read out of its `save`, and is the one that went in."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.layout import distribution, docker_archive, write_layout

from shipway.build.inspection.difference import compare
from shipway.build.inspection.image_source import open_image
from shipway.build.inspection.inspect import inspect

pytestmark = pytest.mark.docker

LAYERS = [
    {"usr/lib/base.so": b"1" * 300_000, "opt/old": b"2" * 1000},
    distribution("six", "1.16.0", {"six.py": b"3" * 150_000}),
    {"opt/.wh.old": b""},
]
SETTINGS = {"WorkingDir": "/app", "Env": ["A=1"]}


def test_what_docker_saves_is_what_was_loaded(engine: Callable[[str], str], tmp_path: Path) -> None:
    docker, name = engine("docker"), f"shipway-test-{uuid.uuid4().hex[:8]}:1"
    archive = docker_archive(name, LAYERS, SETTINGS)
    subprocess.run((docker, "load"), input=archive, check=True, capture_output=True, timeout=60)
    try:
        saved = inspect(open_image(name))
    finally:
        subprocess.run((docker, "rmi", "--force", name), capture_output=True, timeout=60)
    written = inspect(open_image(str(write_layout(tmp_path, {name: LAYERS}, SETTINGS))))
    assert saved.reference == name
    assert saved.packages[0].name == "six"
    assert (saved.unpacked, saved.wasted) == (written.unpacked, written.wasted)
    assert [layer.diff_id for layer in saved.layers] == [layer.diff_id for layer in written.layers]
    difference = compare(written, saved)
    assert (difference.packages, difference.project_changed, difference.new_layers) == ((), (), ())
