"""docs/reference: the generated files are up to date, and every finding is documented with an example."""

from __future__ import annotations

import ast
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from shipway.errors import SpecError
from shipway.spec import keys, reference
from shipway.spec.load import load
from shipway.spec.lock import read_lock
from shipway.spec.project import read_project

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs/reference"
EXAMPLES = sorted((ROOT / "examples").glob("*/agent.toml"))
HEAD = 'name = "support"\nentrypoint = "agent:agent"\n'

# -- The generated files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", reference.files())
def test_generated_files_are_up_to_date(name: str) -> None:
    written = (DOCS / name).read_text(encoding="utf-8")
    assert written == reference.files()[name], "run: python -m shipway.spec.reference --write"


def test_every_key_is_on_the_page() -> None:
    page = (DOCS / "agent.md").read_text(encoding="utf-8")
    for pattern, key in keys.known().items():
        if key.owner and not key.is_table:
            assert f"| `{pattern[-1]}` |" in page, pattern


# -- The schema --------------------------------------------------------------------------------------------


def _errors(text: str) -> list[str]:
    validator = Draft202012Validator(reference.schema())
    return [f"{list(e.absolute_path)}: {e.message}" for e in validator.iter_errors(tomllib.loads(text))]


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(reference.schema())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_the_schema_accepts_the_examples(path: Path) -> None:
    assert _errors(path.read_text(encoding="utf-8")) == []


def test_the_schema_accepts_the_reference() -> None:
    assert _errors(reference.text()) == []


@pytest.mark.parametrize(
    "text",
    [
        'name = "support"\n',
        'name = "Support"\nentrypoint = "a:b"\n',
        HEAD + "colour = 1\n",
        HEAD + "[image]\nsize = 300\n",
        HEAD + '[model]\nprovider = "antropic"\nname = "x"\n',
        HEAD + '[model]\nprovider = "anthropic"\nname = "x"\ntimeout = "60 s"\n',
        HEAD + '[secrets]\nKEY = "value"\n',
        HEAD + '[secrets]\n"bad-name" = "env"\n',
        HEAD + "[mcp.My_Server]\n",
        HEAD + "[mcp.time]\nconcurrency = 0\n",
        HEAD + "[config]\nx = { y = 1 }\n",
        HEAD + "[env.prod.mcp.time]\n",
        HEAD + '[env.prod.resources]\ncpu = "1x"\n',
        HEAD + "[tenants.acme.storage]\n",
        HEAD + "[rollout]\nsteps = [{ weight = 101 }]\n",
    ],
)
def test_the_schema_refuses(text: str) -> None:
    assert _errors(text)


def test_every_key_of_the_schema_is_described() -> None:
    schema = reference.schema()
    tables: dict[str, Any] = {"agent.toml": schema, **schema["$defs"]}
    silent = [
        f"{name}.{key}"
        for name, table in tables.items()
        for key, value in table["properties"].items()
        if not value.get("description") and not _is_self_explaining(value)
    ]
    assert silent == []


def _is_self_explaining(value: dict[str, Any]) -> bool:
    """A table of tables with names that the user chooses; each of those has a page of its own."""
    named = [*value.get("patternProperties", {}).values(), value.get("additionalProperties") or {}]
    return any("$ref" in table for table in named)


# -- Findings ----------------------------------------------------------------------------------------------

SECTION = re.compile(r"^### `([a-z-]+)`\n(.*?)(?=^##|\Z)", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^```(toml[^\n]*|files)\n(.*?)^```\n```text\n(.*?)^```", re.DOTALL | re.MULTILINE)
SECTIONS = dict(SECTION.findall((DOCS / "findings.md").read_text(encoding="utf-8")))
RUN = [rule for rule, text in SECTIONS.items() if BLOCK.search(text)]


def _rules(path: Path) -> Iterator[str]:
    """The rule of each finding that a module makes: the first argument, a text or the module's RULE."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and node.args
            and ast.unparse(node.func).endswith(("Finding", ".finding"))
        ):
            first = node.args[0]
            if isinstance(first, ast.Constant):
                yield str(first.value)
            elif isinstance(first, ast.Name) and first.id in named:
                yield str(named[first.id])


def test_every_rule_is_documented_and_every_documented_rule_exists() -> None:
    made = {rule for path in (ROOT / "src/shipway").rglob("*.py") for rule in _rules(path)}
    assert made == set(SECTIONS)


def test_every_rule_of_the_spec_has_an_example_that_is_run() -> None:
    made = {rule for path in (ROOT / "src/shipway/spec").glob("*.py") for rule in _rules(path)}
    assert made == set(RUN)


@pytest.mark.parametrize("rule", RUN)
def test_the_example_says_what_the_page_says(rule: str, tmp_path: Path) -> None:
    if rule == "python-syntax" and sys.version_info < (3, 13):
        pytest.skip("an interpreter older than the image's cannot tell newer syntax from a mistake")
    match = BLOCK.search(SECTIONS[rule])
    assert match is not None
    assert said(rule, match[1], match[2], tmp_path) == match[3].strip()


def said(rule: str, info: str, block: str, root: Path) -> str:
    """What shipway says under one rule about an example, with the project's directory as /project."""
    for name, content in _files(info, block):
        link, _, target = name.partition(" -> ")
        path = root / link
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(" (pipe)"):
            os.mkfifo(root / name.removesuffix(" (pipe)"))
        else:
            path.symlink_to(target) if target else path.write_text(content, encoding="utf-8")
    environment = info.partition("--env ")[2] or None
    try:
        loaded = load(root / "agent.toml", environment)
        read_lock(root)
        read_project(loaded)
    except SpecError as error:
        found = [str(finding) for finding in error.findings if finding.rule == rule]
        return "\n".join(found).replace(str(root), "/project")
    return ""


def _files(info: str, block: str) -> list[tuple[str, str]]:
    if info.startswith("toml"):
        return [("agent.toml", block)]
    parts = re.split(r"^-- (.+) --\n", block, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))
