from __future__ import annotations

from pathlib import Path

import pytest
from tests.kubernetes import LARGE, SMALL, container, pod, stack

from shipway.render.kubernetes import render
from shipway.render.kubernetes.grace import DRAIN_DELAY_S, of_agent, of_server


@pytest.mark.parametrize(
    ("text", "plain", "total"),
    [
        (SMALL, False, 60 + 15),
        (SMALL + '[health]\ngrace = "1500ms"\n', False, 2 + 15),
        (LARGE, False, 90 + 15 + 3 * 10),  # native sidecars end one after the other
        (LARGE, True, 90 + 15 + 10),  # plain ones together
    ],
)
def test_it_is_the_sum_of_what_comes_one_after_the_other(
    tmp_path: Path, text: str, plain: bool, total: int
) -> None:
    plan = stack(tmp_path, text)
    assert of_agent(plan, plain=plain).total == total
    rendered = render(plan, plain=plain)
    assert pod(rendered)["terminationGracePeriodSeconds"] == total
    assert f"# terminationGracePeriodSeconds: {total} = " in rendered.owned["base/deployment.yaml"]


def test_the_sum_is_shown(tmp_path: Path) -> None:
    assert of_agent(stack(tmp_path), plain=False).explained() == (
        "terminationGracePeriodSeconds: 135 = 90 for turns in flight, [health] grace + 15 to end what is left"
        " + 30 until the sidecars have ended.\n"
    )


def test_it_is_what_the_page_on_stopping_promises() -> None:
    page = Path("docs/reference/stopping.md").read_text()
    assert "From the signal to the end it takes at most `grace` + 15 s" in page


def test_the_runtime_waits_for_the_news_to_travel_and_needs_no_pre_stop(tmp_path: Path) -> None:
    agent = container(render(stack(tmp_path)), "agent")
    assert {"name": "SHIPWAY_DRAIN_DELAY", "value": str(DRAIN_DELAY_S)} in agent["env"]
    assert "lifecycle" not in agent


def test_a_server_apart_ends_after_its_longest_call(tmp_path: Path) -> None:
    plan = stack(tmp_path)
    (crm, _) = plan.apart
    assert of_server(plan, crm) == (5 + 45, 5 + 45 + 10)
    native = container(render(plan), "mcp-crm", "support-mcp-crm")
    assert native["lifecycle"]["preStop"] == {"sleep": {"seconds": 50}}
    old = container(render(plan, plain=True), "mcp-crm", "support-mcp-crm")
    assert old["lifecycle"]["preStop"]["exec"]["command"][-1] == "import time; time.sleep(50)"
    foreign = container(render(plan, plain=True), "mcp-search", "support-mcp-search")
    assert "lifecycle" not in foreign
