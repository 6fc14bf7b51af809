"""What tokens cost: `model.prices`, applied to what a turn has used.

In: a model with its prices, and usages. Out: US dollars; None where there is no price to go by. Cached input
counts as input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..contract import Model, Price
    from ..telemetry.tally import Tally

MILLION = 1_000_000


def price_of(model: Model, name: str | None = None) -> Price | None:
    """What the model `name` costs. Providers answer with a longer name than they were asked for,
    such as one that ends in a date. A model that has no price costs what the turn's own model does."""
    named = (known for known in model.prices if name == known or (name or "").startswith(f"{known}-"))
    return model.prices.get(max(named, key=len, default=model.name))


def cost_of(tally: Tally, model: Model | None) -> float | None:
    """What a turn has cost; None where it reported no usage, or nothing says what that costs."""
    if model is None or not tally.usages:
        return None
    total = 0.0
    for usage in tally.usages:
        if (price := price_of(model, usage.model)) is None:
            return None
        total += (usage.input * price.input + usage.output * price.output) / MILLION
    return round(total, 9)
