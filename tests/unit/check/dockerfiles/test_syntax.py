"""The reader of Dockerfiles: what BuildKit's parser takes, and that nothing at all makes it fail."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.check.dockerfiles.stages import expand, read_stages
from shipway.check.dockerfiles.subject import Dockerfile, read_dockerfile
from shipway.check.dockerfiles.syntax import parse
from shipway.check.rule import run
from shipway.check.rules import DOCKERFILE


def test_comments_and_empty_lines_do_not_end_an_instruction() -> None:
    source = parse("# one\nFROM a\n\nRUN b && \\\n  # why\n\n  c\nUSER 1\n")
    assert [(i.word, i.text, i.line, i.last) for i in source.instructions] == [
        ("FROM", "a", 2, 2),
        ("RUN", "b &&   c", 4, 7),
        ("USER", "1", 8, 8),
    ]
    assert source.extent(6) == (4, 7)
    assert source.extent(3) == (3, 3)


def test_a_backslash_that_is_escaped_or_followed_by_a_word_does_not_continue() -> None:
    assert [i.word for i in parse("RUN a \\\\\nUSER 1\n").instructions] == ["RUN", "USER"]
    assert [i.text for i in parse("RUN a \\  \n b\n").instructions] == ["a  b"]
    assert [i.word for i in parse("RUN a \\ b\nUSER 1").instructions] == ["RUN", "USER"]


def test_the_escape_directive() -> None:
    (copy,) = parse("# syntax=docker/dockerfile:1\n# escape=`\nCOPY a `\n  c:\\\n").instructions
    assert copy.words == ("a", "c:\\")
    assert len(parse("FROM a\n# escape=`\nRUN b `\nUSER 1").instructions) == 3, "only at the top"


def test_heredocs() -> None:
    source = parse("RUN <<-'EOF' sh\n\ta\nEOFX\n\tEOF\nCOPY <<A <<B /x/\none\nA\ntwo\nB\nUSER 1\n")
    run_, copy, user = source.instructions
    assert run_.heredocs == ("\ta\nEOFX",)
    assert copy.heredocs == ("one", "two")
    assert (copy.line, copy.last, user.line) == (5, 9, 10)


def test_a_heredoc_without_an_end_goes_to_the_last_line() -> None:
    (only,) = parse("RUN <<EOF\na\nUSER 1").instructions
    assert only.heredocs == ("a\nUSER 1",)


def test_flags_forms_and_onbuild() -> None:
    source = parse(
        "run --mount=type=cache,target=/a --network=none pip install x\n"
        'CMD ["a", "b c"]\nENTRYPOINT ["a", 1]\nONBUILD COPY . /x\nCOPY --chown=1:1 --link a b\n'
    )
    first, cmd, entrypoint, onbuild, copy = source.instructions
    assert (first.word, first.mounts, first.text) == (
        "RUN",
        ("type=cache,target=/a",),
        "pip install x",
    )
    assert cmd.exec == ("a", "b c")
    assert entrypoint.exec is None, "not all are texts: Docker takes it as the shell form"
    assert onbuild.word == "ONBUILD"
    assert copy.flag("chown") == "1:1"
    assert copy.words == ("a", "b")


def test_pairs() -> None:
    (env,) = parse('ENV A=1 B="x \\"y" C=\'z $A\' D=a\\ b E=\n').instructions
    assert dict(env.pairs) == {"A": "1", "B": 'x "y', "C": "z $A", "D": "a b", "E": ""}
    assert dict(parse("ENV OLD a b=c").instructions[0].pairs) == {"OLD": "a b=c"}
    assert dict(parse("ARG A").instructions[0].pairs) == {}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("a:$V", "a:3"),
        ("a:${V}-x", "a:3-x"),
        ("a:${W:-9}", "a:9"),
        ("a:${V:+on}", "a:on"),
        ("a:${W:+on}", "a:"),
        ("\\$V", "$V"),
        ("a:$W", None),
    ],
)
def test_variables(text: str, filled: str | None) -> None:
    assert expand(text, {"V": "3"}) == filled


def test_stages() -> None:
    stages = read_stages(
        parse(
            "ARG V=3.13\nFROM --platform=$BUILDPLATFORM python:${V}-slim AS Base\nFROM scratch AS other\n"
            "FROM base AS mid\nUSER 1\nFROM mid\nENV A=b\n"
        )
    )
    assert stages is not None
    assert [stage.image for stage in stages.all] == ["python:3.13-slim", "", "", ""]
    assert [stage.start.line for stage in stages.image] == [2, 4, 6]
    assert [i.word for i in stages.in_image("USER", "ENV")] == ["USER", "ENV"]


def test_a_base_that_only_the_command_line_names_is_unknown() -> None:
    stages = read_stages(parse("ARG BASE\nFROM $BASE\n"))
    assert stages is not None
    assert stages.base.image is None


_LINES = st.sampled_from(
    ["FROM python:3 AS a", "FROM a", "RUN <<EOF", "COPY . .", "COPY --from=a x y", "ENV A=\"",
     "# x",
     "# escape=`", "CMD [", 'CMD ["sh", "-c", "exec a"]', "ENTRYPOINT ./start.sh && a",
     "RUN pip install -r 'x", "ARG", "ARG A_TOKEN", "USER", "USER $A",
     "HEALTHCHECK", "HEALTHCHECK CMD curl x",
     "ONBUILD", "ADD", "COPY",
     "LABEL a", "RUN uv sync \\", "FROM", "FROM $X", "CMD uv run", "SHELL []", "CMD python -m", "ENV"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(_LINES, st.text(max_size=40)), max_size=12))
def test_no_text_makes_the_reader_fail(lines: list[str]) -> None:
    text = "\n".join(lines)
    last = 0
    for instruction in parse(text).instructions:
        assert last < instruction.line <= instruction.last <= text.count("\n") + 1
        last = instruction.last


@settings(max_examples=300, deadline=None)
@given(st.lists(_LINES, max_size=12))
def test_no_instructions_make_a_rule_fail(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    (context := tmp_path_factory.getbasetemp() / "context").mkdir(exist_ok=True)
    (file := context / "Dockerfile").write_text("\n".join(["FROM python:3.13", *lines]), encoding="utf-8")
    read = read_dockerfile(file, context)
    assert isinstance(read, Dockerfile)
    for finding in run(DOCKERFILE, read, "Dockerfile"):
        assert 1 <= finding.line <= len(lines) + 1


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    (context := tmp_path_factory.getbasetemp() / "context").mkdir(exist_ok=True)
    (file := context / "Dockerfile").write_bytes(data)
    read_dockerfile(file, context)


def test_a_long_file_takes_time_by_its_length() -> None:
    import time

    begun = time.monotonic()
    parse("FROM a\n" + "RUN a \\\n" * 50_000 + 'ENV A="' + "\\" * 50_000 + "\n")
    assert time.monotonic() - begun < 5
