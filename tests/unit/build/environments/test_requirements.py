"""Pins: parsed from every form a lock comes in, and never loosened by what an index answers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.package_index import PackageIndex, source_tree, write_tree

from shipway.build.cache import Cache
from shipway.build.environments.declared import indexes_of
from shipway.build.environments.environment import install
from shipway.build.environments.pins import parse_pins
from shipway.build.environments.requirements import locked, resolution, resolve, target_options
from shipway.build.environments.sources import split_built
from shipway.build.environments.uv import run_uv
from shipway.errors import BuildError, ResolveError, TamperedError, UnreachableError
from shipway.plan.image import Environment, Python
from shipway.spec.lock import read_lock
from shipway.spec.shipwaylock import Pin, Resolution

PINNED = "six==1.16.0 --hash=sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254"
PACKAGES = "tree/lib/python3.13/site-packages"
OPTIONS = target_options(Python(), "linux/amd64")


def environment(*requirements: str, lock: str | None = None) -> Environment:
    return Environment("test", "/app/.venv", requirements=requirements, lock=lock)


def test_parse_pins_reads_continued_lines_comments_and_markers() -> None:
    text = (
        "# a comment\n"
        "Typing_Extensions==4.16.0 ; python_version < '3.14' \\\n"
        "    --hash=sha256:aa \\\n"
        "    --hash=sha256:bb\n"
        "    # via x\n"
        "--index-url https://index.example.com\n"
        "loose>=1\n"
        "uvicorn[standard]==0.54.0\n"
    )
    assert parse_pins(text) == [
        ("typing-extensions==4.16.0", ("--hash=sha256:aa", "--hash=sha256:bb")),
        ("uvicorn==0.54.0", ()),
    ]


def test_requirements_files_include_each_other(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "requirements.txt").write_text("a==1\n-r sub/more.txt\n")
    (tmp_path / "sub/more.txt").write_text("b==2\n-c limits.txt\n")
    lines = locked(tmp_path, "requirements.txt", (), ()).splitlines()
    assert lines == ["a==1", "b==2", f"-c {tmp_path / 'sub/limits.txt'}"]


def test_pyproject_gives_dependencies_extras_and_groups(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "1"\ndependencies = ["a>=1"]\n'
        '[project.optional-dependencies]\npg = ["b"]\n[dependency-groups]\nprod = ["c"]\ndev = ["d"]\n'
    )
    assert locked(tmp_path, "pyproject.toml", ("prod",), ("pg",)).split() == ["a>=1", "b", "c"]


def test_pylock_gives_versions_and_hashes(tmp_path: Path) -> None:
    (tmp_path / "pylock.toml").write_text(
        'lock-version = "1.0"\ncreated-by = "test"\n[[packages]]\nname = "six"\nversion = "1.16.0"\n'
        '[[packages.wheels]]\nname = "six-1.16.0-py2.py3-none-any.whl"\n'
        'url = "https://index.example.com/six-1.16.0-py2.py3-none-any.whl"\nhashes = { sha256 = "ab" }\n'
    )
    assert locked(tmp_path, "pylock.toml", (), ()) == "six==1.16.0 --hash=sha256:ab"


def test_nothing_wanted_is_nothing_resolved(tmp_path: Path) -> None:
    assert resolve(environment(), tmp_path, OPTIONS, Cache(tmp_path), print) == ""


@pytest.mark.network
def test_a_pinned_package_resolves_and_installs(tmp_path: Path) -> None:
    pins = resolve(environment("six==1.16.0"), tmp_path, OPTIONS, Cache(tmp_path / "cache"), print)
    assert pins.startswith("six==1.16.0 --hash=sha256:")
    install(pins, tmp_path / PACKAGES, OPTIONS, "test")
    assert (tmp_path / PACKAGES / "six.py").exists()


@pytest.mark.network
def test_another_file_than_the_lock_says_is_refused(tmp_path: Path) -> None:
    wrong = PINNED[:-4] + "0000"
    pins = resolve(environment(wrong), tmp_path, OPTIONS, Cache(tmp_path / "cache"), print)
    with pytest.raises(TamperedError, match=r"six==1\.16\.0"):
        install(pins, tmp_path / PACKAGES, OPTIONS, "test")


def no_index(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(directory))


def test_an_index_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_index(monkeypatch, tmp_path / "uv")
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9"):
        resolve(environment("six"), tmp_path, OPTIONS, Cache(tmp_path / "cache"), print)


# -- With an index of our own: no network ----------------------------------------------------------------


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """The default index, and nothing in uv's cache."""
    with PackageIndex(tmp_path / "index") as served:
        monkeypatch.setenv("UV_DEFAULT_INDEX", served.url)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
        yield served


