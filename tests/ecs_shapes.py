"""The judge of documents for Amazon ECS: botocore's own model of the service, and its own validation.

In: an operation and a body. Out: what is wrong with it, one line each. botocore finds unknown and missing
keys and wrong types; values of enumerations, which it leaves to the service, are looked up in the same model.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator


@functools.cache
def service() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("ecs", "service-2"), "ecs")


def problems(operation: str, body: dict[str, Any]) -> list[str]:
    shape = service().operation_model(operation).input_shape
    assert shape is not None
    report = ParamValidator().validate(body, shape)
    found = report.generate_report().splitlines() if report.has_errors() else []
    return found or list(_enumerations(shape, body, operation))


def _enumerations(shape: Shape, value: Any, place: str) -> Iterator[str]:
    if getattr(shape, "is_document_type", False):
        return  # any JSON at all
    if shape.type_name == "structure":
        for key, one in value.items():
            yield from _enumerations(shape.members[key], one, f"{place}.{key}")
    elif shape.type_name == "list":
        for one in value:
            yield from _enumerations(shape.member, one, place)
    elif getattr(shape, "enum", None) and value not in shape.enum and not value.startswith("${"):
        yield f"{place}: {value} is none of {', '.join(shape.enum)}"
