"""Which names are this machine's, whatever a name server says.

In: a host as a URL has it, without port and brackets. Out: whether it is loopback.
"""

from __future__ import annotations

import ipaddress


def is_loopback(host: str | None) -> bool:
    """localhost, and the addresses of 127.0.0.0/8 and ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
