"""What changed between two releases, in words that a reviewer reads from the top."""

from __future__ import annotations

import dataclasses
from typing import Any

from shipway.build.comparison.compare import compare
from shipway.build.comparison.side import Side
from shipway.build.comparison.words import words
from shipway.build.contents import digest_text
from shipway_runtime.contract import (
    Config,
    Contents,
    Limits,
    Live,
    Model,
    Settings,
    Source,
    ToolFilter,
    ToolServer,
)

TIME = ToolServer("inside", "pypi:mcp-server-time==1.0", ("--local-timezone", "UTC"))
GIT = ToolServer("sidecar", "pypi:mcp-server-git==2.0", tools=ToolFilter(deny=("git_reset",)))
MODEL = Model("anthropic", "claude-sonnet-5", max_tokens=1024)
VENV, MCP = "/app/.venv", "/app/mcp/time"
PACKAGES = {
    "agent": {"": {"libssl3t64": "3.5.1"}, VENV: {"anthropic": "2.11.0", "six": "1.0"}, MCP: {"mcp": "2.0"}},
    "mcp-git": {VENV: {"h11": "0.16"}},
}
CONTENTS = Contents("support.agent:agent", Settings(MODEL), "sha256:code", {}, {"time": TIME}, PACKAGES)


def side(release: str = "0" * 12, texts: dict[str, str] | None = None, **changes: Any) -> Side:
    texts = texts or {}
    prompts = {name: digest_text(text.encode()) for name, text in texts.items()}
    contents = dataclasses.replace(CONTENTS, **{"prompts": prompts} | changes)
    images = {"agent": f"support@sha256:{release}", "mcp-git": "support-mcp-git@sha256:0"}
    return Side(".", "support", release, Source("a" * 40, False), images, contents, texts)


def said(before: Side, after: Side) -> list[str]:
    return list(words(compare(before, after)))


def changed(**changes: Any) -> list[str]:
    """The lines below the title, of two sides that differ in this."""
    title, *lines = said(side(), side("1" * 12, **changes))
    assert title == "support: 000000000000 -> 111111111111"
    return lines


def test_nothing() -> None:
    assert said(side(), side()) == ["support: 000000000000 -> 000000000000", "nothing changed"]


def test_prompts_line_by_line() -> None:
    before = side(texts={"system.md": "one\ntwo\n", "old.md": "gone\n"})
    after = side("1" * 12, texts={"system.md": "one\n2", "new.md": "here\n"})
    assert said(before, after)[1:] == [
        "prompts: 1 added, 1 removed, 1 changed",
        "  + new.md",
        "    @@ -0,0 +1 @@",
        "    +here",
        "  - old.md",
        "    @@ -1 +0,0 @@",
        "    -gone",
        "  ~ system.md",
        "    @@ -1,2 +1,2 @@",
        "     one",
        "    -two",
        "    +2",
        "    \\ No newline at end of file",
    ]


def test_a_prompt_whose_text_is_away_has_its_name() -> None:
    before = side(texts={"system.md": "one"})
    after = dataclasses.replace(side("1" * 12, texts={"system.md": "two"}), texts={})
    comparison = compare(before, after, ("the text of . is not known: no such image",))
    assert list(words(comparison))[1:] == [
        "prompts: 1 changed",
        "  ~ system.md",
        "unknown: the text of . is not known: no such image",
    ]


def test_the_model() -> None:
    model = Model("anthropic", "claude-opus-5", ("claude-sonnet-5",), timeout_s=60.0)
    assert changed(settings=Settings(model)) == [
        "model",
        "  + fallbacks: claude-sonnet-5",
        "  - max_tokens: 1024",
        "  ~ name: claude-sonnet-5 -> claude-opus-5",
        "  + timeout_s: 60",
    ]


def test_lists_by_their_elements_and_limits_whole() -> None:
    def with_(fallbacks: tuple[str, ...], tokens: int) -> Side:
        model = dataclasses.replace(MODEL, fallbacks=fallbacks)
        return side("1" * 12, settings=Settings(model, limits=Limits(tokens=(tokens, 86400))))

    assert said(with_(("a", "b"), 1), dataclasses.replace(with_(("b", "c"), 2), release="2" * 12))[1:] == [
        "model",
        "  ~ fallbacks: -a, +c",
        "settings of agent.toml",
        "  ~ limits.tokens: 1, 86400 -> 2, 86400",
    ]


