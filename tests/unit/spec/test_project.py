from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from shipway.errors import Finding, SpecError
from shipway.spec.load import load
from shipway.spec.project import Project, read_project

Make = Callable[[Mapping[str, str]], Path]
AGENT = "async def agent(messages, ctx): ...\n"


def _head(entrypoint: str, more: str = "") -> str:
    return f'name = "support"\nentrypoint = "{entrypoint}"\n{more}'


def _read(root: Path) -> Project:
    return read_project(load(root))


def _findings(root: Path) -> tuple[Finding, ...]:
    with pytest.raises(SpecError) as refused:
        _read(root)
    return refused.value.findings


def _paths(project: Project) -> dict[str, str]:
    return {file.path: file.source for file in project.files}


def test_src_layout(project: Make) -> None:
    root = project(
        {
            "agent.toml": _head("support.agent:agent"),
            "src/support/__init__.py": "",
            "src/support/agent.py": AGENT,
            "src/support/data.json": "{}",
            "src/support/tests/test_agent.py": "",
            "src/support/__pycache__/agent.pyc": "",
            "src/other/thing.py": "",
            "src/single.py": "",
            "src/support.egg-info/PKG-INFO": "",
            "setup.py": "",
            "tool.py": "",
            "tests/test_x.py": "",
        }
    )
    found = _read(root)
    assert (found.name, found.root, found.source_root) == ("support", root, "src")
    assert _paths(found) == {
        "/app/src/other/thing.py": "src/other/thing.py",
        "/app/src/single.py": "src/single.py",
        "/app/src/support/__init__.py": "src/support/__init__.py",
        "/app/src/support/agent.py": "src/support/agent.py",
        "/app/src/support/data.json": "src/support/data.json",
    }
    assert found.prompts_digest is None


def test_flat_layout(project: Make) -> None:
    root = project(
        {
            "agent.toml": _head("support.agent:agent", '[mcp.t]\nrun = "project:servers.time"\n'),
            "support/agent.py": AGENT,
            "servers/time.py": "",
            "shared/__init__.py": "",
            "shared/x.sql": "",
            "no_package/x.py": "",
            "helpers.py": "",
            "tests/__init__.py": "",
            "evals/__init__.py": "",
            "docs/conf.py": "",
            "setup.py": "",
            "conftest.py": "",
            "test_agent.py": "",
            "README.md": "",
            ".env": "KEY=x",
        }
    )
    assert list(_paths(_read(root)).values()) == [
        "helpers.py",
        "servers/time.py",
        "shared/__init__.py",
        "shared/x.sql",
        "support/agent.py",
    ]


def test_the_entry_points_package_goes_along_whatever_its_name(project: Make) -> None:
    root = project({"agent.toml": _head("examples.agent:agent"), "examples/agent.py": AGENT})
    assert list(_paths(_read(root))) == ["/app/src/examples/agent.py"]


def test_prompts_and_included_files(project: Make, git: Callable[..., str]) -> None:
    """Prompts as git knows them; what image.include names although git ignores it."""
    more = 'prompts = "./prompts/"\n[image]\ninclude = ["data/**", "*.csv", "tests/cases"]\n'
    files = {
        "agent.toml": _head("agent:agent", more),
        "agent.py": AGENT,
        "prompts/system.md": "Be kind.",
        "prompts/de/system.md": "Sei nett.",
        "prompts/draft.md": "",
        "data/a/b.json": "{}",
        "data/.cache": "",
        "data/__pycache__/x.pyc": "",
        "rows.csv": "",
        "tests/cases/x.txt": "",
        ".gitignore": "data/\ndraft.md\n",
    }
    git("init", "-q")
    assert _paths(_read(project(files))) == {
        "/app/prompts/de/system.md": "prompts/de/system.md",
        "/app/prompts/system.md": "prompts/system.md",
        "/app/src/agent.py": "agent.py",
        "/app/src/data/.cache": "data/.cache",
        "/app/src/data/a/b.json": "data/a/b.json",
        "/app/src/rows.csv": "rows.csv",
        "/app/src/tests/cases/x.txt": "tests/cases/x.txt",
    }


def test_the_digest_of_the_prompts(project: Make) -> None:
    """Over names and contents, and nothing else."""
    files = {
        "agent.toml": _head("agent:agent", 'prompts = "prompts"\n'),
        "agent.py": AGENT,
        "prompts/a.md": "ab",
    }
    first = _read(project(files)).prompts_digest
    assert first is not None
    assert first.startswith("sha256:")
    assert _read(project({"agent.py": AGENT + "\n"})).prompts_digest == first
    changed = _read(project({"prompts/a.md": "abc"})).prompts_digest
    (project({}) / "prompts/a.md").rename(project({}) / "prompts/b.md")
    renamed = _read(project({})).prompts_digest
    moved = {"agent.toml": _head("agent:agent", 'prompts = "other"\n'), "other/a.md": "ab"}
    assert len({first, changed, renamed}) == 3
    assert _read(project(moved)).prompts_digest == first


