from __future__ import annotations

import pytest

from shipway_runtime.telemetry.histogram import Histogram


def test_a_bucket_holds_its_own_bound():
    histogram = Histogram((0.5, 1, 60))
    for value in (0.0, 0.5, 0.6, 60.0, 60.1):
        histogram.observe(value)
    assert histogram.counts == [2, 1, 1, 1]
    assert histogram.sum == pytest.approx(121.2)
    assert histogram.buckets() == [("0.5", 2), ("1.0", 3), ("60.0", 4), ("+Inf", 5)]
