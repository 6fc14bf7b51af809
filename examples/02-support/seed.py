"""Makes the repository that the recordings in replays/ were made with: `python seed.py DIR`.

Names and dates are fixed, so the commits have the same ids wherever it runs. Needs git.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMMITS = [
    (
        "2026-11-12T10:05:00+01:00",
        "Take orders over HTTP",
        "orders.py",
        "def take(order):\n    store(order)\n",
    ),
    (
        "2026-11-19T16:40:00+01:00",
        "Retry a payment webhook three times before giving up",
        "webhooks.py",
        "ATTEMPTS = 3\n\n\ndef deliver(event):\n    retry(event, ATTEMPTS)\n",
    ),
]


def seed(directory: Path) -> None:
    """Create the repository in a directory that is new or empty."""
    directory.mkdir(parents=True, exist_ok=True)
    git(directory, "2026-11-12T10:00:00+01:00", "init", "--quiet", "--initial-branch=main")
    for date, message, file, content in COMMITS:
        (directory / file).write_text(content)
        git(directory, date, "add", file)
        git(directory, date, "commit", "--quiet", "--no-gpg-sign", "--message", message)


def git(directory: Path, date: str, *arguments: str) -> None:
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Mika Lund"), ("EMAIL", "mika@example.com"), ("DATE", date))
    }
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", *arguments], cwd=directory, env={**os.environ, **who, **settings}, check=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python seed.py DIR")
    if any(Path(sys.argv[1]).glob("*")):
        sys.exit(f"{sys.argv[1]} is not empty: choose a directory that is new")
    seed(Path(sys.argv[1]))