def project(root: Path, pyproject: str = "", **files: str) -> Path:
    own = {"pyproject.toml": pyproject} if pyproject else {}
    return write_tree(root / "project", own | {n.replace("__", "."): text for n, text in files.items()})


def pins_of(root: Path, cache: Path, *requirements: str, groups: tuple[str, ...] = ()) -> str:
    lock = read_lock(root).path or None
    asked = Environment("test", "/app/.venv", lock=lock, requirements=requirements, groups=groups)
    return resolve(asked, root, OPTIONS, Cache(cache), print)


def names(pins: str) -> list[str]:
    return [line.split(" ")[0] for line in pins.splitlines()]


DECLARED = """[project]
name = "agent"
version = "1"
requires-python = ">=3.11"
dependencies = [{dependencies}]
"""


def test_the_hash_of_the_lock_wins_over_that_of_the_index(index: PackageIndex, tmp_path: Path) -> None:
    index.wheel("one")
    root = project(tmp_path, requirements__txt=f"one==1.0 --hash=sha256:{'0' * 64}\n")
    try:
        pins = pins_of(root, tmp_path / "cache")
    except TamperedError:
        return  # uv saw it while it resolved
    assert pins == f"one==1.0 --hash=sha256:{'0' * 64}\n"
    with pytest.raises(TamperedError, match="not what the lock says"):
        install(pins, tmp_path / PACKAGES, OPTIONS, "test")


