"""One exchange with a token endpoint: OAuth 2.0 client credentials, or RFC 8693's token exchange.

In: the broker of agent.toml, and what it is to be shown. Out: `Token`; or TokenError, in one sentence that
holds no value of a secret, whatever the endpoint has echoed. Redirects are not followed: they would carry the
client's secret elsewhere.

The client shows itself by HTTP Basic. Where the endpoint knows no such client, it is asked once more with
the secret in the body, and the way that worked is kept: some endpoints take nothing else, and others do not
undo the form encoding that RFC 6749 wants under Basic.
Sources: RFC 6749 2.3.1, 4.4, 5.1 and 5.2; RFC 8693 2.1 and 2.2.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode

from .. import client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..contract import Broker

_TIMEOUT_S = 10.0
_MAX_ANSWER = 2**18  # bytes; tokens with many claims have a few thousand
_LONGEST_WORDS = 200  # characters of what an endpoint says
_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_TYPE = "urn:ietf:params:oauth:token-type:"
_USABLE = {"bearer", "n_a"}  # N_A: RFC 8693's word for a token that is no access token
_TOKEN = re.compile(r"[\x21-\x7e]+")  # what a header can carry


@dataclass(frozen=True, slots=True)
class Token:
    """`life_s`: seconds from the moment it was asked for; None where the endpoint does not say."""

    value: str = field(repr=False)
    life_s: int | None


class TokenError(Exception):
    """No token, and why. `retry_s` is how long the endpoint wants to be left alone; `code` is OAuth's."""

    def __init__(self, message: str, *, code: str = "", status: int = 0, retry_s: float = 0.0) -> None:
        super().__init__(message)
        self.code, self.status, self.retry_s = code, status, retry_s

    @property
    def stranger(self) -> bool:
        """Whether the endpoint did not see who asks, which may be for where it looked."""
        return self.status == 401 or (
            self.status == 400 and self.code in ("invalid_client", "invalid_request")
        )


class TokenEndpoint:
    """The endpoint of one broker. `redact` takes values of secrets out of what it says."""

    def __init__(self, broker: Broker, redact: Callable[[str], str]) -> None:
        self._broker = broker
        self._redact = redact
        self._secret_in_body = False

    async def ask(self, secret: str | None, identity: str | None) -> Token:
        """A new token for a client's secret, an identity token, or both. Raises TokenError."""
        form = grant(self._broker, identity)
        try:
            return await self._post(form, secret, in_body=self._secret_in_body)
        except TokenError as error:
            if secret is None or not error.stranger:
                raise
            refused = error
        try:
            token = await self._post(form, secret, in_body=not self._secret_in_body)
        except TokenError:
            raise refused from None
        self._secret_in_body = not self._secret_in_body
        return token

    async def _post(self, form: Mapping[str, str], secret: str | None, *, in_body: bool) -> Token:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if secret is None or in_body:
            form = {**form, "client_id": self._broker.client_id}
            form |= {} if secret is None else {"client_secret": secret}
        else:
            headers["authorization"] = f"Basic {basic(self._broker.client_id, secret)}"
        answer = await self._exchange(headers, urlencode(form).encode())
        if not 200 <= answer.status < 300:
            raise self._refusal(answer.status, answer.headers, answer.content)
        try:
            return token_of(answer.content)
        except TokenError as error:
            raise TokenError(f"{self._url} {error}") from None

    async def _exchange(self, headers: Mapping[str, str], body: bytes) -> client.Answer:
        try:
            return await client.request(
                "POST", self._url, headers, body, limit=_MAX_ANSWER, timeout_s=_TIMEOUT_S
            )
        except client.ClientError as error:
            detail = "" if error.words is None else f": {self._words(error.words)}"
            raise TokenError(f"{error}{detail}") from None

    def _refusal(self, status: int, headers: Mapping[str, str], content: bytes) -> TokenError:
        wait = headers.get("retry-after", "")
        retry_s = float(wait) if re.fullmatch(r"\d{1,6}", wait) else 0.0
        if 300 <= status < 400:
            target = self._words(headers.get("location", "nowhere"))
            seen = f"HTTP {status} to {target}; redirects are not followed, so set the final URL"
            return TokenError(f"{self._url} answered {seen}", status=status, retry_s=retry_s)
        said = _object(content)
        words = [word for k in ("error", "error_description") if isinstance(word := said.get(k), str)]
        detail = ": ".join([f"HTTP {status}", *map(self._words, words)])
        code = str(said.get("error", ""))
        return TokenError(f"{self._url} refused: {detail}", code=code, status=status, retry_s=retry_s)

    def _words(self, text: str) -> str:
        """What others say, for one line of a log; redacted before it is cut, or half a value might stay."""
        clean = "".join(c if c.isprintable() else " " for c in self._redact(text)).strip()
        return clean if len(clean) <= _LONGEST_WORDS else f"{clean[:_LONGEST_WORDS]}…"

    @property
    def _url(self) -> str:
        return self._broker.token_url


def grant(broker: Broker, identity: str | None) -> dict[str, str]:
    """What is asked for, as the form's parameters; an identity token is exchanged."""
    form = {"grant_type": "client_credentials"}
    if identity is not None:
        form = {
            "grant_type": _GRANT,
            "subject_token": identity,
            "subject_token_type": f"{_TYPE}jwt",
            "requested_token_type": f"{_TYPE}access_token",
        }
    return form | ({"scope": broker.scope} if broker.scope else {})


def basic(client_id: str, secret: str) -> str:
    """The credentials of HTTP Basic, each form-encoded first (RFC 6749 2.3.1)."""
    return base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


def token_of(content: bytes) -> Token:
    """The token of a successful answer. Raises TokenError, without the endpoint's name."""
    answer = _object(content)
    value, kind = answer.get("access_token"), answer.get("token_type") or "bearer"
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise TokenError("answered without an access_token that a header can carry")
    if not isinstance(kind, str) or kind.lower() not in _USABLE:
        raise TokenError("gave a token that is not of the type Bearer")
    return Token(value, _life(answer.get("expires_in")))


def _life(said: Any) -> int | None:
    """Seconds; some endpoints write them in quotes."""
    if said is None:
        return None
    if isinstance(said, str | int | float) and not isinstance(said, bool):
        whole = re.fullmatch(r"(\d{1,10})(\.0+)?", str(said))
        if whole and int(whole[1]) > 0:
            return int(whole[1])
    raise TokenError("answered with an expires_in that is no number of seconds above 0")


def _object(content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