def test_tools() -> None:
    later = dataclasses.replace(TIME, run="pypi:mcp-server-time==1.1", tools=ToolFilter(deny=("now",)))
    assert changed(tools={"time": later, "git": GIT}) == [
        "tools",
        "  + git: pypi:mcp-server-git==2.0, sidecar, deny git_reset",
        "  ~ time: run pypi:mcp-server-time==1.0 -> pypi:mcp-server-time==1.1",
        "  + time: deny now",
    ]
    assert changed(tools={}) == ["tools", "  - time: pypi:mcp-server-time==1.0 --local-timezone UTC, inside"]


def test_dependencies_apart_from_the_base() -> None:
    agent = {"": {"libssl3t64": "3.5.2"}, VENV: {"anthropic": "2.12.0", "h11": "0.16"}, MCP: {"mcp": "2.1"}}
    assert changed(packages={"agent": agent, "mcp-git": {VENV: {"h11": "0.17"}}}) == [
        "dependencies: 1 added, 1 removed, 3 changed",
        "  ~ anthropic 2.11.0 -> 2.12.0",
        "  + h11 0.16",
        "  - six 1.0",
        "  ~ mcp 2.0 -> 2.1, of mcp time",
        "  ~ h11 0.16 -> 0.17, in the image mcp-git",
        "base: 1 changed",
        "  ~ libssl3t64 3.5.1 -> 3.5.2",
    ]


def test_code_and_its_commits() -> None:
    after = dataclasses.replace(side("1" * 12, code="sha256:other"), source=Source("b" * 40, False))
    assert said(side(), after)[1:] == [
        "source",
        "  aaaaaaaaaaaa -> bbbbbbbbbbbb",
        "  the project's files changed",
        "  git diff aaaaaaaaaaaa bbbbbbbbbbbb",
    ]
    dirty = dataclasses.replace(after, source=Source("b" * 40, True))
    assert "  aaaaaaaaaaaa -> bbbbbbbbbbbb with changes" in said(side(), dirty)


def test_the_config_of_an_environment_beside_what_every_one_has() -> None:
    def prod(tokens: int, greeting: str) -> Config:
        model = dataclasses.replace(MODEL, max_tokens=tokens)
        return Config("prod", Settings(model, {"greeting": greeting}), provenance={"x": str(tokens)})

    before = dataclasses.replace(side(), config=prod(4096, "short"))
    after = side("1" * 12, settings=Settings(MODEL, {"greeting": "long"}))
    before = dataclasses.replace(
        before, contents=dataclasses.replace(CONTENTS, settings=Settings(MODEL, {"greeting": "short"}))
    )
    lines = said(before, dataclasses.replace(after, config=prod(8192, "long")))
    assert lines[1].startswith("revision: 000000000000-")
    assert lines[2:] == [
        "settings of agent.toml",
        "  ~ config.greeting: short -> long",
        "config of prod",
        "  ~ model.max_tokens: 4096 -> 8192",
    ]


def test_one_release_in_two_environments_is_two_revisions() -> None:
    before, after = (
        dataclasses.replace(side(), config=Config(name, Settings(MODEL, {"greeting": name})))
        for name in ("staging", "prod")
    )
    lines = said(before, after)
    assert lines[1].count("000000000000-") == 2
    assert lines[2:] == ["config of staging -> prod", "  ~ config.greeting: staging -> prod"]


def test_what_scores_real_turns() -> None:
    live = Live("evals.live:score", 0.1)
    assert changed(live=live) == [
        "settings of agent.toml",
        "  + evals.live: evals.live:score",
        "  + evals.sample: 0.1",
    ]
    more = side("1" * 12, live=dataclasses.replace(live, sample=0.2))
    assert said(side(live=live), more)[1:] == ["settings of agent.toml", "  ~ evals.sample: 0.1 -> 0.2"]
