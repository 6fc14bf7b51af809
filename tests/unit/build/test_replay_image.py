"""The plan of the replay's image: the same for every project, and whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import shipway
from shipway.build.own_image import plan_own
from shipway.plan import codec
from shipway.plan.image import RUNTIME, ImagePlan
from shipway.plan.own_image import REPLAY
from shipway_runtime import contract

ROOT = Path(shipway.__file__).parent.parent


def plan() -> ImagePlan:
    return plan_own(REPLAY, "shipway-replay:1", ("linux/amd64",))


def test_it_takes_its_own_package_and_the_little_that_this_imports() -> None:
    sources = {file.source for file in plan().files}
    assert {"shipway/__init__.py", "shipway/errors.py", "shipway/replay/__main__.py"} <= sources
    assert not [source for source in sources if source.startswith(("shipway/cli", "shipway/build"))]
    assert all(file.path == f"{contract.SOURCE}/{file.source}" for file in plan().files)


def test_every_module_imports_from_these_files_alone(tmp_path: Path) -> None:
    """With the packages that the runtime needs, and without the rest of shipway."""
    for file in plan().files:
        target = tmp_path / file.source
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file.source, target)
    modules = [f.source[:-3].replace("/", ".").removesuffix(".__init__") for f in plan().files]
    places = "(m.__file__ for name, m in sys.modules.items() if name.startswith('shipway.'))"
    program = f"import sys, {', '.join(modules)}; print(*{places})"
    found = run(program, tmp_path)
    assert len(found) == len(modules) - 1
    assert all(Path(file).is_relative_to(tmp_path) for file in found)


def test_starting_it_imports_neither_what_the_tool_needs_nor_what_only_agents_need() -> None:
    loaded = set(run("import sys, shipway.replay.server; print(*sys.modules)", ROOT))
    assert "httptools" in loaded
    assert not {"pydantic", "rich", "packaging", "httpx2", "prometheus_client"} & loaded


def test_it_starts_the_module_on_the_mounted_directory_as_nobody() -> None:
    process = plan().process
    arguments = "-m shipway.replay /replays --host 0.0.0.0 --port 8090"
    assert process.entrypoint == (f"{contract.VENV}/bin/python", *arguments.split())
    assert (process.user, process.ports, process.volumes) == ("65532:65532", (8090,), ())
    assert plan().environments == (RUNTIME,)
    assert codec.decode(ImagePlan, codec.encode(plan())) == plan()


def run(program: str, root: Path) -> list[str]:
    """What a Python prints that finds shipway below `root`."""
    env = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run((sys.executable, "-c", program), env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
