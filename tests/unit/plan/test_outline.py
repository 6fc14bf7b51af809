"""The outline of a plan: everything that is said, and where it was said."""

from __future__ import annotations

from pathlib import Path

from shipway.plan.outline import outline
from shipway.plan.stack import plan_stack
from shipway.spec.load import load

SPEC = """\
name = "a"
entrypoint = "a:b"
[model]
provider = "anthropic"
name = "m"
timeout = "5s"
[config]
tone = "short"
[env.prod.config]
tone = "long"
[env.prod.api]
auth = "none"
"""


def test_settings_say_where_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(SPEC)
    loaded = load(tmp_path / "agent.toml", "prod")
    text = outline(plan_stack(loaded, "prod"), loaded.provenance)
    assert "\n      name: m    # agent.toml:5\n" in text
    assert "\n      timeout_s: 5.0    # agent.toml:6\n" in text
    assert "\n      tone: long    # env.prod, agent.toml:10\n" in text
    assert "body_limit: 4000000\n" in text, "a default has no place"


def test_what_is_empty_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text('name = "a"\nentrypoint = "a:b"\n')
    text = outline(plan_stack(load(tmp_path / "agent.toml")))
    assert "sidecars" not in text
    assert "null" not in text
