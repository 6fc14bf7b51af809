"""What people write as a port."""

from __future__ import annotations

import pytest

from shipway.deploy.ports import Port, parse


def test_a_port_may_have_an_address() -> None:
    assert parse("443") == Port("", 443)
    assert parse("127.0.0.1:8080") == Port("127.0.0.1", 8080)


@pytest.mark.parametrize("text", ["", "0", "65536", "http", "localhost:80", "1.2.3.4:"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected PORT or ADDRESS:PORT"):
        parse(text)
