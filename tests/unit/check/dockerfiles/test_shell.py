"""Commands in shell text, as rules see them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.check.dockerfiles.shell import commands, read_words


@pytest.mark.parametrize(
    ("text", "programs"),
    [
        ("set -eux; cd /x && pip install a", ["set", "cd", "pip"]),
        ("A=1 sudo -E /usr/bin/apt-get install x | tee log", ["apt-get", "tee"]),
        ("python3.13 -m pip install x", ["pip"]),
        ("python -m", ["python"]),
        ("sh -ec 'a && b'", ["a", "b"]),
        ("if [ -f x ]; then npm ci; fi", ["[", "npm", "fi"]),
        ("pip install git+https://x/y#egg=z && npm ci # why", ["pip", "npm"]),
        ("echo 'unbalanced && x", ["echo", "x"]),
        ("exec gosu app:app tini -- uvicorn a:b", ["uvicorn"]),
        ("a \\\n b\nc", ["a", "c"]),
        ("", []),
    ],
)
def test_programs(text: str, programs: list[str]) -> None:
    assert [command.program for command in commands(text)] == programs


def test_lines_and_exec() -> None:
    first, second = commands("a\n\nexec b -x --host=1 --port 2\n")
    assert (first.line, first.replaces, second.line, second.replaces) == (1, False, 3, True)
    assert (second.option("--host"), second.option("--port"), second.option("--no")) == ("1", "2", None)


def test_words_of_the_json_form() -> None:
    (command,) = read_words(("/bin/sh", "-c", "exec /app/.venv/bin/uvicorn a:b"))
    assert (command.program, command.replaces) == ("uvicorn", True)


@given(st.text(alphabet=" ab'\"\\\n;&|()$#=-<>", max_size=60))
def test_no_text_makes_it_fail(text: str) -> None:
    for command in commands(text):
        assert command.program is not None
