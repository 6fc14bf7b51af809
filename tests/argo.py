"""What Argo Rollouts does with an AnalysisTemplate, as far as ours need it.

In: a template, arguments, Secrets. Out: requests as its `web` provider makes them, and what a measurement and
a whole analysis come to. Written after Argo's documents: metricproviders/webmetric, utils/evaluate and
analysis/analysis.go. Conditions are of the language expr; a form that is not known here is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx2

Phase = Literal["Successful", "Failed", "Inconclusive", "Error", "Running"]
_TOKEN = re.compile(r"""\s*(?:(\d+)|"([^"]*)"|([A-Za-z_]\w*)|(&&|\|\||==|!=|>=|<=|[!<>().\[\]]))""")


class ExpressionError(Exception):
    """Argo counts it as an error of the measurement."""


@dataclass
class Analysis:
    """An AnalysisRun of a template with one metric."""

    template: dict[str, Any]
    arguments: Mapping[str, str]
    secrets: Mapping[tuple[str, str], str]
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("ok", "no", "open", "errors"), 0))

    @property
    def metric(self) -> dict[str, Any]:
        """The metric, with its arguments in it: all text of it is looked through."""
        (metric,) = self.template["spec"]["metrics"]
        text = json.dumps(metric)
        for name, value in self._values().items():
            text = text.replace(f"{{{{args.{name}}}}}", json.dumps(value)[1:-1])
        assert "{{" not in text, text
        found: dict[str, Any] = json.loads(text)
        return found

    def _values(self) -> dict[str, str]:
        """Given ones before defaults; what nobody gives is a mistake, and so is what nobody asks for."""
        declared = self.template["spec"]["args"]
        assert set(self.arguments) <= {one["name"] for one in declared}
        return {one["name"]: self._value(one) for one in declared}

    def _value(self, one: dict[str, Any]) -> str:
        if one["name"] in self.arguments:
            return self.arguments[one["name"]]
        if "valueFrom" in one:
            key = one["valueFrom"]["secretKeyRef"]
            return self.secrets[key["name"], key["key"]]
        return str(one["value"])

    def measure(self) -> Phase:
        """One measurement: a request, and the conditions."""
        metric = self.metric
        phase = self._measured(metric)
        kind = {"Successful": "ok", "Failed": "no", "Inconclusive": "open", "Error": "errors"}[phase]
        self.counts[kind] += 1
        return phase

    def _measured(self, metric: dict[str, Any]) -> Phase:
        web = metric["provider"]["web"]
        assert web["jsonPath"] == "{$}"
        headers = {header["key"]: header["value"] for header in web["headers"]}
        try:
            with httpx2.Client(trust_env=False, timeout=10) as client:
                answer = client.request(
                    web.get("method", "GET"), web["url"], headers=headers, content=web.get("body")
                )
            if not 200 <= answer.status_code < 300:
                return "Error"
            return judge(metric, answer.json())
        except (httpx2.HTTPError, ValueError, ExpressionError):
            return "Error"

    def assess(self) -> Phase:
        """What the analysis has come to after its measurements."""
        metric, counts = self.metric, self.counts
        if counts["no"] > int(metric.get("failureLimit", 0)):
            return "Failed"
        if counts["open"] > int(metric.get("inconclusiveLimit", 0)):
            return "Inconclusive"
        if counts["errors"] > int(metric.get("consecutiveErrorLimit", 4)):
            return "Error"
        wanted = int(metric.get("consecutiveSuccessLimit", 0))
        if wanted and counts["ok"] >= wanted:
            return "Successful"
        taken = counts["ok"] + counts["no"] + counts["open"]
        if "count" in metric and taken >= int(metric["count"]):
            return "Successful"
        return "Running"


def judge(metric: Mapping[str, Any], result: Any) -> Phase:
    """What a measurement is. Without conditions every answer is a success."""
    success, failure = metric.get("successCondition"), metric.get("failureCondition")
    passes = evaluate(success, result) if success else None
    fails = evaluate(failure, result) if failure else None
    if passes is None and fails is None:
        return "Successful"
    if fails is None:
        fails = not passes
    if passes is None:
        passes = not fails
    return "Failed" if fails else "Successful" if passes else "Inconclusive"


# -- Conditions ----------------------------------------------------------------------------------------------


def evaluate(condition: str, result: Any) -> bool:
    """A condition of ours. Raises ExpressionError where expr would, or where the form is not known here."""
    value = _Expression(condition, result).value()
    if not isinstance(value, bool):
        raise ExpressionError(f"{condition} is {value!r}")
    return value


class _Expression:
    """`or` of `and` of comparisons of `!`, `len`, members and indices; both sides of && and || lazily."""

    def __init__(self, text: str, result: Any) -> None:
        self._tokens = self._read(text)
        self._at, self._result = 0, result

    @staticmethod
    def _read(text: str) -> list[tuple[str, Any]]:
        tokens: list[tuple[str, Any]] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ExpressionError(f"not known here: {text[at:]}")
            number, string, name, sign = match.groups()
            kind = "value" if number or string is not None else "name" if name else "sign"
            tokens.append((kind, int(number) if number else string if string is not None else name or sign))
            at = match.end()
        return tokens

    def value(self) -> Any:
        found = self._or()
        if self._at < len(self._tokens):
            raise ExpressionError(f"not known here: {self._tokens[self._at :]}")
        return found()

    def _take(self, *signs: str) -> str | None:
        if self._at < len(self._tokens) and self._tokens[self._at] in [("sign", sign) for sign in signs]:
            self._at += 1
            return str(self._tokens[self._at - 1][1])
        return None

    def _need(self, sign: str) -> None:
        if not self._take(sign):
            raise ExpressionError(f"{sign} is missing")

    def _or(self) -> Any:
        left = self._and()
        while self._take("||"):
            left = _lazily(left, self._and(), ends=True)
        return left

    def _and(self) -> Any:
        left = self._comparison()
        while self._take("&&"):
            left = _lazily(left, self._comparison(), ends=False)
        return left

    def _comparison(self) -> Any:
        left = self._unary()
        sign = self._take("==", "!=", ">", "<", ">=", "<=")
        if sign is None:
            return left
        right = self._unary()
        return lambda: _compare(sign, left(), right())

    def _unary(self) -> Any:
        if self._take("!"):
            inner = self._unary()
            return lambda: not _truth(inner())
        return self._member(self._atom())

    def _atom(self) -> Any:
        if self._take("("):
            inner = self._or()
            self._need(")")
            return inner
        kind, word = self._tokens[self._at]
        self._at += 1
        if kind == "value":
            return lambda: word
        if word == "len":
            self._need("(")
            inner = self._or()
            self._need(")")
            return lambda: len(inner())
        if word in ("true", "false"):
            return lambda: word == "true"
        if word != "result":
            raise ExpressionError(f"not known here: {word}")
        return lambda: self._result

    def _member(self, of: Any) -> Any:
        while sign := self._take(".", "["):
            key = self._tokens[self._at][1]
            self._at += 1
            if sign == "[":
                self._need("]")
            of = _reached(of, key)
        return of


def _reached(of: Any, key: Any) -> Any:
    def reach() -> Any:
        whole = of()
        if isinstance(whole, list):
            if not 0 <= key < len(whole):
                raise ExpressionError(f"index out of range: {key}")
            return whole[key]
        if not isinstance(whole, dict):
            raise ExpressionError(f"cannot fetch {key} from {whole!r}")
        return whole.get(key)

    return reach


def _lazily(left: Any, right: Any, *, ends: bool) -> Any:
    return lambda: ends if _truth(left()) is ends else _truth(right())


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ExpressionError(f"{value!r} is no truth")
    return value


def _compare(sign: str, left: Any, right: Any) -> bool:
    if sign in ("==", "!="):
        return (left == right) is (sign == "==")
    if not (isinstance(left, (int, float)) and isinstance(right, (int, float))):
        raise ExpressionError(f"{left!r} {sign} {right!r}")
    return {">": left > right, "<": left < right, ">=": left >= right, "<=": left <= right}[sign]
