"""What rules say and do not say about Dockerfiles as people write them, beside the examples in the docs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.package_index import write_tree

from shipway.check.dockerfiles.subject import Dockerfile, read_dockerfile
from shipway.check.rule import run
from shipway.check.rules import DOCKERFILE

SLIM = "FROM python:3.13-slim\n"
BEST = """\
# syntax=docker/dockerfile:1
FROM python:3.13-slim@sha256:0a AS build
COPY --from=ghcr.io/astral-sh/uv:0.9.17 /uv /bin/uv
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
WORKDIR /app
RUN --mount=type=cache,target=/root/.cache/uv \\
    --mount=type=bind,source=uv.lock,target=uv.lock \\
    --mount=type=bind,source=pyproject.toml,target=pyproject.toml \\
    uv sync --locked --no-install-project --no-dev
COPY src ./src
RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked --no-dev --no-editable

FROM python:3.13-slim@sha256:0a
COPY --from=build /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH
USER 65532:65532
EXPOSE 8080
CMD ["uvicorn", "agent:app", "--host", "0.0.0.0", "--port", "8080"]
"""


def found(text: str, root: Path, files: dict[str, str] | None = None) -> list[tuple[str, int]]:
    write_tree(root, {"Dockerfile": text, **(files or {})})
    read = read_dockerfile(root / "Dockerfile", root)
    assert isinstance(read, Dockerfile), read
    return [(f.rule, f.line) for f in run(DOCKERFILE, read, "Dockerfile")]


def test_the_best_that_people_write_by_hand(tmp_path: Path) -> None:
    assert found(BEST, tmp_path) == []


CLASSIC = """\
FROM python:3.12-slim
WORKDIR /app
COPY . .
RUN pip install -r requirements.txt
EXPOSE 8000
CMD uvicorn main:app --host 0.0.0.0 --port 8000
"""


def test_the_classic_road_as_a_reviewer_would_say_it(tmp_path: Path) -> None:
    assert sorted(found(CLASSIC, tmp_path, {"requirements.txt": "fastapi\n", "main.py": ""})) == [
        ("base-digest", 1),
        ("cache-in-layer", 4),
        ("root-user", 6),
        ("signals", 6),
        ("single-stage", 1),
        ("source-first", 4),
        ("whole-context", 3),
    ]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("root-user", SLIM + "USER 1\nUSER 0:0\n"),
        ("root-user", 'FROM alpine:3.22\nARG U=root\nUSER "$U"\n'),
        ("root-user", SLIM + "USER 1\nFROM debian:13-slim\nCOPY --from=0 /a /a\n"),
        ("user-name", SLIM + "USER nobody:nogroup\n"),
        ("secret-argument", SLIM + "ARG A=1 GITHUB_TOKEN\n"),
        ("secret-in-dockerfile", SLIM + "ENV DB_PASSWORD=correct-horse\n"),
        ("secret-argument", "FROM node:24-slim AS b\nARG NPM_TOKEN=\nFROM node:24-slim\n"),
        ("secret-copied", SLIM + "COPY config/.env.production /app/\n"),
        ("secret-copied", SLIM + "ADD .aws /root/.aws\n"),
        ("signals", SLIM + 'ENTRYPOINT ["tini", "--"]\nCMD uvicorn a:b --host 0.0.0.0\n'),
        ("signals", "FROM node:24-slim\nCMD [\"npm\", \"start\"]\n"),
        ("signals", SLIM + "ENTRYPOINT cd /app && python agent.py\n"),
        ("install-at-start", SLIM + 'CMD ["sh", "-c", "pip install -r r.txt && exec python a.py"]\n'),
        ("signals", SLIM + 'CMD ["bash", "-lc", "alembic upgrade head && uvicorn a:b --host 0.0.0.0"]\n'),
        ("literal-variable", SLIM + 'CMD ["uvicorn", "a:b", "--host", "0.0.0.0", "--port", "${PORT:-1}"]\n'),
        ("dev-server", SLIM + 'CMD ["flask", "--app", "a.b:make", "run", "--host=0.0.0.0"]\n'),
        ("source-first", SLIM + "RUN pip install uv\nCOPY . .\nRUN uv sync --frozen\n"),
        ("install-at-start", SLIM + 'ENTRYPOINT ["uv", "run", "agent.py"]\n'),
        ("install-at-start", SLIM + 'ENTRYPOINT ["uv", "tool", "run", "mcp-server-time"]\n'),
        ("loopback", SLIM + 'CMD ["python", "-m", "uvicorn", "a:b", "--host=localhost"]\n'),
        ("loopback", SLIM + 'CMD ["gunicorn", "a:b"]\n'),
        ("loopback", SLIM + 'CMD ["python", "server.py", "--host", "127.0.0.1"]\n'),
        ("loopback", SLIM + 'ENV UV_NO_SYNC=1\nCMD ["uv", "run", "uvicorn", "a:b"]\n'),
        ("loopback", SLIM + 'CMD ["langgraph", "dev"]\n'),
        ("dev-server", SLIM + 'CMD ["fastapi", "dev", "a.py", "--host", "0.0.0.0"]\n'),
        ("dev-server", SLIM + "ENV FLASK_DEBUG=1\n"),
        ("workers", SLIM + 'CMD ["uvicorn", "a:b", "--host", "0.0.0.0", "--workers=4"]\n'),
        ("health-check", "FROM gcr.io/distroless/python3\nHEALTHCHECK --interval=5s CMD wget -q x\n"),
        ("health-check", "FROM python:3-alpine\nHEALTHCHECK CMD [\"curl\", \"x\"]\n"),
        ("source-first", "FROM node:24-slim\nCOPY src src\nRUN npm ci\n"),
        ("source-first", SLIM + "ADD app/ /app/\nRUN python -m pip install .\n"),
        ("build-tools", SLIM + "RUN apt-get update \\\n && apt-get install -y \\\n    gcc=4:14 curl\n"),
        ("build-tools", "FROM python:3-alpine\nRUN apk add build-base\nRUN apk del build-base\n"),
        ("cache-in-layer", SLIM + "RUN <<EOF\npip install x\nEOF\n"),
        ("cache-in-layer", SLIM + "RUN uv pip install --system x\n"),
        ("cache-in-layer", SLIM + "RUN apt-get update && apt-get install -y git && rm -rf /root/.cache\n"),
        ("base-latest", "FROM registry.example.com:5000/team/python\n"),
        ("base-latest", "ARG V=latest\nFROM python:${V}\n"),
        ("base-fat", "FROM mirror.internal/library/python:3.13-bookworm\n"),
        ("base-fat", "FROM nvidia/cuda:12.9-devel-ubuntu24.04\n"),
        ("base-fat", "FROM python:3.13 AS a\nFROM a\n"),
        ("user-from-base", "FROM team/base:1\n"),
        ("no-bytecode", SLIM + "RUN uv sync --locked\n"),
    ],
)  # fmt: skip
def test_it_is_said(rule: str, text: str, tmp_path: Path) -> None:
    assert rule in {name for name, _ in found(text, tmp_path)}


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("root-user", "FROM cgr.dev/chainguard/python:1\n"),
        ("root-user", "FROM gcr.io/distroless/python3-debian12:nonroot\n"),
        ("root-user", "ARG BASE\nFROM $BASE\n"),
        ("user-from-base", "FROM gcr.io/distroless/python3-debian12:nonroot\n"),
        ("user-name", "FROM a:1\nARG UID=10001\nUSER $UID\n"),
        ("user-name", "FROM a:1\nUSER $UID\n"),
        ("secret-argument", SLIM + "ARG TOKENIZERS_PARALLELISM MAX_TOKENS PAGE_TOKEN PUBLIC_KEY\n"),
        ("secret-in-dockerfile", SLIM + "ENV OPENAI_API_KEY=changeme TOKEN=${TOKEN}\n"),
        ("secret-copied", SLIM + "COPY .env.example ca.pub /app/\n"),
        ("signals", SLIM + "CMD exec uvicorn a:b --host 0.0.0.0 --port $PORT\n"),
        ("signals", SLIM + 'ENTRYPOINT ["tini", "--", "python", "a.py"]\n'),
        ("signals", SLIM + 'CMD ["sh", "-c", "alembic upgrade head && exec uvicorn a:b --host 0.0.0.0"]\n'),
        ("literal-variable", SLIM + 'CMD ["sh", "-c", "exec uvicorn a:b --port $PORT"]\n'),
        ("source-first", SLIM + "COPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY . .\n"),
        ("install-at-start", SLIM + 'CMD ["uv", "run", "--no-sync", "a.py"]\n'),
        ("install-at-start", "FROM node:24-slim\nCMD [\"npm\", \"run\", \"start\"]\n"),
        ("loopback", SLIM + 'CMD ["fastapi", "run", "a.py"]\n'),
        ("loopback", SLIM + "CMD pg_isready -h localhost && exec python a.py\n"),
        ("loopback", SLIM + "ENV UVICORN_HOST=0.0.0.0\nCMD [\"uvicorn\", \"a:b\"]\n"),
        ("loopback", SLIM + 'CMD ["gunicorn", "-c", "conf.py", "a:b"]\n'),
        ("loopback", SLIM + 'CMD ["gunicorn", "--bind", "unix:/tmp/s", "a:b"]\n'),
        ("loopback", SLIM + 'CMD ["python", "-m", "agent", "--host", "0.0.0.0"]\n'),
        ("workers", SLIM + 'CMD ["gunicorn", "a:b", "-b", "0.0.0.0:1", "-w", "1"]\n'),
        ("health-check", "FROM python:3.13\nHEALTHCHECK CMD curl x\n"),
        ("health-check", "FROM team/base:1\nHEALTHCHECK CMD curl x\n"),
        ("health-check", SLIM + "HEALTHCHECK NONE\n"),
        ("source-first", SLIM + "COPY pyproject.toml uv.lock README.md ./\nRUN uv sync --locked\nCOPY . .\n"),
        ("source-first", BEST),
        ("source-first", SLIM + "COPY --from=a /x /x\nRUN pip install x\n"),
        ("whole-context", SLIM + "COPY src/ /app/\n"),
        ("build-tools", "FROM python:3-alpine\nRUN apk add -t .b gcc && pip install x && apk del .b\n"),
        ("single-stage", SLIM + "COPY a.py /\n"),
        ("cache-in-layer", SLIM + "ENV PIP_NO_CACHE_DIR=1\nRUN pip install x\n"),
        ("cache-in-layer", SLIM + "RUN pip install x && rm -rf /root/.cache\n"),
        ("cache-in-layer", SLIM + "RUN apt-get install -y git && rm -rf /var/lib/apt/lists/*\n"),
        ("cache-in-layer", SLIM + "RUN --mount=type=cache,target=/var/lib/apt/lists apt-get install git\n"),
        ("cache-in-layer", "FROM a:1 AS b\nRUN pip install x\nFROM a:1\n"),
        ("base-latest", "FROM scratch\n"),
        ("base-latest", "FROM python:3 AS latest\nFROM latest\nCOPY --from=latest a b\n"),
        ("base-fat", "FROM python:3.13 AS b\nFROM python:3.13-slim\n"),
        ("base-fat", "FROM python:3.13-alpine\n"),
    ],
)  # fmt: skip
def test_it_is_not_said(rule: str, text: str, tmp_path: Path) -> None:
    assert rule not in {name for name, _ in found(text, tmp_path)}


def test_scripts_are_read_where_the_context_has_them(tmp_path: Path) -> None:
    files = {"docker/start.sh": "#!/bin/bash\nset -e\npip install -r requirements.txt\nuvicorn a:b\n"}
    text = SLIM + 'COPY docker/start.sh /usr/local/bin/\nENTRYPOINT ["start.sh"]\n'
    write_tree(tmp_path, {"Dockerfile": text, **files})
    read = read_dockerfile(tmp_path / "Dockerfile", tmp_path)
    assert isinstance(read, Dockerfile)
    said = {(f.rule, Path(f.file).name, f.line) for f in run(DOCKERFILE, read, "Dockerfile")}
    assert said >= {
        ("install-at-start", "start.sh", 3),
        ("signals", "start.sh", 4),
        ("loopback", "start.sh", 4),
    }


def test_a_script_that_ends_with_what_it_is_given(tmp_path: Path) -> None:
    text = SLIM + 'COPY entrypoint.sh /\nENTRYPOINT ["/entrypoint.sh"]\nCMD ["uvicorn", "a:b"]\n'
    rules = found(text, tmp_path, {"entrypoint.sh": '#!/bin/sh\nset -e\nexec "$@"\n'})
    assert ("loopback", 4) in rules
    assert "signals" not in {name for name, _ in rules}


def test_secrets_are_looked_for_in_the_context_that_is_sent(tmp_path: Path) -> None:
    text = SLIM + "COPY . /app\n"
    assert ("secret-copied", 2) in found(text, tmp_path, {".env": "A=1\n", ".dockerignore": ".git\n"})
    assert "secret-copied" not in {n for n, _ in found(text, tmp_path, {".dockerignore": ".git\n.env*\n"})}


def test_servers_that_code_and_settings_would_fetch(tmp_path: Path) -> None:
    files = {
        "agent/mcp.json": '{"mcpServers": {\n"a": {"command": "npx", "args": []},\n"b": {"command": "uvx"}}}',
        "agent/servers.yaml": "files:\n  command: ['uvx', 'mcp-server-time']\n",
        "agent/run.py": "StdioServerParameters(\n    command='npx -y x')\n# command = 'npxx'\n",
        "agent/tests/a.py": "command='npx'\n",
        "agent/notes.md": "command='npx'\n",
        "agent/k8s/pod.yaml": "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - command: ['npx', 'x']\n",
        "agent/task.json": '{"containerDefinitions": [{"command": ["npx", "x"]}]}',
        "agent/compose.yaml": "services:\n  mcp:\n    command: ['npx', 'x']\n",
        "other/a.py": "command='npx'\n",
        "agent/gone.py": "command='npx'\n",
        ".dockerignore": "agent/gone.py\n",
    }
    write_tree(tmp_path, {"Dockerfile": SLIM + "COPY agent/ /app/\n", **files})
    read = read_dockerfile(tmp_path / "Dockerfile", tmp_path)
    assert isinstance(read, Dockerfile)
    said = [f for f in run(DOCKERFILE, read, "Dockerfile") if f.rule == "server-at-start"]
    assert {f.line for f in said} == {2}
    assert [f.message.partition(" ")[0] for f in said] == [
        *("agent/mcp.json:2", "agent/mcp.json:3", "agent/run.py:2", "agent/servers.yaml:2"),
    ]


def test_the_context_is_where_the_copied_files_are(tmp_path: Path) -> None:
    write_tree(
        tmp_path, {"docker/Dockerfile": SLIM + "COPY src /app\n", "src/a.py": "", ".dockerignore": "x\n"}
    )
    read = read_dockerfile(tmp_path / "docker/Dockerfile", tmp_path)
    assert isinstance(read, Dockerfile)
    assert read.context.root == tmp_path
    assert read.context.keeps_out("x")
