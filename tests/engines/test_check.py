"""`shipway check --image` on what Docker has built as most people build, and on what shipway has built."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.base_images import slim_tree, tar_of
from tests.docker import Docker
from tests.package_index import write_tree

pytestmark = pytest.mark.docker

SHIPWAY = Path(sys.executable).with_name("shipway")
EXAMPLES = Path(__file__).parents[2] / "examples"
CLASSIC = """\
FROM scratch AS python
ADD base.tar /
FROM python
ARG INDEX_TOKEN
WORKDIR /app
COPY . .
RUN ["python3", "-c", "import pathlib as p; p.Path('/root/.cache/pip').mkdir(parents=True); \\
     p.Path('/root/.cache/pip/wheel').write_bytes(bytes(3000000))"]
RUN ["python3", "-c", "import os; os.remove('.env')"]
ENV DATABASE_URL=postgresql://agent:q7Vd2mKx93@db.internal/agent
CMD python3 agent.py
"""


def check(*arguments: str, cwd: Path) -> dict[str, str]:
    """The message of each rule that has something to say."""
    command = (SHIPWAY, "check", "--json", *arguments)
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=200)
    assert done.returncode in (0, 2), done.stderr
    return {finding["rule"]: finding["message"] for finding in json.loads(done.stdout)}


def test_the_classic_road(docker: Docker, tmp_path: Path) -> None:
    context = write_tree(
        tmp_path / "context",
        {
            "Dockerfile": CLASSIC,
            "agent.py": "print('hello')\n",
            ".env": "OPENAI_API_KEY=\n",
            ".git/HEAD": "ref: refs/heads/main\n",
        },
    )
    (context / "base.tar").write_bytes(tar_of(slim_tree(tmp_path / "tree")))
    image = docker.build(context, options=("--build-arg", "INDEX_TOKEN=s3cr3t-of-the-index"))
    begun = time.monotonic()
    found = check("--image", image, cwd=tmp_path)
    took = time.monotonic() - begun
    assert set(found) == {
        *("image-root", "image-signals", "image-secret-file", "image-secret-config", "image-cache"),
        *("image-developer-files", "image-secret"),
    }
    assert found["image-secret"].startswith("line 10 of /app/Dockerfile")
    assert found["image-secret-file"].startswith("/app/.env is in a layer")
    assert found["image-secret-file"].endswith("a later layer hides it, and takes it from nobody")
    assert "q7Vd2mKx93" not in str(found)
    assert "s3cr3t" not in str(found)
    assert took < 30, "seconds for an image of 100 MB, on a busy machine"
    saved = tmp_path / "image.tar"
    docker("save", "--output", str(saved), image)
    assert check("--image", "image.tar", cwd=tmp_path) == found


BESIDE = {
    "COPY --from=ghcr.io/astral-sh/uv:latest /uv /bin/": (set(), {"base-latest", "root-user"}),
    'CMD ["python"]': (set(), {"root-user"}),
    "USER root": ({"DL3002", "DL3066"}, {"root-user"}),
    "USER agent": ({"DL3066"}, {"user-name"}),
    "USER 1\nCMD exec uvicorn a:b --host 0.0.0.0": ({"DL3025"}, set()),
    'USER 1\nCMD ["npm", "start"]': (set(), {"signals"}),
    "USER 1\nRUN uv sync --compile-bytecode": (set(), {"cache-in-layer"}),
    "RUN apt-get update && apt-get install -y --no-install-recommends git=1:2\nUSER 1": (
        {"DL3009"},
        {"cache-in-layer"},
    ),
    "USER 1\nENV OPENAI_API_KEY=": ({"DL3064"}, set()),
    "USER 1\nENV DATABASE_URL=postgresql://a:q7Vd2mKx93@db.internal/a": (set(), {"secret-in-dockerfile"}),
}
"""Instructions, what hadolint says of them, and what shipway says: the table in docs/reference/check.md."""


@pytest.mark.network
@pytest.mark.parametrize("text", BESIDE)
def test_the_table_beside_hadolint(hadolint: Callable[..., str], text: str, tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text(f"FROM python:3.13-slim\n{text}\n")
    theirs, ours = BESIDE[text]
    assert set(re.findall(r"DL\d+", hadolint(str(file)))) == theirs
    assert set(check(cwd=tmp_path)) - {"base-digest", "single-stage"} == ours


@pytest.mark.network
def test_what_shipway_builds_has_no_finding(docker: Docker, tmp_path: Path) -> None:
    project = tmp_path / "support"
    shutil.copytree(EXAMPLES / "02-support", project, ignore=shutil.ignore_patterns(".shipway"))
    built = subprocess.run(
        (SHIPWAY, "build", "--load"), cwd=project, capture_output=True, text=True, timeout=400
    )
    assert built.returncode == 0, built.stderr
    image = built.stdout.strip().partition("@")[0]
    assert check(".", "--image", ".", "--image", image, cwd=project) == {}
    rendered = subprocess.run(
        (SHIPWAY, "render", "dockerfile"), cwd=project, capture_output=True, text=True, timeout=200
    )
    assert rendered.returncode == 0, rendered.stderr
    assert (project / "Dockerfile").is_file()
    assert check(cwd=project) == {}
