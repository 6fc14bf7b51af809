from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.spec.positions import Path, positions

TEXT = """\
name = "a"                      # 1
"quoted key" = '''
not = "a key"
[nor a table]
'''
a . b.'c d' = { x = [1, 2], "y" = { z = 3 } }

[image]                         # 8
include = [ # comment ]
  "x", # "y"
  [ "]", { k = 1 } ],
]
when = 1979-05-27 07:32:00

[mcp.time]                      # 15
run = "pypi:x"
[mcp]                           # 17
[[steps]]                       # 18
weight = 5
[steps.hold]                    # 20
for = "1h"
[[steps]]                       # 22
weight = 100
"""


def test_lines_of_every_kind_of_key() -> None:
    lines = positions(TEXT)
    assert set(lines) == _paths(tomllib.loads(TEXT))
    assert lines["name",] == 1
    assert lines["quoted key",] == 2
    assert lines["a", "b", "c d", "y", "z"] == 6
    assert lines["image",] == 8
    assert lines["image", "include", 0] == 10
    assert lines["image", "include", 1, 1, "k"] == 11
    assert lines["image", "when"] == 13
    assert lines["mcp", "time"] == 15
    assert lines["mcp",] == 17, "a table is at its own header, not where it was first named"
    assert lines["steps",] == lines["steps", 0] == 18
    assert lines["steps", 0, "hold", "for"] == 21
    assert lines["steps", 1, "weight"] == 23


def test_windows_line_ends() -> None:
    assert positions('a = """\r\nx\r\n"""\r\nb = [\r\n1,\r\n]\r\n') == {
        ("a",): 1,
        ("b",): 4,
        ("b", 0): 5,
    }


def test_empty_document() -> None:
    assert positions("") == positions("# only a comment") == {}


# -- Any document ------------------------------------------------------------------------------------------

BARE = re.compile(r"[A-Za-z0-9_-]+")
KEYS = st.one_of(st.sampled_from(["a", "b", "c-d", "1"]), st.text(alphabet="ab.é \"'[]#=\\\n{},", max_size=4))
STRINGS = st.text(alphabet="ab \"'#[]{}=,\\\né", max_size=8)


def _paths(value: Any, path: Path = ()) -> set[Path]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path for path in [path] if path}.union(*(_paths(item, (*path, key)) for key, item in items))


@st.composite
def _key(draw: st.DrawFn, key: str) -> str:
    forms = [json.dumps(key, ensure_ascii=False)]
    forms += [key] if BARE.fullmatch(key) else []
    forms += [f"'{key}'"] if "'" not in key and "\n" not in key else []
    return draw(st.sampled_from(forms))


@st.composite
def _string(draw: st.DrawFn) -> str:
    text = draw(STRINGS)
    escaped = json.dumps(text, ensure_ascii=False)
    forms = [escaped, f'"""{escaped[1:-1]}"""', f'"""{escaped[1:-1]}""""', f'"""\n{escaped[1:-1]}\\\n   """']
    if "'" not in text:
        forms += [f"'''{text}'''", f"'''\n{text}''''"]
        forms += [f"'{text}'"] if "\n" not in text else []
    return draw(st.sampled_from(forms))


SCALARS = st.one_of(
    _string(),
    st.sampled_from(["1", "-2.5e3", "0xff", "true", "inf", "1979-05-27T07:32:00Z", "1979-05-27 07:32:00"]),
)


@st.composite
def _inline(draw: st.DrawFn, depth: int) -> str:
    kind = draw(st.sampled_from(["scalar", "scalar", "list", "table"] if depth else ["scalar"]))
    if kind == "list":
        items = draw(st.lists(_inline(depth - 1), max_size=3))
        gap = draw(st.sampled_from([" ", "\n", " # ] , comment\n\t"]))
        last = draw(st.sampled_from(["", ","])) if items else ""
        return f"[{gap}" + f"{gap},{gap}".join(items) + f"{gap}{last}{gap}]"
    if kind == "table":
        names = draw(st.lists(KEYS, unique=True, max_size=3))
        pairs = [f"{draw(_key(name))} = {draw(_inline(depth - 1))}" for name in names]
        return "{ " + ", ".join(pairs) + " }"
    return draw(SCALARS)


@st.composite
def _body(draw: st.DrawFn, header: str, depth: int) -> str:
    """A table's own pairs, some by dotted keys, then the tables and arrays of tables below it."""
    lines, tables = [], []
    for name in draw(st.lists(KEYS, unique=True, max_size=4)):
        key = draw(_key(name))
        kind = draw(st.sampled_from(["value", "dotted", "table", "array"] if depth else ["value"]))
        if kind == "value":
            lines.append(f"{key} = {draw(_inline(2))}  # = [comment")
        elif kind == "dotted":
            inner = draw(st.lists(KEYS, unique=True, min_size=1, max_size=2))
            lines += [f"  {key} . {draw(_key(i))} = {draw(_inline(1))}" for i in inner]
        elif kind == "table":
            tables.append(f"[ {header}{key} ]\n" + draw(_body(f"{header}{key}.", depth - 1)))
        else:
            items = draw(st.integers(1, 3))
            tables += [
                f"[[{header}{key}]] # x\n" + draw(_body(f"{header}{key} . ", depth - 1)) for _ in range(items)
            ]
    return "\n".join([*lines, "", *tables, ""])


@settings(deadline=None)
@given(_body("", 2))
def test_the_same_paths_as_tomllib(text: str) -> None:
    lines = positions(text)
    assert set(lines) == _paths(tomllib.loads(text))
    written = text.split("\n")
    for path, line in lines.items():
        key = (
            path[-1] if isinstance(path[-1], str) else next((p for p in path[::-1] if isinstance(p, str)), "")
        )
        forms = (key, json.dumps(key, ensure_ascii=False), f"'{key}'")
        assert isinstance(path[-1], int) or any(form in written[line - 1] for form in forms)
