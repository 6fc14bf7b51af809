"""`shipway inspect` and `shipway diff`, as people use and misuse them."""

from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path

import pytest
from tests.layout import attach, distribution, docker_archive, write_layout
from tests.scenarios.conftest import Run

BASE = {"usr/lib/base.so": b"1" * 400_000, "opt/old": b"2" * 200_000}
SIX = distribution("six", "1.16.0", {"six.py": b"3" * 150_000})
WEB = distribution("web", "2.0", {"web.py": b"4"}, ["six>=1"])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    layers = [BASE, SIX, WEB | {"opt/.wh.old": b"", "app/src/agent.py": b"5"}]
    write_layout(tmp_path / ".shipway/images", {"support:latest": layers, "support-mcp-git:latest": [BASE]})
    return tmp_path


def test_the_table_of_the_project_that_is_here(shipway: Run, project: Path) -> None:
    done = shipway("inspect", cwd=project)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["layer", "0", "0.6", "MB", "0.0", "MB", "0.2", "MB", "of", "it", "wasted"] in lines
    assert next(line for line in lines if line[:1] == ["six"])[-1] == "web"
    assert "0.2 MB are wasted" in done.stdout
    assert done.stderr.strip() == "shown: support:latest; also there (--image): support-mcp-git:latest"


def test_json_is_the_whole_value_and_a_page_can_be_written_with_it(shipway: Run, project: Path) -> None:
    done = shipway("inspect", ".", "--json", "--html", "map.html", cwd=project)
    value = json.loads(done.stdout)
    assert value["reference"] == "support:latest"
    assert value["unpacked"] == sum(layer["unpacked"] for layer in value["layers"])
    assert value["wasted"] == 200_000
    assert [p["name"] for p in value["packages"]] == ["six", "web"]
    assert (project / "map.html").read_text().startswith("<!doctype html>")
    only = shipway("inspect", ".", "--html", "map.html", "--image", "support-mcp-git", cwd=project)
    assert (only.stdout, only.stderr.strip()) == ("", "wrote map.html")


def test_what_is_attached_is_listed(shipway: Run, project: Path) -> None:
    layout = project / ".shipway/images"
    index = json.loads((layout / "index.json").read_text())
    entry = attach(layout, index["manifests"][0]["digest"], "application/vnd.cyclonedx+json")
    index["manifests"].append(entry)
    (layout / "index.json").write_text(json.dumps(index))
    lines = shipway("inspect", cwd=project).stdout.splitlines()
    assert lines[lines.index("ATTACHED") + 1].split() == [entry["artifactType"], entry["digest"]]
    (listed,) = json.loads(shipway("inspect", "--json", cwd=project).stdout)["referrers"]
    assert (listed["artifact_type"], listed["digest"]) == (entry["artifactType"], entry["digest"])
    assert "ATTACHED" not in shipway("inspect", "--image", "support-mcp-git", cwd=project).stdout


def test_one_gigabyte_is_said_without_a_budget(shipway: Run, tmp_path: Path) -> None:
    write_layout(tmp_path, {"fat:1": [{"model.bin": b""}]})
    header = tarfile.TarInfo("model.bin")
    header.size = 1_000_000_000
    parts = [header.tobuf(), *[bytes(10_000_000)] * 100, bytes(2048)]
    packed = {id(part): gzip.compress(part) for part in parts}
    layer = max((tmp_path / "blobs/sha256").iterdir(), key=lambda blob: blob.read_bytes()[:2] == b"\x1f\x8b")
    layer.write_bytes(b"".join(packed[id(part)] for part in parts))
    done = shipway("inspect", ".", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "fat:1 has 1.0 GB unpacked" in done.stderr
    assert "[image-large]" in done.stderr


def test_a_difference_in_words_and_as_json(shipway: Run, project: Path) -> None:
    newer = distribution("six", "1.17.0", {"six.py": b"3" * 450_000})
    (project / "new.tar").write_bytes(docker_archive("support:2", [BASE, newer, WEB], {"WorkingDir": "/app"}))
    done = shipway("diff", ".", "new.tar", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "\n  ~ six 1.16.0 -> 1.17.0 (+0.3 MB)\n" in done.stdout
    assert "layers: 1 of 3 shared" in done.stdout
    assert "  1 file removed: /app/src/agent.py" in done.stdout
    value = json.loads(shipway("diff", ".", "new.tar", "--json", cwd=project).stdout)
    moved = [(change["name"], change["before"], change["after"]) for change in value["dependencies"]]
    assert moved == [("six", "1.16.0", "1.17.0")]
    same = shipway("diff", ".", ".", cwd=project)
    assert (same.returncode, same.stdout.splitlines()[1]) == (0, "nothing changed")


def test_what_is_not_there_is_said_without_a_traceback(shipway: Run, tmp_path: Path) -> None:
    done = shipway("inspect", "agnet:1", cwd=tmp_path)
    assert done.returncode == 1
    assert "there is no file or directory agnet:1" in done.stderr
    done = shipway("inspect", cwd=tmp_path)
    assert done.returncode == 1
    assert "run `shipway build` there first" in done.stderr
    assert "Traceback" not in done.stderr
