"""Which of a model's declared candidates a turn gets. Pure.

In: the model as agent.toml says, the policy. Out: the same model under the name that holds now; None when
every candidate is switched off. The policy's choice counts for everybody who declares it as a fallback.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..contract import Model
    from .merge import Effective


def choose(model: Model, policy: Effective) -> Model | None:
    """The policy's choice, else the model itself; where that is switched off, the first fallback that is not.

    Whoever switched away from a model does not want it back when the fallback fails: it is no candidate then.
    """
    first = policy.model if policy.model in model.fallbacks else model.name
    alive = [name for name in (first, *model.fallbacks) if name not in policy.kill.models]
    if not alive:
        return None
    if alive == [model.name, *model.fallbacks]:
        return model
    name = alive[0]
    return dataclasses.replace(
        model, name=name, fallbacks=tuple(other for other in alive[1:] if other != name)
    )
