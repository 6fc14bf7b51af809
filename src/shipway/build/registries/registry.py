"""One repository of a registry, spoken to by the OCI distribution protocol.

In: a reference, the environment. Out: answers, manifests; blobs travel in transfer.py. Authorization goes to
the registry itself and to no other origin, wherever it redirects; HTTPS never becomes HTTP. No answer, 408,
429 and server errors are tried again, a bounded number of times; what the registry refuses is told at once,
with the credentials that were tried and where they are from. Source: OCI distribution-spec 1.1.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2

from shipway.build.registries.authorization import Authorization, tried
from shipway.build.registries.clients import Clients
from shipway.build.registries.credentials import find_credential
from shipway.build.registries.reference import is_digest, is_loopback
from shipway.errors import BuildError, TamperedError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.build.registries.reference import Reference

T = TypeVar("T")

INSECURE = "SHIPWAY_INSECURE_REGISTRIES"
MANIFEST_LIMIT = 4 << 20  # bytes; what registries accept at most
PULL, PUSH = "pull", "pull,push"
KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)

_TIMEOUT = httpx2.Timeout(60, connect=10)
_HOPS = 5
_LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True)
class Retries:
    """How often something is tried, and the pause before the second time; it doubles, with jitter."""

    attempts: int = 8
    pause_s: float = 0.1

    def run(self, what: str, attempt: Callable[[], T]) -> T:
        """The attempt's result. Raises UnreachableError when none succeeded."""
        number = 0
        while True:
            try:
                return attempt()
            except httpx2.InvalidURL as error:
                raise BuildError(f"{what}: the registry gives an address that is none: {error}") from error
            except httpx2.HTTPError as error:
                number += 1
                if number >= self.attempts:
                    message = f"{what}: no success in {number} attempts: {_reason(error)}"
                    hint = "check the network and the registry; what has arrived is not sent again"
                    raise UnreachableError(message, hint) from error
                time.sleep(self._pause(number, error))

    def _pause(self, number: int, error: httpx2.HTTPError) -> float:
        asked = ""
        if isinstance(error, httpx2.HTTPStatusError):
            asked = error.response.headers.get("Retry-After", "")
        if asked.isdigit():
            return min(float(asked), _LONGEST_PAUSE_S)
        longest = min(self.pause_s * (1 << (number - 1)), _LONGEST_PAUSE_S)
        return longest * (0.5 + random.random() / 2)  # noqa: S311 - so that many clients do not return at once


