"""The page holds what the image holds, and nothing in an image can act in it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.layout import Files, distribution, write_layout

from shipway.build.inspection.image_source import open_image
from shipway.build.inspection.inspect import inspect
from shipway.build.inspection.treemap import treemap

EVIL = "<script>alert(1)</script>"


def page(root: Path, *layers: Files, name: str = "a:1") -> str:
    write_layout(root, {name: layers})
    return treemap(inspect(open_image(str(root))))


@pytest.fixture
def hostile(tmp_path: Path) -> str:
    own = distribution(f'x"{EVIL}', "1</td>", {"x.py": b"1", f"{EVIL}/y": b"2"})
    return page(tmp_path, own, {f"opt/{EVIL}/${{data}}": b"3"}, name=f"a{EVIL}'\"&:1")


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_names_become_no_elements(hostile: str) -> None:
    assert EVIL not in hostile
    scripts = [attributes for tag, attributes in Elements(hostile).found if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "data"}, {}]
    for _, attributes in Elements(hostile).found:
        assert not [name for name in attributes if name.startswith("on")]


def test_the_policy_allows_the_pages_own_style_and_script_alone(hostile: str) -> None:
    policy = next(a["content"] for _, a in Elements(hostile).found if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        inline = re.findall(rf"<{tag}>(.*?)</{tag}>", hostile, re.DOTALL)
        assert len(inline) == 1
        digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_nothing_is_loaded(hostile: str) -> None:
    elements = Elements(hostile).found
    assert not [a for _, a in elements if {"src", "href", "srcset", "action", "style"} & a.keys()]
    assert not re.search(r"url\(|@import|https?://|fetch\(", hostile)


def test_the_tree_adds_up(tmp_path: Path) -> None:
    text = page(
        tmp_path, distribution("six", "1.0", {"six/a/b": b"1" * 300, "six/c/d": b"2" * 200}), {"etc/x": b"3"}
    )
    match = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert match
    root = json.loads(match[1])["root"]
    assert root["s"] == sum(layer["s"] for layer in root["c"])
    six, files = root["c"][0]["c"][0], root["c"][1]["c"][0]
    assert (six["n"], six["v"], six["k"]) == ("six", "1.0", "python")
    assert [(part["n"], part["s"]) for part in six["c"][:2]] == [("a", 300), ("c", 200)]
    assert (files["n"], files["k"]) == ("etc", "other")
    assert "<td>~ 0" in text or "<td>~" in text
