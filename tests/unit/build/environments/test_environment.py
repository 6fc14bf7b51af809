"""The finishing step: scripts, data and RECORD as a virtual environment has them, nothing of the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.build.environments.environment import finish, require_script, skeleton
from shipway.build.environments.wheels import split
from shipway.errors import BuildError, ResolveError
from shipway.plan.image import Python

PACKAGES = "lib/python3.13/site-packages"
FILES = {
    "tool/__init__.py": "",
    "tool-1.dist-info/METADATA": "Name: tool\n",
    "tool-1.dist-info/INSTALLER": "uv",
    "tool-1.dist-info/entry_points.txt": "[console_scripts]\nrun-it = tool.cli:app.main [extra]\n",
    "bin/run-it": "#!/host/python\nold",
    "bin/helper": "#!/host/bin/python3\nprint(1)\n",
    "bin/native": "\x7fELF binary",
    "etc/tool.conf": "x = 1\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What uv leaves after an installation with --target."""
    for name, text in FILES.items():
        file = tmp_path / PACKAGES / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    rows = "".join(f"{name},sha256=x,1\n" for name in FILES)
    record = "tool-1.dist-info/RECORD"
    (tmp_path / PACKAGES / record).write_text(f"{rows}{record},,\n")
    (tmp_path / PACKAGES / ".lock").write_text("")
    finish(tmp_path, "/app/.venv", "3.13", "/usr/bin/python3.13")
    return tmp_path


def test_entry_points_run_the_images_interpreter(tree: Path) -> None:
    text = (tree / "bin/run-it").read_text()
    assert text.startswith("#!/app/.venv/bin/python\n")
    assert "from tool.cli import app\n" in text
    assert "sys.exit(app.main())" in text


def test_other_scripts_and_programs_stay(tree: Path) -> None:
    assert (tree / "bin/helper").read_text() == "#!/app/.venv/bin/python\nprint(1)\n"
    assert (tree / "bin/native").read_text() == FILES["bin/native"]
    assert (tree / "bin/native").stat().st_mode & 0o777 == 0o755
    assert (tree / "etc/tool.conf").exists()
    assert not (tree / PACKAGES / "bin").exists()


def test_record_says_where_things_are(tree: Path) -> None:
    rows = (tree / PACKAGES / "tool-1.dist-info/RECORD").read_text().splitlines()
    assert "../../../bin/native,," in rows
    assert "../../../etc/tool.conf,," in rows
    assert not any("INSTALLER" in row for row in rows)
    assert rows == sorted(rows)
    assert not (tree / PACKAGES / "tool-1.dist-info/INSTALLER").exists()


def test_every_file_belongs_to_its_distribution(tree: Path) -> None:
    (own,) = split(tree, "/app/.venv", Python()).values()
    venv = {entry.path for entry in skeleton("/app/.venv", Python())}
    everything = {
        f"app/.venv/{p.relative_to(tree)}" for p in tree.rglob("*") if not p.is_dir() or p.is_symlink()
    }
    assert {entry.path for entry in own} == everything - venv


def test_a_file_that_nobody_lists_is_refused(tree: Path) -> None:
    (tree / PACKAGES / "stray.py").write_text("")
    with pytest.raises(BuildError, match=r"stray\.py belongs to no distribution"):
        split(tree, "/app/.venv", Python())


def test_the_only_script_goes_by_its_packages_name(tree: Path) -> None:
    require_script(tree, "/app/.venv", "tool", "tool")
    assert (tree / "bin/tool").resolve().name == "run-it"
    assert "app/.venv/bin/tool" in {e.path for e in split(tree, "/app/.venv", Python())["tool"]}


def test_a_script_that_is_not_there_lists_those_that_are(tree: Path) -> None:
    with pytest.raises(ResolveError, match="no console script called other; its scripts: none"):
        require_script(tree, "/app/.venv", "other", "other")
