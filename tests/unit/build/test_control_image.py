"""The plan of control's image: the same for every project, and whole."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import shipway
from shipway.build.own_image import plan_own
from shipway.build.release import add_control, write_release
from shipway.plan import codec
from shipway.plan.control import CONTROL
from shipway.plan.image import RUNTIME, ImagePlan
from shipway_runtime import contract

ROOT = Path(shipway.__file__).parent.parent
RELEASE = contract.Release(
    shipway.__version__, "support", contract.Source(None, False), {"agent": "r/a@sha256:1"}, None, None, "i"
)


def plan() -> ImagePlan:
    return plan_own(CONTROL, "shipway-control:1", ("linux/amd64",))


def test_it_takes_its_packages_with_the_page_and_nothing_of_the_tool() -> None:
    sources = {file.source for file in plan().files}
    assert {"shipway/__init__.py", "shipway/errors.py", "shipway/control/__main__.py"} <= sources
    assert {source.split("/")[1] for source in sources if source.count("/") > 1} == {"control", "gate"}
    assert "shipway/control/page/index.html" in sources
    assert not [source for source in sources if source.endswith(".pyc")]


def test_every_module_imports_from_these_files_alone(tmp_path: Path) -> None:
    """With the packages that the runtime needs, and without the rest of shipway."""
    for file in plan().files:
        target = tmp_path / file.source
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file.source, target)
    sources = [file.source for file in plan().files if file.source.endswith(".py")]
    modules = [source[:-3].replace("/", ".").removesuffix(".__init__") for source in sources]
    places = "(m.__file__ for name, m in sys.modules.items() if name.startswith('shipway.'))"
    found = run(f"import sys, {', '.join(modules)}; print(*{places})", tmp_path)
    assert len(found) == len(modules) - 1
    assert all(Path(file).is_relative_to(tmp_path) for file in found)


def test_starting_it_imports_nothing_that_its_image_lacks() -> None:
    loaded = set(run("import sys, shipway.control.server; print(*sys.modules)", ROOT))
    assert "uvicorn" in loaded
    assert not {"pydantic", "rich", "packaging", "httpx2", "psycopg"} & loaded


def test_it_starts_as_nobody_with_a_volume_and_postgresqls_driver() -> None:
    process = plan().process
    arguments = "-m shipway.control --data /data --host 0.0.0.0 --port 8083"
    assert process.entrypoint == (f"{contract.VENV}/bin/python", *arguments.split())
    assert (process.user, process.ports, process.volumes) == ("65532:65532", (8083,), ("/data",))
    assert plan().environments == (dataclasses.replace(RUNTIME, runtime_extras=("postgres",)),)
    assert codec.decode(ImagePlan, codec.encode(plan())) == plan()


# -- In the release ------------------------------------------------------------------------------------------


def read(path: Path) -> contract.Release:
    return contract.decode(contract.Release, path.read_text(), "release")


def test_a_pushed_one_joins_the_release_and_stays_there(tmp_path: Path) -> None:
    assert add_control("r.example.com/shipway-control:1@sha256:2", tmp_path) is None  # nothing was built yet
    path = write_release(RELEASE, tmp_path)
    assert add_control("r.example.com:5000/shipway-control:1@sha256:2", tmp_path) == path
    own = {"agent": "r/a@sha256:1", "control": "r.example.com:5000/shipway-control@sha256:2"}
    assert read(path).images == own
    write_release(dataclasses.replace(RELEASE, images={"agent": "r/a@sha256:3"}), tmp_path)
    assert read(path).images == own | {"agent": "r/a@sha256:3"}


def test_that_of_an_older_shipway_does_not(tmp_path: Path) -> None:
    path = write_release(dataclasses.replace(RELEASE, shipway="0.0.1"), tmp_path)
    add_control("r/shipway-control:1@sha256:2", tmp_path)
    write_release(RELEASE, tmp_path)
    assert read(path).images == RELEASE.images
    path.write_text("{")  # what cannot be read is replaced
    write_release(RELEASE, tmp_path)
    assert read(path) == RELEASE


def run(program: str, root: Path) -> list[str]:
    """What a Python prints that finds shipway below `root`."""
    env = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run((sys.executable, "-c", program), env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
