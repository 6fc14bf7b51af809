"""What every layer of one platform's image is made with, and what every layer has to pass.

In: a layer's name, inputs and entries. Out: the layer, from the cache or made; SpecError when a file in it
is for another machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.build.cache import Cache, Holds, nothing
from shipway.build.environments.bytecode import Interpreter
from shipway.build.environments.elf import check_machines
from shipway.build.environments.requirements import uv_platform
from shipway.errors import SpecError
from shipway.plan.image import Python

if TYPE_CHECKING:
    from shipway.build.layers import Entry, Layer


@dataclass(frozen=True, slots=True)
class Toolchain:
    """One platform's tools. `compiled_by` is the Python that makes bytecode, part of every layer's key."""

    platform: str
    python: Python
    options: tuple[str, ...]
    """uv's, for this platform and Python."""
    interpreter: Interpreter
    compiled_by: str
    cache: Cache
    say: Callable[[str], None]
    root: Path
    """The project, whose uv settings say where packages come from."""

    @property
    def target(self) -> str:
        """Python and platform, by which uv chooses among the wheels of a pin. Part of keys."""
        return f"Python {self.python.version}, {uv_platform(self.python, self.platform)}"

    def layer(
        self,
        name: str,
        made_from: Mapping[str, str],
        entries: Callable[[], Iterable[Entry]],
        holds: Holds = nothing,
    ) -> Layer:
        """The layer of these inputs. Raises SpecError for programs that this platform cannot run."""

        def checked() -> Iterable[Entry]:
            made = list(entries())
            if findings := check_machines(made, self.platform):
                raise SpecError(findings)
            return made

        return self.cache.layer(name, made_from, checked, holds)
