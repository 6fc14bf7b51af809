"""What the process says about itself: log lines, outcomes, metrics, traces."""

from __future__ import annotations

import logging

log = logging.getLogger("shipway")
