"""`shipway build` and `shipway diff`: what a release is, and what a reviewer is told of two."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.scenarios.conftest import Run

AGENT = "async def agent(messages, ctx):\n    return 'x'\n"
SPEC = """name = "a"
entrypoint = "agent:agent"
prompts = "prompts"
[model]
provider = "anthropic"
name = "claude-sonnet-5"
[env.prod.model]
max_tokens = 4096
"""


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ("git", *identity, *arguments), cwd=root, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


def commit(root: Path) -> str:
    git(root, "add", "-A")
    git(root, "commit", "-qm", "x", "--allow-empty")
    return git(root, "rev-parse", "HEAD")


@pytest.mark.network
def test_two_commits_in_words(shipway: Run, tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "prompts").mkdir(parents=True)
    files = {"agent.py": AGENT, "agent.toml": SPEC, "requirements.txt": "msgspec==0.20.0\n"}
    files |= {".gitignore": ".shipway\n", "prompts/system.md": "Be brief.\n"}
    for name, text in files.items():
        (root / name).write_text(text)
    git(root, "init", "-q")
    first = commit(root)
    assert shipway("build", cwd=root).returncode == 0
    old = json.loads((root / ".shipway/release.json").read_text())
    shutil.copytree(root, tmp_path / "old")

    commit(root)
    done = shipway("build", cwd=root)
    assert done.returncode == 0, done.stderr
    again = json.loads((root / ".shipway/release.json").read_text())
    assert (again["id"], again["images"]) == (old["id"], old["images"]), "another commit of the same"

    (root / "agent.py").write_text(AGENT.replace("'x'", "'y'"))
    (root / "agent.toml").write_text(SPEC.replace("sonnet", "opus").replace("4096", "8192"))
    (root / "requirements.txt").write_text("msgspec==0.20.0\nsix==1.17.0\n")
    (root / "prompts/system.md").write_text("Be brief.\nBe kind.\n")
    second = commit(root)
    done = shipway("build", cwd=root)
    assert done.returncode == 0, done.stderr
    said = shipway("diff", "../old", ".", "--env", "prod", cwd=root)
    assert said.returncode == 0, said.stderr
    title, revision, *lines = said.stdout.splitlines()
    assert title.startswith(f"a: {old['id']} -> ")
    assert revision.startswith(f"revision: {old['id']}-")
    image = lines.index("image")
    (six,) = [line for line in lines if line.startswith("  + six 1.17.0 (+")]
    assert lines[:image] == [
        "prompts: 1 changed",
        "  ~ system.md",
        "    @@ -1 +1,2 @@",
        "     Be brief.",
        "    +Be kind.",
        "model",
        "  ~ name: claude-sonnet-5 -> claude-opus-5",
        "dependencies: 1 added",
        six,
        "config of prod",
        "  ~ model.max_tokens: 4096 -> 8192",
        "source",
        f"  {first[:12]} -> {second[:12]}",
        "  1 file changed: /app/src/agent.py",
        f"  git diff {first[:12]} {second[:12]}",
    ]
    assert lines[image + 1].startswith("  layers: ")
    value = json.loads(shipway("diff", "../old", "--json", cwd=root).stdout)
    assert (value["same"], value["code"], value["unknown"]) == (False, True, [])
    assert shipway("diff", cwd=root).stdout.splitlines()[1:] == ["nothing changed"]
