"""How platforms write amounts -> cores, bytes, seconds; None for what is no amount."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)")
_BYTES = {"": 1, "b": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_BINARY = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}


def cores(text: str) -> float | None:
    """`500m`, `0.5`, `2`."""
    match = _NUMBER.fullmatch(text.strip())
    return float(match[1]) / (1000 if match[2] == "m" else 1) if match and match[2] in ("", "m") else None


def in_bytes(text: str) -> float | None:
    """Kubernetes': `512Mi`, `1G`, `1e9`."""
    match = _NUMBER.fullmatch(text.strip())
    unit = match[2].lower() if match else ""
    scale = ({**_BYTES, **_BINARY}).get(unit)
    return float(match[1]) * scale if match and scale and match[2] != "m" else None


def compose_bytes(text: str) -> float | None:
    """Compose's, in which `m` and `mb` are 2 ** 20."""
    match = _NUMBER.fullmatch(text.strip())
    scale = _BINARY.get(f"{match[2][:1].lower()}i", 1) if match else 1
    return float(match[1]) * scale if match else None


def seconds(text: str) -> float | None:
    """`90s`, `1m30s`, `500ms`; a bare number is seconds."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(us|ms|h|m|s)", text.strip())
    if parts and "".join(f"{number}{unit}" for number, unit in parts) == text.strip():
        return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))
    match = _NUMBER.fullmatch(text.strip())
    return float(match[1]) if match and not match[2] else None
