"""`python -m shipway_runtime`: the entry point of every image."""

import os
import signal
import sys

# Until drain.py takes over, there is nothing to end in order. Process 1 without a handler ignores the signal.
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: os._exit(0))

from .main import main  # noqa: E402 - the imports are most of that time

sys.exit(main())
