"""docs/reference/formats.md names every key and variable of the contract, and no others."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from shipway_runtime import contract

PAGE = Path("docs/reference/formats.md").read_text()
TYPES = [t for t in vars(contract).values() if dataclasses.is_dataclass(t) and isinstance(t, type)]


def words() -> set[str]:
    return set(re.findall(r"`([^`\s]+)`", PAGE))


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_every_key_is_documented(kind: type) -> None:
    assert kind.__name__ in PAGE
    assert {field.name for field in dataclasses.fields(kind)} <= words()


def test_every_variable_is_documented() -> None:
    names = {v for k, v in vars(contract.env).items() if k.isupper()}
    assert set(re.findall(r"`(SHIPWAY_[A-Z_]+)`", PAGE)) == names


def test_defaults_are_the_contracts() -> None:
    for path in (contract.MANIFEST, contract.CONFIG, contract.POLICY, contract.SECRETS, contract.SOURCE):
        assert f"`{path}`" in PAGE
    assert f"{contract.API_PORT}, {contract.ADMIN_PORT}, {contract.RELAY_PORT}" in PAGE
    assert f'"format": {contract.FORMAT}' in PAGE