def test_size_and_executable(project: Make) -> None:
    root = project({"agent.py": AGENT, "run.py": "x"})
    (root / "run.py").chmod(0o755)
    assert [(f.source, f.size, f.executable) for f in _read(root).files] == [
        ("agent.py", len(AGENT), False),
        ("run.py", 1, True),
    ]


def test_a_link_inside_the_project_is_followed(project: Make) -> None:
    root = project({"agent.py": AGENT, "docs/long.txt": "long"})
    (root / "short.py").symlink_to("docs/long.txt")
    assert [f.size for f in _read(root).files if f.source == "short.py"] == [4]


@pytest.mark.parametrize("target", ["/etc/hostname", "nowhere", "support"])
def test_other_links_are_refused(project: Make, target: str) -> None:
    root = project({"agent.toml": _head("support.agent:agent"), "support/agent.py": AGENT})
    (root / "support/link.txt").symlink_to(target)
    (finding,) = _findings(root)
    assert (finding.rule, finding.file) == ("link", "support/link.txt")
    assert target in finding.message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".env", "A=1"),
        (".env.prod", ""),
        ("tls.key", ""),
        ("id_rsa", ""),
        ("x.pem", "-----BEGIN PRIVATE KEY-----"),
        ("prod.env", ""),
        (".npmrc", ""),
        (".pgpass", ""),
        ("terraform.tfstate", "{}"),
        (".aws/credentials", ""),
        (".ssh/config", ""),
    ],
)
def test_files_of_secrets_are_refused(project: Make, name: str, content: str) -> None:
    files = {
        "agent.toml": _head("support.agent:agent"),
        "support/agent.py": AGENT,
        f"support/{name}": content,
    }
    (finding,) = _findings(project(files))
    assert (finding.rule, finding.file) == ("secret-file", f"support/{name}")
    assert "narrow image.include" in finding.fix


@pytest.mark.parametrize("name", [".env.example", "example.env", "id_rsa.pub", "ca.pem", "key.py", "aws/a"])
def test_files_that_only_look_like_it(project: Make, name: str) -> None:
    files = {"agent.toml": _head("support.agent:agent"), "support/agent.py": AGENT, f"support/{name}": "x"}
    assert f"support/{name}" in _paths(_read(project(files))).values()


def test_a_pipe_is_not_waited_for(project: Make) -> None:
    root = project({"agent.toml": _head("support.agent:agent"), "support/agent.py": AGENT})
    os.mkfifo(root / "support/key.pem")
    (finding,) = _findings(root)
    assert (finding.rule, finding.file) == ("unreadable", "support/key.pem")
    assert "it is a pipe, a socket or a device" in finding.message


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[None]:
    """A user who may not read everything, as root may."""
    if os.geteuid() == 0:
        for directory in (tmp_path, *tmp_path.parents[:3]):
            directory.chmod(0o755)
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


def test_a_file_that_may_not_be_read(project: Make, request: pytest.FixtureRequest) -> None:
    root = project({"agent.toml": _head("support.agent:agent"), "support/agent.py": AGENT, "support/x": "x"})
    (root / "support/x").chmod(0)
    request.getfixturevalue("nobody")
    (finding,) = _findings(root)
    assert (finding.rule, finding.file) == ("unreadable", "support/x")
    assert finding.message == "this file would go into the image, and it cannot be read: permission denied"


def test_every_finding_at_once(project: Make) -> None:
    more = 'prompts = "prompts"\n[image]\ninclude = ["data/**", "more/.env"]\n'
    root = project(
        {"agent.toml": _head("suport.agent:agent", more), "support/agent.py": AGENT, "more/.env": ""}
    )
    found = _findings(root)
    assert [(f.rule, f.line) for f in found] == [
        ("entrypoint-missing", 2),
        ("include-empty", 5),
        ("prompts-missing", 3),
        ("secret-file", 0),
    ]
    assert found[0].fix == 'write entrypoint = "support.agent:agent"'


def test_an_entry_point_without_its_attribute(project: Make) -> None:
    (finding,) = _findings(project({"agent.py": "def other(): ...\n"}))
    assert (finding.rule, finding.file, finding.line) == ("entrypoint-missing", "agent.toml", 2)
    assert finding.fix == "name what answers; it defines other"