PATIENT = Retries()
"""About ten seconds in all."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or index as it travels: `data` hashes to `digest`."""

    media_type: str
    digest: str
    data: bytes

    def document(self, *keys: str) -> dict[str, Any]:
        """The JSON object, which has these keys. Raises BuildError if not."""
        try:
            document = json.loads(self.data)
        except ValueError:
            document = None
        if not isinstance(document, dict) or not all(document.get(key) is not None for key in keys):
            wanted = f"a JSON object with {' and '.join(keys)}"
            raise BuildError(f"the manifest {self.digest} cannot be used: expected {wanted}")
        return document


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `body` is bytes, or makes the chunks anew for each attempt; `length` is theirs.

    `mount` is the repository that a blob is to be mounted from.
    """

    method: str
    path: str
    actions: str = PULL
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Callable[[], Iterable[bytes]] = b""
    length: int = 0
    mount: str = ""


class Repository:
    """One repository. Threads may share it. Use it as a context manager."""

    def __init__(
        self,
        reference: Reference,
        environ: Mapping[str, str],
        home: Path | None = None,
        retries: Retries = PATIENT,
    ) -> None:
        self.name = reference.repository
        self.registry = reference.registry
        self.retries = retries
        plain = is_loopback(reference.host) or reference.registry in environ.get(INSECURE, "").split(",")
        self.root = httpx2.URL(f"{'http' if plain else 'https'}://{reference.host}")
        self._clients = Clients(_TIMEOUT)
        found = find_credential(self.registry, self.name, environ, home or Path.home())
        self._authorization = Authorization(self.root, found, self._clients)

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._clients.close()

    def __str__(self) -> str:
        return f"{self.registry}/{self.name}"

    # -- manifests ------------------------------------------------------------------------------------

    def manifest_digest(self, wanted: str) -> str | None:
        """The digest of the manifest of this tag or digest, as the registry says; None if there is none."""
        response = self.send(Ask("HEAD", f"manifests/{wanted}", headers=_accept()), allow=(200, 404))
        found = response.headers.get("Docker-Content-Digest", "") if response.status_code == 200 else ""
        return found if is_digest(found) else None

    def manifest(self, wanted: str) -> Manifest | None:
        """The manifest of this tag or digest; None if there is none. Raises TamperedError on a mismatch."""
        response = self.send(Ask("GET", f"manifests/{wanted}", headers=_accept()), allow=(200, 404))
        if response.status_code == 404:
            return None
        data = response.content
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        named = response.headers.get("Docker-Content-Digest", digest)
        expected = wanted if is_digest(wanted) else named
        if digest != expected:
            raise TamperedError(f"{self}: the manifest {wanted} hashes to {digest}, expected {expected}")
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
        return Manifest(kind, digest, data)

    def put_manifest(self, manifest: Manifest, name: str) -> bool:
        """Store a manifest under a tag, or under its digest; its blobs must be there.

        Returns whether the registry lists it as a referrer of its `subject`.
        """
        headers = {"Content-Type": manifest.media_type}
        response = self.send(Ask("PUT", f"manifests/{name}", PUSH, headers, manifest.data), allow=(201,))
        return "OCI-Subject" in response.headers

    # -- requests -------------------------------------------------------------------------------------

    def send(self, ask: Ask, allow: tuple[int, ...]) -> httpx2.Response:
        """Send until there is an answer, and read it. Raises BuildError for a status not in `allow`."""

        def attempt() -> httpx2.Response:
            return self.send_once(ask, allow)

        return self.retries.run(f"{self}: {ask.method} {ask.path.partition('?')[0]}", attempt)

    def send_once(self, ask: Ask, allow: tuple[int, ...]) -> httpx2.Response:
        """One attempt. Raises httpx2.HTTPError for what may pass by itself."""
        with self.open(ask, allow) as response:
            body = bytearray()
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > MANIFEST_LIMIT:
                    raise TamperedError(f"{self}: {ask.path}: more than {MANIFEST_LIMIT} bytes, refused")
        return httpx2.Response(
            response.status_code, headers=response.headers, content=bytes(body), request=response.request
        )

    @contextmanager
    def open(self, ask: Ask, allow: tuple[int, ...]) -> Iterator[httpx2.Response]:
        """One attempt whose body is still to be read."""
        response = self._exchange(ask)
        try:
            self._check(ask, response, allow)
            yield response
        finally:
            response.close()

    def url(self, path: str) -> httpx2.URL:
        """`path` below the repository; an address that the registry gave, absolute or from its root."""
        if path.startswith("/") or re.match(r"https?://", path):
            return self.root.join(path)
        return self.root.join(f"/v2/{self.name}/{path}")

    def _exchange(self, ask: Ask) -> httpx2.Response:
        scopes = self._scopes(ask)
        sent = self._authorization.header(scopes)
        response = self._follow(ask, sent)
        if response.status_code == 401 and self._is_own(response.request.url):
            response.close()
            challenge = ", ".join(response.headers.get_list("WWW-Authenticate"))
            if self._authorization.answer(challenge, scopes, sent):
                response = self._follow(ask, self._authorization.header(scopes))
        return response

    def _scopes(self, ask: Ask) -> tuple[str, ...]:
        own = f"repository:{self.name}:{ask.actions}"
        return (own, f"repository:{ask.mount}:pull") if ask.mount else (own,)

    def _follow(self, ask: Ask, authorization: str | None) -> httpx2.Response:
        """The answer at the end of the redirects. Only reads are redirected."""
        url = self.url(ask.path)
        for _ in range(_HOPS):
            self._check_scheme(url)
            response = self._clients.at(url).send(self._request(ask, url, authorization), stream=True)
            if not response.has_redirect_location or ask.method not in ("GET", "HEAD"):
                return response
            response.close()
            url = url.join(response.headers["Location"])
        raise BuildError(f"{self}: more than {_HOPS} redirects for {ask.path}")

    def _request(self, ask: Ask, url: httpx2.URL, authorization: str | None) -> httpx2.Request:
        headers = {"Accept-Encoding": "identity", "User-Agent": "shipway", **ask.headers}
        if authorization and self._is_own(url):
            headers["Authorization"] = authorization
        content: bytes | Iterable[bytes] = ask.body if isinstance(ask.body, bytes) else ask.body()
        if not isinstance(content, bytes):
            headers["Content-Length"] = str(ask.length)
        client = self._clients.at(url)
        return client.build_request(ask.method, url, headers=headers, content=content or None)

    def _is_own(self, url: httpx2.URL) -> bool:
        return url.origin == self.root.origin

    def _check_scheme(self, url: httpx2.URL) -> None:
        if url.scheme == "https" or (url.scheme == "http" == self.root.scheme):
            return
        raise BuildError(
            f"{self}: the registry sends us to {url.scheme}://{url.host}, which is refused: expected https",
            f"plain HTTP is used with loopback and with the hosts in {INSECURE} only",
        )

    def _check(self, ask: Ask, response: httpx2.Response, allow: tuple[int, ...]) -> None:
        status = response.status_code
        if status in allow:
            return
        if status in (408, 429) or status >= 500:
            response.raise_for_status()
        said = f"{status} {response.reason_phrase}{_said(response)}"
        if status in (401, 403) and self._is_own(response.request.url):
            what = "push to" if ask.actions == PUSH else "pull from"
            raise DeniedError(
                f"may not {what} {self}: {said}\n{tried(self._authorization.found)}",
                f"log in, for example `docker login {self.registry}`, with an account that may {what} it",
            )
        raise BuildError(f"{self}: {ask.method} {ask.path.partition('?')[0]}: the registry answers {said}")


class DeniedError(BuildError):
    """The registry wants other credentials than we have."""


def _accept() -> dict[str, str]:
    return {"Accept": ", ".join(KINDS)}


def _said(response: httpx2.Response) -> str:
    """What the registry's error document says, in one line."""
    try:
        response.read()
        errors = json.loads(response.content[:10_000])["errors"]
        texts = [f"{error.get('code', '')} {error.get('message', '')}".strip() for error in errors]
    except (httpx2.HTTPError, httpx2.StreamError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    line = re.sub(r"[^\x20-\x7e]+", " ", "; ".join(texts))[:300]
    return f" ({line})" if line else ""


def _reason(error: httpx2.HTTPError) -> str:
    if isinstance(error, httpx2.HTTPStatusError):
        return f"it answers {error.response.status_code} {error.response.reason_phrase}"
    return str(error) or type(error).__name__
