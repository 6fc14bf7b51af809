"""Every rule, family by family, in the order in which they are run.

Out: the tables. A rule is a generator that looks at one thing; a new rule is one line here, a new family a
file and a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shipway.check.rule import Rule

DOCKERFILE: tuple[Rule[Any], ...] = ()
IMAGE: tuple[Rule[Any], ...] = ()

RULES: tuple[Rule[Any], ...] = (*DOCKERFILE, *IMAGE)
"""All that can be suppressed. What the builder would refuse cannot: a comment would not make it build."""
