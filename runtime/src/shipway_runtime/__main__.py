"""`python -m shipway_runtime`: the entry point of every image."""

import sys

from .main import main

sys.exit(main())
