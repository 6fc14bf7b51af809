"""Kustomize itself, as a shared library: what `kubectl apply -k` would send."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from tests.installing import missing

from shipway.render.emit import Rendered

KUSTOMIZE = "pykustomize==0.1.4"
"""From a wheel for a newer Python: it is loaded without that."""
Kustomize = Callable[[Path], list[dict[str, Any]]]


def kustomize(place: Path) -> Kustomize:
    """`kustomize build DIR`: its objects. Skips where the library cannot be had."""
    uv = Path(sys.executable).with_name("uv")
    options = ("-q", "--no-deps", "--python-version", "3.14", "--target", place)
    done = subprocess.run([uv, "pip", "install", *options, KUSTOMIZE], capture_output=True, text=True)
    libraries = list(place.glob("pykustomize/_lib/linux-*/libpykustomize.so"))
    if done.returncode or not libraries:
        missing(f"{KUSTOMIZE}: {done.stderr.strip()[-300:]}")
    library = ctypes.CDLL(str(libraries[0]))
    library.pykustomize_last_error.restype = ctypes.c_char_p

    def build(directory: Path) -> list[dict[str, Any]]:
        text = ctypes.c_char_p()
        if library.pykustomize_build(os.fsencode(directory), b"{}", ctypes.byref(text)):
            raise AssertionError(library.pykustomize_last_error().decode())
        return list(yaml.safe_load_all((text.value or b"").decode()))

    return build


def written(directory: Path, rendered: Rendered) -> Path:
    """The files of a target, on disk."""
    for name, text in {**rendered.owned, **rendered.once}.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory
