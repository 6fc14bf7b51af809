"""The kinds of values in agent.toml: durations, sizes, rates, names; each with the words for what it is.

In: what a key holds. Out: seconds, bytes, thousandths of a core; text that was checked. Findings and the
reference print `Expects`; the JSON Schema has the patterns.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, StringConstraints

from shipway_runtime.contract import TENANT_NAME, TENANT_WORDS

DURATION = r"^(\d+(?:\.\d+)?)(ms|s|m|h|d)$"
BYTES = r"^(\d+(?:\.\d+)?)(B|kB|KB|MB|GB|Ki|Mi|Gi|KiB|MiB|GiB)?$"
CPU = r"^(\d+(?:\.\d+)?)(m?)$"
RATE = r"^(\d+)([kKM]?)/(s|min|hour|h|day)$"
SPEND = r"^(\d+(?:\.\d+)?)USD/(hour|h|day)$"

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {None: 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_BYTES |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_PERIODS = {"s": 1, "min": 60, "h": 3600, "hour": 3600, "day": 86400}
_MULTIPLES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6}


@dataclass(frozen=True, slots=True)
class Expects:
    """What a value should be, in the words of agent.toml; findings and the reference print it."""

    words: str


def _match(pattern: str, value: Any) -> re.Match[str]:
    match = re.fullmatch(pattern, value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"does not match {pattern}")
    return match


def parse_duration(value: Any) -> float:
    """`"60s"` -> 60.0. Raises ValueError for anything that is not a number with ms, s, m, h or d."""
    match = _match(DURATION, value)
    return float(match[1]) * _SECONDS[match[2]]


def parse_bytes(value: Any) -> int:
    """`"300MB"` -> 300000000, `"1Gi"` -> 1073741824. Raises ValueError otherwise."""
    match = _match(BYTES, value)
    return int(float(match[1]) * _BYTES[match[2]])


def parse_cpu(value: Any) -> int:
    """`"100m"` -> 100 thousandths of a core, `"2"` -> 2000. Raises ValueError otherwise."""
    match = _match(CPU, value)
    return int(float(match[1]) * (1 if match[2] else 1000))


def parse_rate(value: Any) -> tuple[int, int]:
    """`"2M/day"` -> (2000000, 86400): amount and seconds. Raises ValueError otherwise."""
    match = _match(RATE, value)
    return int(match[1]) * _MULTIPLES[match[2]], _PERIODS[match[3]]


def parse_spend(value: Any) -> tuple[float, int]:
    """`"20USD/day"` -> (20.0, 86400): US dollars and seconds. Raises ValueError otherwise."""
    match = _match(SPEND, value)
    return float(match[1]), _PERIODS[match[2]]


def parse_network(value: str) -> str:
    """`"10.0.0.0/8"` as it is. Raises ValueError for what is no network or address, has bits of a host, or is
    everybody."""
    if not ipaddress.ip_network(value).prefixlen:
        raise ValueError("everybody is no network")
    return value


def _text(pattern: str) -> Any:
    return Annotated[str, StringConstraints(pattern=pattern)]


Duration = Annotated[
    float,
    BeforeValidator(parse_duration, json_schema_input_type=_text(DURATION)),
    Expects('a duration such as "500ms", "60s", "5m" or "1h"'),
]
Bytes = Annotated[
    int,
    BeforeValidator(parse_bytes, json_schema_input_type=_text(BYTES)),
    Expects('a size such as "300MB", "512Mi" or "1Gi"'),
]
Cpu = Annotated[
    int,
    BeforeValidator(parse_cpu, json_schema_input_type=_text(CPU)),
    Expects('CPU in quotes, such as "100m" (a tenth of a core) or "2"'),
]
Rate = Annotated[
    tuple[int, int],
    BeforeValidator(parse_rate, json_schema_input_type=_text(RATE)),
    Expects('a rate such as "60/min" or "2M/day"'),
]
Spend = Annotated[
    tuple[float, int],
    BeforeValidator(parse_spend, json_schema_input_type=_text(SPEND)),
    Expects('a budget such as "20USD/day"'),
]
Label = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$"),
    Expects("a DNS label: lower-case letters, digits and -, at most 40"),
]
TenantName = Annotated[
    str,
    StringConstraints(pattern=f"^{TENANT_NAME}$"),
    Expects(f"the name of a tenant: {TENANT_WORDS}"),
]
SecretName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
    Expects("the name of a secret: letters, digits and _, such as CRM_TOKEN"),
]
HeaderName = Annotated[
    str,
    StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"),
    Expects("the name of an HTTP header: letters, digits and -, such as X-Api-Key"),
]
VariableName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
    Expects("the name of an environment variable: letters, digits and _, such as CATALOG_URL"),
]
Entrypoint = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\(\))?$"),
    Expects('"module:attribute", such as "support.agent:agent", or "module:make()" for a factory'),
]
FunctionName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"),
    Expects('"module:function", such as "evals.score:score"'),
]
Provider = Annotated[
    str,
    StringConstraints(pattern=r"^(anthropic|openai|gemini|https?://\S+)$"),
    Expects('"anthropic", "openai", "gemini", or the URL of an endpoint that speaks one of them'),
]
Url = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[^\s/]\S*$"),
    Expects('a URL such as "https://host.example.com/path"'),
]
Network = Annotated[
    str,
    AfterValidator(parse_network),
    Expects('a network such as "10.0.0.0/8" or "fd00::/8", or one address; "0.0.0.0/0" would be everybody'),
]
AbsolutePath = Annotated[
    str, StringConstraints(pattern=r"^/[^\s]*[^\s/]$"), Expects('an absolute path such as "/data"')
]
Platform = Literal["linux/amd64", "linux/arm64"]
Scalar = Annotated[
    str | bool | int | float | tuple[str, ...] | tuple[int, ...] | tuple[float, ...],
    Expects("text, a number, true or false, or a list of texts or of numbers"),
]
