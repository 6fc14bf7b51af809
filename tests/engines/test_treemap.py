"""A real Chromium shows the treemap, zooms by mouse and keyboard, and keeps what is hostile out."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from tests.layout import distribution, write_layout

from shipway.build.inspection.image_source import open_image
from shipway.build.inspection.inspect import inspect
from shipway.build.inspection.treemap import treemap

EVIL = '<img src="x" onerror="document.title=1"><script>document.title=2</script>'
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--virtual-time-budget=3000", "--dump-dom"),
)
PROBE = """
<!doctype html><meta charset="utf-8">
<iframe id="page" src="page.html" style="width:WIDTHpx;height:900px;border:0"></iframe>
<pre id="result"></pre>
<script>
document.getElementById("page").onload = () => setTimeout(() => {
  const page = document.getElementById("page").contentDocument;
  const view = document.getElementById("page").contentWindow;
  const tiles = () => [...page.querySelectorAll("#map button")];
  const key = (name, at) => at.dispatchEvent(new view.KeyboardEvent("keydown", { key: name, bubbles: true }));
  const crumbs = () => [...page.querySelectorAll("#crumbs li")].map((item) => item.textContent);
  const seen = { title: page.title, start: tiles().map((tile) => tile.getAttribute("aria-label")) };
  const box = page.getElementById("map").getBoundingClientRect();
  seen.inside = tiles().every((tile) => {
    const at = tile.getBoundingClientRect();
    const across = at.left >= box.left - 1 && at.right <= box.right + 1;
    return across && at.top >= box.top - 1 && at.bottom <= box.bottom + 1;
  });
  seen.sideways = page.documentElement.scrollWidth > view.innerWidth;
  seen.tabStops = tiles().filter((tile) => tile.tabIndex === 0).length;
  tiles().find((tile) => tile.getAttribute("aria-label").startsWith("large")).click();
  seen.zoomed = { crumbs: crumbs(), tiles: tiles().map((tile) => tile.getAttribute("aria-label")) };
  seen.live = page.getElementById("live").textContent;
  tiles()[0].focus();
  key("ArrowDown", tiles()[0]);
  key("ArrowRight", tiles()[0]);
  seen.moved = page.activeElement !== tiles()[0];
  seen.about = page.getElementById("about").textContent;
  key("Escape", page.body);
  seen.back = crumbs();
  const search = page.getElementById("search");
  search.value = "small";
  search.dispatchEvent(new view.Event("input"));
  seen.rows = [...page.querySelectorAll("#rows tr")].filter((row) => !row.hidden).length;
  seen.hits = page.querySelectorAll("#map .hit").length;
  seen.dimmed = page.querySelectorAll("#map .dim").length;
  seen.images = page.querySelectorAll("img").length;
  document.getElementById("result").textContent = JSON.stringify(seen);
}, 500);
</script>
"""


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def seen(request: pytest.FixtureRequest, engine: Callable[[str], str], tmp_path: Path) -> dict[str, Any]:
    """What the browser found in the page of an image with a hostile name in it."""
    chromium = engine("chromium")
    large = distribution("large", "1.0", {"large/a/x": b"1" * 500_000, "large/b/x": b"2" * 300_000})
    small = distribution("small", "2.0", {"small.py": b"3" * 400_000})
    layout = {
        "a:1": [{"opt/x": b"4" * 200_000}, large | small, distribution(EVIL, "1", {"e.py": b"5" * 90_000})]
    }
    write_layout(tmp_path / "image", layout)
    (tmp_path / "page.html").write_text(treemap(inspect(open_image(str(tmp_path / "image")))))
    (tmp_path / "probe.html").write_text(PROBE.replace("WIDTH", str(request.param)))
    command = [
        *(chromium, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--allow-file-access-from-files"),
        *("--window-size=1400,1000", f"file://{tmp_path / 'probe.html'}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    match = re.search(r'<pre id="result">(.+?)</pre>', done.stdout, re.DOTALL)
    assert match, done.stdout[-2000:] + done.stderr[-2000:]
    found: dict[str, Any] = json.loads(unescape(match[1]))
    return found


def test_the_page_works_and_nothing_in_an_image_acts(seen: dict[str, Any]) -> None:
    assert seen["title"] == "a:1: what the image is made of"
    assert seen["images"] == 0
    labels = [label for label in seen["start"] if label.startswith(("large 1.0", "small 2.0", "opt, "))]
    assert len(labels) == 3
    assert "large 1.0, Python, 0.8 MB, " in next(label for label in labels if label.startswith("large"))
    assert seen["inside"]
    assert not seen["sideways"]
    assert seen["tabStops"] == 1


def test_a_package_opens_and_closes(seen: dict[str, Any]) -> None:
    assert seen["zoomed"]["crumbs"] == ["a:1", "layer 1", "large"]
    assert [label.split(",")[0] for label in seen["zoomed"]["tiles"][:2]] == ["a", "b"]
    assert seen["live"].startswith("large, 0.8 MB, ")
    assert seen["moved"]
    assert seen["about"].endswith(" · Python")
    assert not seen["about"].startswith("large ")
    assert seen["back"] == ["a:1", "layer 1"]


def test_search_shows_what_it_finds_in_map_and_table(seen: dict[str, Any]) -> None:
    assert seen["rows"] == 1
    assert seen["hits"] >= 1
    assert seen["dimmed"] >= 1
