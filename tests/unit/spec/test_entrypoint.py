from __future__ import annotations

import pytest

from shipway.spec.entrypoint import Entrypoint, locate, missing_attribute, missing_module, syntax_problem

ENTRY = Entrypoint("support.agent", "agent", "src", "src/support/agent.py")


@pytest.mark.parametrize(
    ("paths", "entrypoint", "root", "file"),
    [
        (["src/support/agent.py"], "support.agent:agent", "src", "src/support/agent.py"),
        (["support/agent.py"], "support.agent:make()", "", "support/agent.py"),
        (["agent.py"], "agent:agent", "", "agent.py"),
        (["src/support/__init__.py"], "support:agent", "src", "src/support/__init__.py"),
        (["src/a.py", "a.py"], "a:agent", "src", "src/a.py"),
    ],
)
def test_where_the_entry_point_is(paths: list[str], entrypoint: str, root: str, file: str) -> None:
    found = locate(entrypoint, paths)
    assert found is not None
    assert (found.source_root, found.file) == (root, file)
    assert not found.attribute.endswith("()")


@pytest.mark.parametrize(
    ("paths", "entrypoint", "fix"),
    [
        (["src/support/agent.py"], "suport.agent:agent", 'write entrypoint = "support.agent:agent"'),
        (["support/agent.py"], "agent:agent", 'write entrypoint = "support.agent:agent"'),
        (["a.py", "b/c.py"], "other.module:x", "name one of the project's modules: a or b.c"),
        (["README.md", "tests/test_x.py"], "agent:agent", "write the agent into that file"),
    ],
)
def test_a_missing_module_names_the_nearest(paths: list[str], entrypoint: str, fix: str) -> None:
    assert locate(entrypoint, paths) is None
    message, said = missing_module(entrypoint, paths)
    assert entrypoint.partition(":")[0] in message
    assert said == fix


@pytest.mark.parametrize(
    "text",
    [
        "def agent(): ...",
        "async def agent(messages, ctx): ...",
        "class agent: ...",
        "agent = 1",
        "agent: int = 1",
        "x, (agent, y) = 1, (2, 3)",
        "from somewhere import thing as agent",
        "from somewhere import agent",
        "import agent.inner",
        "if x:\n    agent = 1",
        "try:\n    pass\nexcept E:\n    def agent(): ...",
        "with x as agent:\n    pass",
        "for agent in x:\n    pass",
        "match x:\n    case 1:\n        agent = 1",
        "print(agent := 1)",
        "from somewhere import *",
        "def __getattr__(name): ...",
        "not python at all",
    ],
)
def test_an_attribute_that_is_there_or_may_be(text: str) -> None:
    assert missing_attribute(text, ENTRY) is None


def test_an_attribute_that_is_not_there() -> None:
    message, fix = missing_attribute("import os\ndef agnt(): agent = 1\nclass A:\n    agent = 1", ENTRY) or (
        "",
        "",
    )
    assert message == "the module `support.agent` defines no `agent`, which the entry point names"
    assert fix == 'write entrypoint = "support.agent:agnt"'
    assert missing_attribute("_x = 1\ndef run(): ...\ndef stop(): ...", ENTRY) == (
        message,
        "name what answers; it defines run and stop",
    )
    assert missing_attribute("", ENTRY) == (message, "name what answers; it defines nothing")


def test_a_module_that_is_not_python() -> None:
    found = syntax_problem("def agent(:\n", "agent.py", (3, 13))
    assert found is not None
    assert (found.rule, found.file, found.line) == ("python-syntax", "agent.py", 1)
    assert syntax_problem("def agent(:\n", "agent.py", (3, 11)) is None, "it may be newer syntax"
    assert syntax_problem("x = 1\n", "agent.py", (3, 13)) is None
