"""Why a layer was made again, in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shipway.build.explain import explain, read_record, write_record
from shipway.build.image import BuiltImage
from shipway.build.layers import Layer
from shipway.build.oci import PlatformImage


def image(*made_from: Mapping[str, str], cached: bool = False) -> BuiltImage:
    layers = tuple(Layer(f"l{i}", "d", "d", 1, 1, inputs, cached) for i, inputs in enumerate(made_from))
    return BuiltImage("agent", "a", "d", (PlatformImage("linux/amd64", "d", 1, "c", layers),))


WHEELS = {"place": "/app/.venv", "idna": "3.19", "h11": "1"}


def reasons(built: BuiltImage, directory: Path) -> list[str]:
    return [line.partition(": ")[2] for line in explain(built, read_record(directory))]


def test_the_first_build_has_nothing_before_it(tmp_path: Path) -> None:
    assert reasons(image(WHEELS), tmp_path) == ["no build was here before"]


def test_an_upgrade_is_named(tmp_path: Path) -> None:
    write_record(tmp_path, [image({"tree": "x"}, WHEELS)])
    now = {"place": "/app/.venv", "idna": "3.20", "anyio": "4"}
    assert reasons(image(now), tmp_path) == ["idna: 3.19 -> 3.20; anyio: new; h11: gone"]


def test_what_did_not_change_says_so(tmp_path: Path) -> None:
    write_record(tmp_path, [image(WHEELS)])
    assert reasons(image(WHEELS, cached=True), tmp_path) == ["unchanged"]
    assert "blob was not in the cache" in reasons(image(WHEELS), tmp_path)[0]


def test_a_record_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / "layers.json").write_text("{")
    assert read_record(tmp_path) == {}
