from __future__ import annotations

import typing

import pytest

from shipway.spec import model
from shipway.spec.model import Mcp, Section
from shipway.spec.values import parse_bytes, parse_cpu, parse_duration, parse_rate, parse_spend

OVERLAYS = [
    (model.EnvModel, model.Model),
    (model.EnvResources, model.Resources),
    (model.EnvApi, model.Api),
    (model.EnvStorage, model.Storage),
    (model.EnvHealth, model.Health),
]


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_duration, "500ms", 0.5),
        (parse_duration, "1.5h", 5400.0),
        (parse_bytes, "300MB", 300_000_000),
        (parse_bytes, "1Gi", 2**30),
        (parse_bytes, "12", 12),
        (parse_cpu, "100m", 100),
        (parse_cpu, "1.5", 1500),
        (parse_rate, "2M/day", (2_000_000, 86_400)),
        (parse_rate, "60/min", (60, 60)),
        (parse_spend, "20USD/day", (20.0, 86_400)),
    ],
)
def test_values_written_as_text(parse: typing.Callable[[object], object], text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "value"),
    [
        (parse_duration, 60),
        (parse_duration, "60"),
        (parse_duration, "-1s"),
        (parse_bytes, "1Tb"),
        (parse_bytes, 300),
        (parse_cpu, 1),
        (parse_rate, "60/week"),
        (parse_spend, "20EUR/day"),
    ],
)
def test_other_values_are_refused(parse: typing.Callable[[object], object], value: object) -> None:
    with pytest.raises(ValueError):
        parse(value)


@pytest.mark.parametrize(
    ("table", "shape"),
    [
        ({"run": "pypi:x"}, "inside"),
        ({"url": "https://crm.example.com"}, "service"),
        ({"url": "https://crm.example.com", "run": "pypi:x"}, "inside"),
        ({"url": "https://crm.example.com", "shape": "sidecar"}, "sidecar"),
    ],
)
def test_the_shape_of_a_server_that_does_not_say(table: dict[str, str], shape: str) -> None:
    assert Mcp.model_validate(table).shape == shape


@pytest.mark.parametrize(("overlay", "base"), OVERLAYS)
def test_an_environment_knows_the_same_keys(overlay: type[Section], base: type[Section]) -> None:
    """Each key with the same type, optional, and without a default that would hide the file's."""
    assert list(overlay.model_fields) == list(base.model_fields)
    own, others = (typing.get_type_hints(kind, include_extras=True) for kind in (overlay, base))
    for name, field in overlay.model_fields.items():
        assert field.default is None
        assert field.metadata == base.model_fields[name].metadata or not field.metadata
        assert own[name] in (others[name], others[name] | None)