def test_the_projects_own_uv_settings_name_the_index(
    index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.wheel("public", requires=["private"])
    with PackageIndex(tmp_path / "second") as second:
        digest = second.wheel("private")
        settings = f'[[tool.uv.index]]\nname = "own"\nurl = "{second.url}"\n'
        root = project(tmp_path, settings, requirements__txt="public\n")
        assert pins_of(root, tmp_path / "cache").splitlines()[0] == f"private==1.0 --hash=sha256:{digest}"
        config = project(tmp_path / "b", requirements__txt="public\n")
        (config / "uv.toml").write_text(f'[[index]]\nname = "own"\nurl = "{second.url}"\n')
        assert names(pins_of(config, tmp_path / "cache2")) == ["private==1.0", "public==1.0"]


def test_a_source_that_names_one_index_is_honoured(index: PackageIndex, tmp_path: Path) -> None:
    index.wheel("mine", "9.0")
    with PackageIndex(tmp_path / "second") as second:
        second.wheel("mine", "1.0")
        settings = (
            f'[[tool.uv.index]]\nname = "own"\nurl = "{second.url}"\nexplicit = true\n'
            '[tool.uv.sources]\nmine = { index = "own" }\n'
        )
        root = project(tmp_path, DECLARED.format(dependencies='"mine"') + settings)
        assert names(pins_of(root, tmp_path / "cache")) == ["mine==1.0"]


def test_no_index_is_asked_twice_what_the_lock_says_whole(index: PackageIndex, tmp_path: Path) -> None:
    one, two = index.wheel("one", requires=["two"]), index.wheel("two")
    pins = (f"one==1.0 --hash=sha256:{one}", f"two==1.0 --hash=sha256:{two}")
    first = resolution(environment(*pins), tmp_path, OPTIONS, Cache(tmp_path / "cache"), print)
    asked = list(index.asked)
    assert resolution(environment(*pins), tmp_path, OPTIONS, Cache(tmp_path / "other"), print) == first
    assert index.asked == asked
    index.wheel("two", "2.0")
    loose = resolution(environment(pins[0]), tmp_path, OPTIONS, Cache(tmp_path / "other"), print)
    assert [(pin.name, pin.version) for pin in loose.pins] == [("one", "1.0"), ("two", "2.0")]


def test_groups_include_groups(index: PackageIndex, tmp_path: Path) -> None:
    for name in ("base", "one", "two"):
        index.wheel(name)
    groups = '[dependency-groups]\nall = [{ include-group = "some" }, "two"]\nsome = ["one"]\n'
    root = project(tmp_path, DECLARED.format(dependencies='"base"') + groups)
    assert locked(root, "pyproject.toml", ("all",), ()).split() == ["base", "one", "two"]
    assert names(pins_of(root, tmp_path / "cache", groups=("all",))) == ["base==1.0", "one==1.0", "two==1.0"]
    only = project(tmp_path / "b", groups)
    assert names(pins_of(only, tmp_path / "cache", groups=("all",))) == ["one==1.0", "two==1.0"]
    with pytest.raises(ResolveError, match="no dependency group dev; it has: all, some"):
        locked(root, "pyproject.toml", ("dev",), ())


@pytest.mark.slow
def test_a_uv_lock_with_a_group_an_extra_and_what_the_runtime_adds(
    index: PackageIndex, tmp_path: Path
) -> None:
    for name in ("base", "extra", "group"):
        index.wheel(name)
    index.wheel("added")
    more = (
        '[project.optional-dependencies]\nx = ["extra"]\n[dependency-groups]\ng = ["group"]\ndev = ["no"]\n'
    )
    root = project(tmp_path, DECLARED.format(dependencies='"base"') + more.replace(', "no"', ""))
    index.wheel("no")
    run_uv(("lock", "--no-python-downloads"), "lock", cwd=root)
    index.wheel("base", "2.0")
    asked = Environment(
        "t", "/app/.venv", lock="uv.lock", groups=("g",), extras=("x",), requirements=("added",)
    )
    found = resolution(asked, root, OPTIONS, Cache(tmp_path / "cache"), print)
    versions = {pin.name: (pin.version, bool(pin.hashes)) for pin in found.pins}
    own = ("1.0", False)  # its hash is in uv.lock
    assert versions == {"base": own, "extra": own, "group": own, "added": ("1.0", True)}
    pins = resolve(asked, root, OPTIONS, Cache(tmp_path / "cache"), print, found)
    assert pins.count("--hash=sha256:") == 4


@pytest.mark.slow
def test_a_member_of_a_workspace_has_the_workspaces_lock(index: PackageIndex, tmp_path: Path) -> None:
    index.wheel("dep")
    files = source_tree("core", requires=["dep"])
    root = write_tree(
        tmp_path / "space", {"pyproject.toml": '[tool.uv.workspace]\nmembers = ["libs/*", "agent"]\n'}
    )
    write_tree(root / "libs/core", files)
    sources = "[tool.uv.sources]\ncore = { workspace = true }\n"
    agent = write_tree(root / "agent", {"pyproject.toml": DECLARED.format(dependencies='"core"') + sources})
    assert read_lock(agent).path == "pyproject.toml"
    unlocked = pins_of(agent, tmp_path / "cache")
    run_uv(("lock", "--no-python-downloads"), "lock", cwd=root)
    assert read_lock(agent).path == "../uv.lock"
    pins = pins_of(agent, tmp_path / "cache")
    assert names(pins) == names(unlocked) == ["core==1.0", "dep==1.0"]
    cache = Cache(tmp_path / "cache")
    others, (wheel,) = split_built(pins, cache)
    assert names(others) == ["dep==1.0"]
    assert wheel.name == "core-1.0-py3-none-any.whl"
    asked = Environment("t", "/app/.venv", lock="../uv.lock")
    assert resolution(asked, agent, OPTIONS, cache, print).local == {"core": "../libs/core"}
    (root / "libs/core/core.py").write_text("changed = 1\n")
    assert pins_of(agent, tmp_path / "cache") != pins, "its content counts, not its version"


def test_directories_in_requirements_and_the_project_itself(index: PackageIndex, tmp_path: Path) -> None:
    index.wheel("dep")
    index.wheel("own")
    write_tree(tmp_path / "libs/core", source_tree("core", requires=["dep"]))
    root = project(
        tmp_path, DECLARED.format(dependencies='"own"'), requirements__txt="-e .\n../libs/core  # ours\n"
    )
    assert names(pins_of(root, tmp_path / "cache")) == ["core==1.0", "dep==1.0", "own==1.0"]


def test_a_pure_source_distribution_is_built_and_always_the_same(index: PackageIndex, tmp_path: Path) -> None:
    digest = index.sdist("pure")
    root = project(tmp_path, requirements__txt="pure\n")
    asked = Environment("t", "/app/.venv", lock="requirements.txt")
    found = resolution(asked, root, OPTIONS, Cache(tmp_path / "cache"), print)
    assert found == Resolution((Pin("pure", "1.0", (f"sha256:{digest}",)),), ("pure",), {})
    first = resolve(asked, root, OPTIONS, Cache(tmp_path / "cache"), print, found)
    assert first == resolve(asked, root, OPTIONS, Cache(tmp_path / "other"), print, found)
    _, (wheel,) = split_built(first, Cache(tmp_path / "cache"))
    run_uv(("pip", "install", "--no-index", "--target", str(tmp_path / "t"), str(wheel)), "install")
    assert (tmp_path / "t/pure.py").read_text() == "VERSION = '1.0'\n"


def test_a_tampered_source_distribution_is_not_built(index: PackageIndex, tmp_path: Path) -> None:
    index.sdist("pure")
    found = Resolution((Pin("pure", "1.0", (f"sha256:{'0' * 64}",)),), ("pure",))
    with pytest.raises(TamperedError, match=r"pure==1\.0"):
        resolve(environment("pure"), tmp_path, OPTIONS, Cache(tmp_path / "cache"), print, found)


def test_a_source_that_is_not_pure_python_is_refused(index: PackageIndex, tmp_path: Path) -> None:
    index.sdist("native", tag="py3-none-linux_x86_64")
    with pytest.raises(ResolveError, match="native has no wheel for the image's platform") as caught:
        resolve(environment("native"), tmp_path, OPTIONS, Cache(tmp_path / "cache"), print)
    assert "Dockerfile" in caught.value.hint
    write_tree(tmp_path / "local", source_tree("mine", tag="py3-none-linux_x86_64"))
    with pytest.raises(ResolveError, match="only pure Python"):
        resolve(
            environment(f"mine @ {(tmp_path / 'local').as_uri()}"), tmp_path, OPTIONS, Cache(tmp_path), print
        )


@pytest.mark.parametrize(
    "line",
    [
        "tool @ git+https://user:word@git.example.com/tool@abc",
        "git+https://user:word@git.example.com/tool",
        "tool @ https://user:word@files.example.com/tool-1-py3-none-any.whl",
    ],
)
def test_addresses_are_refused_without_their_password(tmp_path: Path, line: str) -> None:
    with pytest.raises(ResolveError, match="not yet") as caught:
        resolve(environment(line), tmp_path, OPTIONS, Cache(tmp_path / "cache"), print)
    assert "example.com/tool" in str(caught.value)
    assert "word" not in str(caught.value)


def test_versions_of_before_are_kept_where_they_do(index: PackageIndex, tmp_path: Path) -> None:
    for version in ("1.0", "2.0"):
        index.wheel("one", version)
        index.wheel("two", version)
    before = Resolution((Pin("one", "1.0"), Pin("two", "1.0")))
    cache = Cache(tmp_path / "cache")
    found = resolution(environment("one", "two>1"), tmp_path, OPTIONS, cache, print, before)
    assert [(pin.name, pin.version) for pin in found.pins] == [("one", "1.0"), ("two", "2.0")]
    anew = resolution(environment("one", "two>1"), tmp_path, OPTIONS, cache, print)
    assert [pin.version for pin in anew.pins] == ["2.0", "2.0"]


def test_what_the_lock_says_needs_no_index(index: PackageIndex, tmp_path: Path) -> None:
    digest = index.wheel("one")
    known = Resolution((Pin("one", "1.0", (f"sha256:{digest}",)),))
    index.stop()
    assert resolve(environment("one"), tmp_path, OPTIONS, Cache(tmp_path), print, known).startswith(
        "one==1.0"
    )


def test_pylock_markers_groups_and_directories(tmp_path: Path) -> None:
    entry = (
        '[[packages]]\nname = "{0}"\nversion = "1"\nmarker = "{1}"\n'
        '[packages.sdist]\npath = "{0}-1.tar.gz"\nhashes = {{ sha256 = "ab" }}\n'
    )
    text = (
        'lock-version = "1.0"\ncreated-by = "test"\nextras = ["x"]\n'
        'dependency-groups = ["d", "g"]\ndefault-groups = ["d"]\n'
    )
    text += entry.format("in-extra", "'x' in extras") + entry.format("in-group", "'g' in dependency_groups")
    text += entry.format("by-default", "'d' in dependency_groups") + entry.format(
        "on-arm", "platform_machine == 'aarch64'"
    )
    text += entry.format("on-windows", "sys_platform == 'win32'")
    text += '[[packages]]\nname = "mine"\n[packages.directory]\npath = "libs/mine"\n'
    (tmp_path / "pylock.toml").write_text(text)
    assert locked(tmp_path, "pylock.toml", (), ()).splitlines() == [
        "by-default==1 --hash=sha256:ab",
        'on-arm==1 ; platform_machine == "aarch64" --hash=sha256:ab',
        f"mine @ {(tmp_path / 'libs/mine').as_uri()}",
    ]
    both = locked(tmp_path, "pylock.toml", ("g",), ("x",))
    assert "in-extra==1" in both
    assert "in-group==1" in both


def test_an_older_answer_serves_while_no_index_does(
    index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.wheel("one")
    cache, said = Cache(tmp_path / "cache"), list[str]()
    pins = resolve(environment("one"), tmp_path, OPTIONS, cache, said.append)
    (kept,) = cache.directory("resolved").iterdir()
    os.utime(kept, (0, 0))
    index.stop()
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    assert resolve(environment("one"), tmp_path, OPTIONS, cache, said.append) == pins
    assert "no index answers" in said[0]


def test_another_index_is_another_question(
    index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.wheel("one")
    cache = Cache(tmp_path / "cache")
    assert names(resolve(environment("one"), tmp_path, OPTIONS, cache, print)) == ["one==1.0"]
    with PackageIndex(tmp_path / "second") as second:
        second.wheel("one", "3.0")
        monkeypatch.setenv("UV_DEFAULT_INDEX", second.url)
        assert names(resolve(environment("one"), tmp_path, OPTIONS, cache, print)) == ["one==3.0"]


# -- What a user may have meant --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lock", "text"),
    [
        ("requirements.txt", "dep\n"),
        ("pylock.toml", 'lock-version = "1.0"\ncreated-by = "t"\npackages = []\n'),
    ],
)
def test_groups_that_a_lock_cannot_have(tmp_path: Path, lock: str, text: str) -> None:
    root = write_tree(tmp_path / "project", {lock: text})
    with pytest.raises(
        ResolveError, match=rf"names the group g, extra e, which {lock} does not have"
    ) as caught:
        locked(root, lock, ("g",), ("e",))
    assert "agent.toml" in caught.value.hint


def test_groups_where_nothing_is_required(tmp_path: Path) -> None:
    with pytest.raises(ResolveError, match="without dependencies of its own, does not have"):
        pins_of(write_tree(tmp_path / "project", {"a.py": ""}), tmp_path / "cache", groups=("g",))


def test_a_line_that_is_no_requirement_is_shown_with_its_file(index: PackageIndex, tmp_path: Path) -> None:
    root = project(tmp_path, requirements__txt="dep=1\n")
    with pytest.raises(ResolveError, match=r"Couldn't parse requirement in `requirements\.txt`"):
        pins_of(root, tmp_path / "cache")


def test_what_the_runtime_needs_is_named_in_a_conflict(index: PackageIndex, tmp_path: Path) -> None:
    index.runtime()
    index.wheel("starlette", "0.1")
    root = project(tmp_path, requirements__txt="starlette==0.1\n")
    asked = Environment("test", "/app/.venv", lock="requirements.txt", runtime=True)
    with pytest.raises(ResolveError) as caught:
        resolve(asked, root, OPTIONS, Cache(tmp_path / "cache"), print)
    assert "is what shipway-runtime needs inside the image: allow it" in caught.value.hint
    assert "starlette>=" in caught.value.hint


def test_an_index_that_wants_other_credentials(index: PackageIndex, tmp_path: Path) -> None:
    index.login = "me:hush"
    with pytest.raises(BuildError, match="wants other credentials") as caught:
        pins_of(project(tmp_path, requirements__txt="dep\n"), tmp_path / "cache")
    assert "UV_INDEX" in caught.value.hint
    assert ".netrc" in caught.value.hint


def test_indexes_of_a_requirements_file_count_when_it_is_installed(tmp_path: Path) -> None:
    text = "--extra-index-url https://u:p@index.example.com/simple\n-i https://other\ndep\n-r more.txt\n"
    root = write_tree(tmp_path, {"requirements.txt": text, "more.txt": "--find-links wheels\nmore\n"})
    expected = [
        line for line in (text + "--find-links wheels").splitlines() if line[0] == "-" and line[1] != "r"
    ]
    assert indexes_of(root, "requirements.txt").splitlines() == expected
    assert indexes_of(root, "uv.lock") == indexes_of(root, None) == ""
