"""What may happen to a build: others beside it, an end in the middle, full disks, damaged files."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.package_index import write_tree
from tests.scenarios.conftest import Run, Start, Undisturbed, unfinished

pytestmark = pytest.mark.network  # the packages of the base; those of Python are ours

MADE = ("base", "blobs", "layers", "sizes", "runtime", "tmp")
"""What a build makes of what it has downloaded."""


def is_whole(layout: Path) -> bool:
    """Whether each blob of a layout is its digest, and the index names blobs that are there."""
    names = [entry["digest"] for entry in json.loads((layout / "index.json").read_text())["manifests"]]
    blobs = {path.name: path.read_bytes() for path in (layout / "blobs/sha256").iterdir()}
    return all(hashlib.sha256(data).hexdigest() == name for name, data in blobs.items()) and all(
        name.removeprefix("sha256:") in blobs for name in names
    )


# -- Two at once, and one that is killed ---------------------------------------------------------------------


def test_builds_at_once_in_one_cache(start: Start, undisturbed: Undisturbed, tmp_path: Path) -> None:
    env = undisturbed.copy(tmp_path / "cache", without=MADE)
    one = write_tree(tmp_path / "one", undisturbed.files)
    other = write_tree(tmp_path / "other", {**undisturbed.files, "more.py": "x = 1\n"})
    running = [start("build", cwd=directory, env=env) for directory in (one, one, other)]
    outcomes = [(*process.communicate(), process.returncode) for process in running]
    assert [code for _, _, code in outcomes] == [0, 0, 0], outcomes
    assert [out for out, _, _ in outcomes[:2]] == [undisturbed.stdout] * 2
    assert outcomes[2][0] != undisturbed.stdout
    assert is_whole(one / ".shipway/images")
    assert is_whole(other / ".shipway/images")
    assert unfinished(tmp_path / "cache", one / ".shipway", other / ".shipway") == []


@pytest.mark.parametrize(
    ("without", "seconds"), [(MADE, (1.0, 4.0)), (MADE[1:], (0.5, 1.5))], ids=["base", "layers"]
)
def test_after_kills_the_next_build_is_the_same(
    start: Start,
    shipway: Run,
    undisturbed: Undisturbed,
    tmp_path: Path,
    without: tuple[str, ...],
    seconds: tuple[float, float],
) -> None:
    env = undisturbed.copy(tmp_path / "cache", without)
    directory = write_tree(tmp_path / "project", undisturbed.files)
    for _ in range(2):
        process = start("build", cwd=directory, env=env)
        time.sleep(random.uniform(*seconds))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = shipway("build", cwd=directory, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout == undisturbed.stdout
    assert is_whole(directory / ".shipway/images")


def test_what_killed_builds_left_goes_when_it_is_old(
    shipway: Run, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    env = undisturbed.copy(tmp_path / "cache")
    directory = write_tree(tmp_path / "project", undisturbed.files)
    left = [
        tmp_path / "cache/tmp/tree/file",
        tmp_path / "cache/debs/.making-1",
        directory / ".shipway/.making-2/file",
    ]
    new = tmp_path / "cache/tmp/of-another-build"
    for path in (*left, new):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    old = time.time() - 2 * 86_400
    for path in (*left, *(path.parent for path in left)):
        os.utime(path, (old, old))
    assert shipway("build", cwd=directory, env=env).returncode == 0
    assert not any(path.exists() for path in left)
    assert new.exists()


# -- Ctrl-C and SIGTERM --------------------------------------------------------------------------------------


def programs_of(place: Path) -> list[str]:
    """Command lines of the processes that work below a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"{place}/" in line:
            found.append(line)
    return found


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("at", ["the interpreter", "uv"])
def test_an_interrupted_build_leaves_nothing(
    start: Start,
    undisturbed: Undisturbed,
    tmp_path: Path,
    number: signal.Signals,
    code: int,
    at: str,
) -> None:
    cache = tmp_path / "cache"
    env = undisturbed.copy(cache, without=MADE if at == "the interpreter" else MADE[1:])
    env |= {"UV_CACHE_DIR": str(tmp_path / "uv")}
    directory = write_tree(tmp_path / "project", undisturbed.files)
    program = "pycache_prefix" if at == "the interpreter" else "pip install"
    undisturbed.index.fault = lambda handler: handler.path.endswith(".whl") and bool(time.sleep(0.3))
    process = start("build", cwd=directory, env=env)
    while not any(program in line for line in programs_of(cache)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.send_signal(number)
    out, error = process.communicate()
    undisturbed.index.fault = lambda handler: False
    assert (process.returncode, out) == (code, ""), error
    assert error.endswith("interrupted\n")
    assert "error:" not in error
    assert programs_of(cache) == []
    assert unfinished(cache, directory) == []


# -- Disks ---------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(engine: Callable[[str], str], tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """A disk of so many MB, or one that is there with other options."""
    mount, place = engine("mount"), tmp_path / "disk"
    place.mkdir()

    def put(*options: str) -> Path:
        again = ("remount",) if place.is_mount() else ()
        subprocess.run((mount, "-t", "tmpfs", "-o", ",".join((*again, *options)), "tmpfs", place), check=True)
        return place

    yield put
    subprocess.run(("umount", place), check=True)


def put_copy(undisturbed: Undisturbed, place: Path, names: tuple[str, ...]) -> dict[str, str]:
    for name in names:
        subprocess.run(("cp", "-a", undisturbed.cache / name, place), check=True)
    return {**undisturbed.env, "SHIPWAY_CACHE": str(place)}


def test_a_full_disk_is_said_and_with_room_the_build_succeeds(
    shipway: Run, undisturbed: Undisturbed, disk: Callable[..., Path], tmp_path: Path
) -> None:
    directory = write_tree(tmp_path / "project", undisturbed.files)
    cache = disk("size=40m")
    env = put_copy(undisturbed, cache, ("debs", "indexes", "selections", "releases", "resolved"))
    done = shipway("build", cwd=directory, env=env)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[-2:] == [
        f"error: {cache} cannot be written to: no space left on device",
        "    make room there, or put the cache elsewhere with SHIPWAY_CACHE",
    ]
    assert unfinished(cache, directory) == []
    disk("size=400m")
    done = shipway("build", cwd=directory, env=env)
    assert (done.returncode, done.stdout) == (0, undisturbed.stdout), done.stderr


def test_when_uv_fills_the_disk_it_is_the_same_message(
    shipway: Run, undisturbed: Undisturbed, disk: Callable[..., Path], tmp_path: Path
) -> None:
    directory = write_tree(tmp_path / "project", {**undisturbed.files, "requirements.txt": "large\n"})
    undisturbed.index.wheel("large", code="TEXT = '''" + "x" * 4_000_000 + "'''\n")
    cache = disk("size=90m")
    env = put_copy(undisturbed, cache, ("base", "blobs", "layers", "selections", "releases"))
    free = os.statvfs(cache).f_bavail * os.statvfs(cache).f_frsize
    (cache / "ballast").write_bytes(b"x" * (free - 2_000_000))
    done = shipway("build", cwd=directory, env=env)
    assert done.returncode == 1
    assert f"error: {cache} cannot be written to: no space left on device\n    make room there" in done.stderr
    assert unfinished(cache, directory) == []


def test_a_full_disk_below_the_project(
    shipway: Run, undisturbed: Undisturbed, disk: Callable[..., Path], tmp_path: Path
) -> None:
    env = undisturbed.copy(tmp_path / "cache")
    directory = write_tree(disk("size=2m") / "project", undisturbed.files)
    done = shipway("build", cwd=directory, env=env)
    assert done.returncode == 1
    assert f"error: {directory}/.shipway cannot be written to: no space left on device" in done.stderr
    assert "-o DIR" in done.stderr
    assert list((directory / ".shipway").iterdir()) == []
    disk("size=100m")
    done = shipway("build", cwd=directory, env=env)
    assert (done.returncode, done.stdout) == (0, undisturbed.stdout), done.stderr


def test_a_cache_that_nobody_may_write_to(
    shipway: Run, undisturbed: Undisturbed, disk: Callable[..., Path], tmp_path: Path
) -> None:
    directory = write_tree(tmp_path / "project", undisturbed.files)
    cache = disk("size=1m,ro")
    done = shipway("build", cwd=directory, env={**undisturbed.env, "SHIPWAY_CACHE": str(cache)})
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2:] == [
        f"error: {cache} cannot be written to: read-only file system",
        "    make it writable, or put the cache elsewhere with SHIPWAY_CACHE",
    ]


