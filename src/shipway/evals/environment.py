"""Which Python runs the project's scorer: the project's own, never shipway's.

In: the project's root. Out: an interpreter, and a remark where it is none of the project's.
"""

from __future__ import annotations

import sys
from pathlib import Path

PLACES = (".venv", ".shipway/venv")
"""Where a project's environment is: the developer's, with tools for evals, too; that of `shipway up`."""


def find_python(root: Path) -> tuple[Path, str]:
    """The interpreter, and what is to be said about it; nothing as a rule."""
    for place in PLACES:
        python = root / place / "bin/python"
        if python.exists():
            return python.absolute(), ""
    bare = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    words = f"no environment in {' or '.join(PLACES)}: the scorer has Python's standard library alone"
    return (bare if bare.exists() else Path(sys.executable)), words
