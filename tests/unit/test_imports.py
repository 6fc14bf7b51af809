"""What commands do not import: most of their time would go into what they do not use."""

from __future__ import annotations

import subprocess
import sys

import pytest

BUILD = (
    "shipway.cli.main",
    "shipway.cli.build",
    "shipway.spec.load",
    "shipway.build.image",
    "shipway.build.registries.pool",
)
UNUSED = ("httpx2", "http.server", "debian", "cyclonedx", "pysequoia", "packaging.requirements", "difflib")


@pytest.mark.parametrize(
    ("modules", "unused"),
    [
        (("shipway.cli.main",), ("shipway.spec", "shipway.build", "pydantic", "rich", *UNUSED)),
        (BUILD, UNUSED),
    ],
    ids=["help", "build"],
)
def test_what_is_not_used_is_not_imported(modules: tuple[str, ...], unused: tuple[str, ...]) -> None:
    program = f"import {', '.join(modules)}, sys; print(*sys.modules)"
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=True)
    assert set(modules) <= set(done.stdout.split())
    assert not set(unused) & set(done.stdout.split())