def test_an_entry_point_that_dockerignore_keeps_out(project: Make) -> None:
    (finding,) = _findings(project({"agent.py": AGENT, ".dockerignore": "*\n!other.py\n"}))
    assert finding.message == "the entry point's module agent.py is kept out of images by .dockerignore"
    assert "`!agent.py`" in finding.fix


def test_an_entry_point_that_git_ignores(project: Make, git: Callable[..., str]) -> None:
    git("init", "-q")
    (finding,) = _findings(project({"agent.py": AGENT, ".gitignore": "agent.py\n"}))
    assert (
        finding.message
        == "the entry point's module agent.py is ignored by git, and would not be in the image"
    )


def test_nothing_of_the_project_is_run(project: Make) -> None:
    root = project({"agent.py": AGENT + "raise SystemExit('imported')\n"})
    assert _read(root).files


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('version = "1.2"\nlicense = "mit or apache-2.0"', ("1.2", "MIT OR Apache-2.0")),
        ('version = "1.2"\nlicense = { text = "Apache-2.0" }', ("1.2", "Apache-2.0")),
        ('license = "Corporate License v3"', (None, None)),
        ('license = { file = "LICENSE" }', (None, None)),
        ('dynamic = ["version"]', (None, None)),
    ],
)
def test_version_and_licence_are_those_of_pyproject(
    project: Make, lines: str, expected: tuple[str | None, str | None]
) -> None:
    files = {"agent.toml": _head("agent:agent"), "agent.py": "async def agent(m, c): ...\n"}
    found = _read(project(files | {"pyproject.toml": f"[project]\nname = 'a'\n{lines}\n"}))
    assert (found.version, found.licence) == expected


def test_without_a_pyproject_there_is_neither(project: Make) -> None:
    found = _read(project({"agent.toml": _head("agent:agent"), "agent.py": "async def agent(m, c): ...\n"}))
    assert (found.version, found.licence) == (None, None)


LIVE = '[evals]\nlive = "evals.live:score"\n'
SCORER = "from evals.words import rude\nfrom . import rules\nimport support.tone\ndef score(turn): ...\n"
EVALS = {
    "evals/__init__.py": "",
    "evals/live.py": SCORER,
    "evals/words.py": "import evals.deep.lists\n",
    "evals/rules.py": "",
    "evals/deep/lists.py": "",
    "evals/score.py": "",
    "evals/cases.jsonl": "{}",
}
NEEDED = {
    f"/app/src/evals/{name}": f"evals/{name}"
    for name in ("__init__.py", "live.py", "words.py", "rules.py", "deep/lists.py")
}


def _evals(project: Project) -> dict[str, str]:
    return {path: source for path, source in _paths(project).items() if "/evals/" in path}


def test_a_live_scorer_goes_along_with_what_it_imports_and_no_more(project: Make) -> None:
    root = project({"agent.toml": _head("agent:agent", LIVE), "agent.py": AGENT, **EVALS})
    assert _evals(_read(root)) == NEEDED


def test_a_live_scorer_lies_beside_src(project: Make) -> None:
    files = {"src/support/agent.py": AGENT, "src/support/tone.py": "", **EVALS}
    root = project({"agent.toml": _head("support.agent:agent", LIVE), **files})
    assert _evals(_read(root)) == NEEDED
    assert "/app/src/support/tone.py" in _paths(_read(root))


def test_without_a_live_scorer_evals_stay_here(project: Make) -> None:
    root = project({"agent.toml": _head("agent:agent"), "agent.py": AGENT, **EVALS})
    assert _evals(_read(root)) == {}


def test_a_live_scorer_of_the_agents_own_package(project: Make) -> None:
    head = _head("support.agent:agent", '[evals]\nlive = "support.live:make()"\n')
    root = project({"agent.toml": head, "support/agent.py": AGENT, "support/live.py": "def make(): ..."})
    assert list(_paths(_read(root))) == ["/app/src/support/agent.py", "/app/src/support/live.py"]


def test_a_live_scorer_that_is_not_there(project: Make) -> None:
    (finding,) = _findings(project({"agent.toml": _head("agent:agent", LIVE), "agent.py": AGENT}))
    assert (finding.rule, finding.file, finding.line) == ("entrypoint-missing", "agent.toml", 4)
    assert finding.message.startswith("the live scorer's module `evals.live` is not there")


def test_a_live_scorer_of_another_name(project: Make) -> None:
    files = {"agent.py": AGENT, "evals/live.py": "def scores(turn): ...\n"}
    (finding,) = _findings(project({"agent.toml": _head("agent:agent", LIVE), **files}))
    assert finding.message == "the module `evals.live` defines no `score`, which the live scorer names"
    assert finding.fix == 'write live = "evals.live:scores"'
