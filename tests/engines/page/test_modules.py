"""The page's modules by themselves, in the browser that they are for: what is pure in them, held to a law."""

from __future__ import annotations

import json

import pytest
from tests.browser import Browser, Page
from tests.controlling import ControlProcess

PATCH = """
(async () => {
  const { h, patch } = await import("/page/dom.js");
  let seed = SEED;
  const random = (most) => (seed = (seed * 1103515245 + 12345) % 2147483648) % most;
  const item = (depth) => {
    if (random(4) === 0) return ["a", "b", "<b>", ""][random(4)] || null;
    const title = random(3) ? `t${random(3)}` : null;
    const props = { class: `c${random(3)}`, title, hidden: random(5) === 0 };
    const inside = depth ? Array.from({ length: random(4) }, () => item(depth - 1)) : [];
    return h(["p", "div", "input", "svg", "li"][random(5)], props, ...inside);
  };
  const keyed = () => [...new Set(Array.from({ length: random(9) }, () => random(12)))]
    .map((key) => h("section", { key }, h("input", { name: `of ${key}` }), item(2)));
  const kept = document.body.appendChild(document.createElement("div"));
  for (let step = 0; step < 200; step++) {
    const wanted = [item(3), ...keyed(), item(1)];
    const fields = [...kept.querySelectorAll("section > input:first-child")];
    const focused = fields[random(Math.max(1, fields.length))];
    focused?.focus();
    patch(kept, ...wanted);
    const fresh = document.createElement("div");
    patch(fresh, ...wanted);
    if (kept.innerHTML !== fresh.innerHTML)
      return `step ${step}: ${kept.innerHTML} is not ${fresh.innerHTML}`;
    if (focused?.isConnected && !focused.closest("[hidden]") && document.activeElement !== focused)
      return `step ${step}: the focus has gone`;
  }
  return "";
})()
"""


@pytest.fixture
def page(browser: Browser, control: ControlProcess) -> Page:
    page = browser.page()
    page.open(control.url)
    page.run("document.getElementById('login').remove()")
    return page


def test_a_changed_document_is_as_a_fresh_one_and_keeps_its_focus(page: Page) -> None:
    for seed in (1, 2, 3):
        assert page.run(PATCH.replace("SEED", str(seed))) == ""


def of(page: Page, expression: str) -> object:
    """What an expression of changes.js comes to; an error's message where it throws."""
    attempt = f"try {{ return {expression} }} catch (error) {{ return error.message }}"
    return page.run(f"import('/page/changes.js').then(c => {{ {attempt} }})")


LIMITS = [
    ("requests", "60/min", [60, 60]),
    ("requests", " 10 / s ", [10, 1]),
    ("requests", "5/30s", [5, 30]),
    ("tokens", "2M/day", [2_000_000, 86_400]),
    ("tokens", "1.5k/h", [1500, 3600]),
    ("spend_usd", "20USD/day", [20, 86_400]),
    ("spend_usd", "$7.50/h", [7.5, 3600]),
    ("concurrency", "50", 50),
    ("requests", "", None),
    ("requests", "60", "“60” is no limit; for example 60/min"),
    ("requests", "0/min", "“0/min” is no limit; for example 60/min"),
    ("requests", "1.5/min", "“1.5/min” is no limit; for example 60/min"),
    ("concurrency", "50/min", "“50/min” is no limit; for example 50"),
    ("tokens", "lots", "“lots” is no limit; for example 2M/day"),
]


def test_limits_are_read_and_written(page: Page) -> None:
    found = [(which, text, of(page, f"c.read({which!r}, {text!r}) ?? null")) for which, text, _ in LIMITS]
    assert found == LIMITS
    for which, _, value in LIMITS:
        if isinstance(value, list):
            assert of(page, f"c.read({which!r}, c.written({which!r}, {value!r}))") == value


def test_a_difference_put_on_one_policy_makes_the_other(page: Page) -> None:
    """And leaves alone what the page knows nothing of."""
    one = {
        "kill": {"all": True, "tools": ["a", "b"], "servers": ["s"]},
        "limits": {"requests": [1, 60]},
        "tenants": {"x": {"tokens": [5, 60]}},
        "model": "m",
        "format": 1,
        "later": {"unknown": 1},
    }
    other = {
        "kill": {"tools": ["b", "c/d"]},
        "tenants": {"y": {"concurrency": 2}},
        "limits": {"requests": [2, 60]},
    }
    made = of(page, f"c.changed({json.dumps(one)}, c.difference({json.dumps(one)}, {json.dumps(other)}))")
    assert isinstance(made, dict)
    assert of(page, f"c.difference({json.dumps(made)}, {json.dumps(other)}).size") == 0
    assert made["tenants"] == {"y": {"concurrency": 2}}
    assert made["kill"] == {"all": False, "tools": ["b", "c/d"], "servers": []}
    assert (made["later"], made["format"], made["model"]) == ({"unknown": 1}, 1, None)
