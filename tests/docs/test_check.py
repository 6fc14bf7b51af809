"""check.md and check-manifests.md: every rule is there in its own words, with two examples that are run.

The first block of a section is an example, the second what shipway says about it under that rule, the third
an example about which it says nothing. A block is a Dockerfile, or files with their names. `image` blocks are
layers:
`-- N/path --` is a file of layer N, and `-- config.json --` the image's settings.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.layout import write_layout

from shipway.build.inspection.contents import File
from shipway.check.images.subject import Image, look_into, open_source
from shipway.check.rule import run
from shipway.check.rules import IMAGE, RULES
from shipway.check.survey import Asked, survey

DOCS = Path(__file__).parents[2] / "docs/reference"
PAGE = "".join((DOCS / name).read_text(encoding="utf-8") for name in ("check.md", "check-manifests.md"))
SECTION = re.compile(r"^### `([a-z-]+)` · (\w+)\n(.*?)(?=^##|\Z)", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
SECTIONS = {name: (severity, text) for name, severity, text in SECTION.findall(PAGE)}
FILES = {"dockerfile": "Dockerfile", "yaml": "manifest.yaml", "toml": "agent.toml"}
"""The file that a block is, by its language."""


def test_every_rule_is_on_the_page_in_order() -> None:
    assert list(SECTIONS) == [rule.name for rule in RULES]


def test_no_two_rules_have_one_name() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_page_says_what_the_rule_says_of_itself(rule) -> None:
    severity, text = SECTIONS[rule.name]
    assert severity == rule.severity
    said = " ".join(text[: text.index("```")].split())
    assert said == " ".join(rule.text.split())


@pytest.mark.parametrize("rule", SECTIONS)
def test_the_example_fails_as_the_page_says(
    rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = BLOCK.findall(SECTIONS[rule][1])
    assert blocks[1][0] == "text"
    assert said(rule, *blocks[0], tmp_path, monkeypatch) == blocks[1][1].strip()


@pytest.mark.parametrize("rule", SECTIONS)
def test_the_other_example_passes(rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = BLOCK.findall(SECTIONS[rule][1])
    assert len(blocks) == 3
    assert said(rule, *blocks[2], tmp_path, monkeypatch) == ""


def test_the_usual_road_is_said_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example, output = BLOCK.findall(PAGE[PAGE.index("## The usual road") :])
    assert said("", *example, tmp_path, monkeypatch) == output[1].strip()


def said(rule: str, info: str, block: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What shipway says under one rule, or under all, about an example, which is where one is."""
    monkeypatch.chdir(root)
    files = {FILES[info]: block} if info in FILES else named(block)
    if info == "image":
        found = run(IMAGE, image(files), "agent:1")
    else:
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content, encoding="utf-8")
        found = list(survey(Asked(Path()), lambda _: None).findings)
    return "\n".join(str(finding) for finding in found if rule in ("", finding.rule))


def named(block: str) -> dict[str, str]:
    parts = re.split(r"^-- (.+) --\n", block, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def image(files: dict[str, str]) -> Image:
    """The image of an example: its settings, its layers by number. `(N MB)` is a file's size."""
    settings = json.loads(files.pop("config.json", '{"User": "65532"}'))
    layers: dict[str, dict[str, bytes]] = {}
    large: dict[tuple[int, str], int] = {}
    for name, content in files.items():
        number, _, path = name.partition("/")
        path, _, size = path.partition(" (")
        layers.setdefault(number, {})[path] = content.encode()
        if size:
            large[int(number), path] = int(size.removesuffix(" MB)")) * 1_000_000
    place = Path("layout")
    place.mkdir()
    source = open_source(str(write_layout(place, {"agent:1": list(layers.values())}, settings)))
    for (number, path), bytes_ in large.items():
        source.layers[number - 1].contents.files[path] = File(bytes_, b"")
    return look_into(source, "agent:1")
