"""docs/benchmarks.md: every table is what the last run wrote, and every result is on the page."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
RESULTS = {path.stem: path for path in (ROOT / "bench/results").glob("*.json")}


def table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_table", ROOT / "bench/table.py")
    assert spec
    assert spec.loader
    module = sys.modules["bench_table"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_those_of_the_results() -> None:
    assert table().filled(PAGE) == PAGE, "run: make bench"


def test_every_result_is_on_the_page_and_every_metric_in_its_table() -> None:
    assert set(re.findall(r"<!-- bench: (\w+) -->", PAGE)) == set(RESULTS)
    for path in RESULTS.values():
        for row in json.loads(path.read_text())["rows"]:
            assert f"| {row['metric']} |" in PAGE
            assert set(row) - {"note"} == {"metric", "unit", "ours", "peer", "peer_name", "ratio", "target"}


def test_a_table_has_a_column_for_each_peer() -> None:
    one = {"metric": "m", "unit": "s", "ours": 1.234, "target": "<= 1 x"}
    rows = [
        one | {"peer": 2.0, "peer_name": "A", "ratio": 0.62},
        one | {"peer": 4.0, "peer_name": "B", "ratio": 0.31, "target": ""},
        {"metric": "n", "unit": "MB", "ours": 5.0, "target": ""}
        | dict.fromkeys(("peer", "peer_name", "ratio")),
        one | {"metric": "o", "peer": None, "peer_name": "B", "ratio": None, "note": "never", "target": ""},
    ]
    assert table()._table(rows).splitlines() == [
        "|  | shipway | A | ratio | B | ratio | target |",
        "| --- | --: | --: | --: | --: | --: | --- |",
        "| m | 1.23 s | 2 s | 0.62 | 4 s | 0.31 | <= 1 x |",
        "| n | 5 MB |  |  |  |  |  |",
        "| o | 1.23 s |  |  | never |  |  |",
    ]
