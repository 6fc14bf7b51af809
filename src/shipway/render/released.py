"""The stack of an environment with the images of a release.

In: agent.toml, and the release's file. Out: a StackPlan. Raises SpecError for an environment that has no
release, and for a release that is not of this stack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from shipway.errors import Finding, SpecError
from shipway.plan.stack import DEVELOPMENT, StackPlan, plan_stack
from shipway_runtime import contract

if TYPE_CHECKING:
    from pathlib import Path

    from shipway.spec.load import Loaded

RULE = "release"
FILE = ".shipway/release.json"
_BUILD = "run `shipway build --push`, or name another one: --release F"


def plan_released(loaded: Loaded, environment: str, root: Path, file: Path | None) -> StackPlan:
    """The stack. Development has the images that are on this machine under their names: an engine that was
    given them by `--load` does not know them by digest."""
    if file is None and environment == DEVELOPMENT:
        return plan_stack(loaded, environment)
    release = _read(place := file or root / FILE)
    if release.name != loaded.spec.name:
        _refuse(f"{place} is a release of {release.name}, and this is {loaded.spec.name}")
    try:
        return plan_stack(loaded, environment, release)
    except KeyError as error:
        _refuse(f"{place} has no image {error.args[0]}: agent.toml has changed since it was built")


def _read(place: Path) -> contract.Release:
    try:
        return contract.decode(contract.Release, place.read_text(encoding="utf-8"), str(place))
    except FileNotFoundError:
        _refuse(f"there is no release in {place}, and what is deployed is named by its digest")
    except (OSError, UnicodeDecodeError, contract.ContractError) as error:
        _refuse(f"{place} cannot be read: {error}")


def _refuse(message: str) -> NoReturn:
    raise SpecError([Finding(RULE, message, _BUILD)])
