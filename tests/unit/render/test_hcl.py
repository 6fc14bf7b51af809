"""HCL as it is written, and as a parser that is not ours reads it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.nomad_schema import read

from shipway.render.hcl import Block, Reference, write

EXPECTED = """\
# Head
#
# of two
job "a" {
  type  = "service"
  count = 2

  port "api" {
    to = 8080
  }

  port "admin" {
    to = 8081
  }

  on   = true
  list = ["a", "b"]
  data = <<EOT
one
  two
EOT
}
"""


def test_it_reads_as_people_write_it() -> None:
    body = {
        "type": "service",
        "count": 2,
        "port": [Block({"to": 8080}, "api"), Block({"to": 8081}, "admin")],
        "on": True,
        "list": ["a", "b"],
        "data": "one\n  two\n",
    }
    text = write({"job": Block(body, "a")}, "Head\n\nof two")
    assert text == EXPECTED
    assert read(text)["job"][0]["a"] == body | {"port": [{"api": {"to": 8080}}, {"admin": {"to": 8081}}]}


def test_what_looks_like_an_expression_is_text_unless_it_is_meant() -> None:
    text = write({"a": "${x} %{y}", "b": Reference("${node.unique.id}"), "c": "${x}\n"}, "")
    assert text.splitlines() == ['a = "$${x} %%{y}"', 'b = "${node.unique.id}"', "c = <<EOT", "$${x}", "EOT"]


@pytest.mark.parametrize("text", ['a "b" \\c', "a\tb\r\nc", "\x07 ü 漢 \U0001f600", "", '\\"', "\\u0041"])
def test_every_text_is_read_as_it_was(text: str) -> None:
    assert read(write({"a": text}, ""))["a"] == text


def _is_closed(text: str) -> bool:
    """python-hcl2 reads the escape of a `%{` or `${` only where its `}` follows."""
    return not re.search(r"[$%]\{[^}]*$", text)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(_is_closed))
def test_any_text_is_read_as_it_was(text: str) -> None:
    for one in (text, f"{text}\nx"):
        if not one.endswith("\n"):
            assert read(write({"a": one}, ""))["a"] == one