def test_a_cache_that_is_a_file(shipway: Run, undisturbed: Undisturbed, tmp_path: Path) -> None:
    directory = write_tree(tmp_path / "project", undisturbed.files)
    done = shipway(
        "build", cwd=directory, env={**undisturbed.env, "SHIPWAY_CACHE": str(directory / "agent.py")}
    )
    assert done.returncode == 1
    assert f"{directory}/agent.py cannot be written to: not a directory" in done.stderr
    assert "Traceback" not in done.stderr


# -- Damaged files -------------------------------------------------------------------------------------------


def replace(path: Path, data: bytes) -> None:
    """Without writing to what may be another cache's file, too."""
    path.unlink()
    path.write_bytes(data)


def test_records_that_do_not_parse_count_as_absent(
    shipway: Run, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    env = undisturbed.copy(cache)
    damage = itertools.cycle([b"", b"[]", b"{", b"\0\0\0"])
    names = ("layers", "sizes", "resolved", "selections")
    records = [path for name in names for path in cache.glob(f"{name}/*")]
    assert len(records) > 10
    for path in records:
        replace(path, next(damage))
    done = shipway("build", cwd=write_tree(tmp_path / "project", undisturbed.files), env=env)
    assert (done.returncode, done.stdout) == (0, undisturbed.stdout), done.stderr


def test_blobs_that_are_cut_short_are_made_again(
    shipway: Run, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    env = undisturbed.copy(cache)
    for number, path in enumerate(sorted([*cache.glob("blobs/sha256/*"), *cache.glob("runtime/*/*")])):
        replace(path, path.read_bytes()[: number % 2 * 100])
    directory = write_tree(tmp_path / "project", undisturbed.files)
    done = shipway("build", cwd=directory, env=env)
    assert (done.returncode, done.stdout) == (0, undisturbed.stdout), done.stderr
    assert is_whole(directory / ".shipway/images")


# -- Layouts -------------------------------------------------------------------------------------------------


def test_a_directory_with_something_else_is_never_replaced(
    shipway: Run, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    directory = write_tree(tmp_path / "project", undisturbed.files)
    env = undisturbed.copy(tmp_path / "cache")
    for place in (".", "agent.py"):
        done = shipway("build", "-o", place, cwd=directory, env=env)
        assert done.returncode == 1
        assert "is no OCI layout, so it is not replaced" in done.stderr
    assert {path.name for path in directory.iterdir()} >= set(undisturbed.files)
    (directory / "empty").mkdir()
    assert shipway("build", "-o", "empty", cwd=directory, env=env).returncode == 0
    assert is_whole(directory / "empty")
