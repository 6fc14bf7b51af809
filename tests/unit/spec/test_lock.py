from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from shipway.errors import Finding, SpecError
from shipway.spec.lock import read_lock

Project = Callable[[Mapping[str, str]], Path]
PYPROJECT = '[project]\nname = "x"\nversion = "1"\ndependencies = ["httpx2>=2"]\n'


def _finding(root: Path) -> Finding:
    with pytest.raises(SpecError) as refused:
        read_lock(root)
    (finding,) = refused.value.findings
    return finding


@pytest.mark.parametrize("count", [4, 3, 2, 1])
def test_the_first_that_is_there(project: Project, count: int) -> None:
    every = {
        "pyproject.toml": PYPROJECT,
        "requirements.txt": "httpx2\n",
        "pylock.toml": 'lock-version = "1.0"\n',
        "uv.lock": "version = 1\n",
    }
    there = dict(list(every.items())[:count])
    lock = read_lock(project(there))
    assert lock.kind == lock.path == list(there)[-1]
    assert lock.digest is not None
    assert lock.digest.startswith("sha256:")


def test_none(project: Project) -> None:
    lock = read_lock(project({"pyproject.toml": "[tool.ruff]\n"}))
    assert (lock.kind, lock.path, lock.digest, lock.requires_python) == ("none", "", None, None)


def test_a_new_version_of_the_project_changes_nothing(project: Project) -> None:
    digest = read_lock(project({"pyproject.toml": PYPROJECT})).digest
    later = PYPROJECT.replace('version = "1"', 'version = "2"\ndescription = "x"')
    assert read_lock(project({"pyproject.toml": later})).digest == digest


@pytest.mark.parametrize(
    "changed",
    [
        PYPROJECT.replace("httpx2>=2", "httpx2>=3"),
        PYPROJECT + '[project.optional-dependencies]\nx = ["y"]\n',
        PYPROJECT + '[dependency-groups]\nx = ["y"]\n',
    ],
)
def test_other_dependencies_change_the_digest(project: Project, changed: str) -> None:
    digest = read_lock(project({"pyproject.toml": PYPROJECT})).digest
    assert read_lock(project({"pyproject.toml": changed})).digest != digest


def test_included_requirements_belong_to_the_digest(project: Project) -> None:
    files = {
        "requirements.txt": "-r more/base.txt\nb\n",
        "more/base.txt": "-c ../limits.txt\n",
        "limits.txt": "a<2\n",
    }
    digest = read_lock(project(files)).digest
    assert read_lock(project({"limits.txt": "a<3\n"})).digest != digest
    files["requirements.txt"] = "-r requirements.txt\n"
    assert read_lock(project(files)).digest, "a file that includes itself is read once"


def test_an_included_file_that_is_not_there(project: Project) -> None:
    finding = _finding(project({"requirements.txt": "-r base.txt\n"}))
    assert (finding.rule, finding.file) == ("lock", "requirements.txt")
    assert finding.message == "it includes base.txt, which is not there"


@pytest.mark.parametrize("python", [">=3.11", ">=3.13.2", "~=3.13", "==3.13.*", ">=3.11,<4"])
def test_python_that_the_image_has(project: Project, python: str) -> None:
    text = PYPROJECT + f'requires-python = "{python}"\n'
    assert read_lock(project({"pyproject.toml": text})).requires_python == python


@pytest.mark.parametrize("python", ["<3.13", ">=3.14", "==3.12.*"])
def test_python_that_the_image_does_not_have(project: Project, python: str) -> None:
    finding = _finding(project({"pyproject.toml": PYPROJECT + f'requires-python = "{python}"\n'}))
    assert (finding.rule, finding.file) == ("python-version", "pyproject.toml")
    assert f'"{python}" excludes 3.13' in finding.message
    finding = _finding(project({"pyproject.toml": PYPROJECT, "uv.lock": f'requires-python = "{python}"\n'}))
    assert finding.file == "uv.lock"


def test_python_that_is_no_range(project: Project) -> None:
    finding = _finding(project({"pyproject.toml": PYPROJECT + 'requires-python = "three"\n'}))
    assert finding.message == 'requires-python = "three" is no range of versions'


def test_a_file_that_cannot_be_read(project: Project) -> None:
    finding = _finding(project({"pyproject.toml": PYPROJECT, "uv.lock": "<<<<<<< HEAD\n"}))
    assert (finding.rule, finding.file, finding.fix) == ("lock", "uv.lock", "make it again with `uv lock`")


def test_dynamic_dependencies_have_to_be_locked(project: Project) -> None:
    text = '[project]\nname = "x"\ndynamic = ["version", "dependencies"]\n'
    assert "dynamic" in _finding(project({"pyproject.toml": text})).message
    assert read_lock(project({"pyproject.toml": text, "requirements.txt": "a\n"})).kind == "requirements.txt"


UV_LOCK = """\
version = 1
[[package]]
name = "x"
source = { virtual = "." }
[package.metadata]
requires-dist = [
    { name = "httpx2", specifier = "<3,>=2" },
    { name = "Lib", directory = "lib" },
    { name = "pg", marker = "extra == 'db'", specifier = "==1.*" },
]
[package.metadata.requires-dev]
dev = [{ name = "pytest" }]
"""
LOCKED = """\
[project]
name = "X"
version = "1"
dependencies = ["httpx2 >=2, <3", "lib>=1"]
[project.optional-dependencies]
db = ["pg==1.*"]
all = ["x[db]"]
[dependency-groups]
dev = ["pytest", { include-group = "more" }]
more = []
"""


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        ("<3", "<4", "httpx2<4,>=2"),
        ('"lib>=1"', '"lib>=1", "new"', "new"),
        ('"pg==1.*"', '"pg"', "pg"),
        ('"pytest",', '"pytest>8",', "pytest>8"),
    ],
)
def test_a_uv_lock_that_is_older_than_pyproject(
    project: Project, before: str, after: str, moved: str
) -> None:
    root = project({"pyproject.toml": LOCKED, "uv.lock": UV_LOCK})
    assert read_lock(root).kind == "uv.lock"
    finding = _finding(project({"pyproject.toml": LOCKED.replace(before, after), "uv.lock": UV_LOCK}))
    assert (finding.file, finding.fix) == ("uv.lock", "run `uv lock`")
    assert finding.message == f"it is older than pyproject.toml, which requires {moved}"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pyproject.toml", '[tool.poetry.dependencies]\nhttpx2 = "^2"\n'),
        ("Pipfile", "[packages]\nhttpx2 = '*'\n"),
        ("environment.yml", "dependencies: [httpx2]\n"),
    ],
)
def test_dependencies_that_another_tool_keeps(project: Project, file: str, text: str) -> None:
    finding = _finding(project({file: text}))
    assert finding.file == file
    assert "which is not read" in finding.message
    assert "requirements.txt" in finding.fix
    assert read_lock(project({file: text, "requirements.txt": "httpx2\n"})).kind == "requirements.txt"
