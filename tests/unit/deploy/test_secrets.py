"""Values of secrets, from where people keep them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.deploy.secrets import Sources, collect
from shipway.errors import SpecError


def sources(environ: dict[str, str] | None = None, listed: dict[str, str] | None = None) -> Sources:
    return Sources(environ or {}, listed or {}, ".env.prod")


def test_the_environment_comes_before_the_file() -> None:
    found = collect({"A": ("agent",), "B": ("agent",)}, sources({"A": "1"}, {"A": "2", "B": "3"}))
    assert found == {"A": "1", "B": "3"}


@pytest.mark.parametrize("where", ["environ", "listed"])
def test_a_file_may_hold_the_value(tmp_path: Path, where: str) -> None:
    key = tmp_path / "key.pem"
    key.write_text("-----BEGIN\nlines\n")
    found = collect({"A": ("agent",)}, sources(**{where: {"A_FILE": str(key)}}))
    assert found == {"A": "-----BEGIN\nlines"}


def test_everything_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    needed = {"A": ("agent",), "B": ("mcp-git", "agent"), "C": ("agent",)}
    gone = str(tmp_path / "gone")
    with pytest.raises(SpecError) as refused:
        collect(needed, sources({"B": "", "C_FILE": gone}))
    a, b, c = refused.value.findings
    assert a.message == "agent needs the secret A, which is neither in the environment nor in .env.prod"
    assert b.message.startswith("mcp-git and agent need the secret B, which is neither")
    assert c.message == f"C_FILE names {gone}, which cannot be read: No such file or directory"


def test_what_the_machine_has_kept_may_be_missing_here() -> None:
    assert collect({"A": ("agent",), "B": ("agent",)}, sources({"B": "new"}), kept={"A"}) == {"B": "new"}
