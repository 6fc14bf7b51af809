"""The stack of an environment with the images of a release.

In: agent.toml, and the release's file. Out: a StackPlan. Raises SpecError for an environment that has no
release, and for a release that is not of this stack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.errors import Finding, SpecError
from shipway.plan.stack import DEVELOPMENT, StackPlan, plan_stack
from shipway_runtime import contract

if TYPE_CHECKING:
    from pathlib import Path

    from shipway.spec.load import Loaded

RULE = "release"
FILE = ".shipway/release.json"
_PUSH = "run `shipway build --push`, or name another one: --release F"


def plan_released(loaded: Loaded, environment: str, root: Path, file: Path | None) -> StackPlan:
    """The stack. Development has the images that are on this machine under their names: an engine that was
    given them by `--load` does not know them by digest."""
    if file is None and environment == DEVELOPMENT:
        return plan_stack(loaded, environment)
    release = read_release(loaded.spec.name, file or root / FILE)
    try:
        return plan_stack(loaded, environment, release)
    except KeyError as error:
        raise lacking(file or root / FILE, str(error.args[0])) from None


def read_release(name: str, place: Path, fix: str = _PUSH) -> contract.Release:
    """The release of this agent that is in this file. Raises SpecError; `fix` says how to make one."""
    try:
        release = contract.decode(contract.Release, place.read_text(encoding="utf-8"), str(place))
    except FileNotFoundError:
        raise _refusal(
            f"there is no release in {place}, and what is deployed is named by its digest", fix
        ) from None
    except (OSError, UnicodeDecodeError, contract.ContractError) as error:
        raise _refusal(f"{place} cannot be read: {error}", fix) from None
    if release.name != name:
        raise _refusal(f"{place} is a release of {release.name}, and this is {name}", fix)
    return release


def lacking(place: Path, role: str, fix: str = _PUSH) -> SpecError:
    """A release without an image that the stack has by now."""
    return _refusal(f"{place} has no image {role}: agent.toml has changed since it was built", fix)


def _refusal(message: str, fix: str) -> SpecError:
    return SpecError([Finding(RULE, message, fix)])
