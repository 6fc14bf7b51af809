"""Control: where runs are reported to, and where those of other revisions are found.

In: SHIPWAY_CONTROL_URL, SHIPWAY_CONTROL_TOKEN, a run. Out: whether control has it, in words; an earlier run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2

from shipway.build.registries.reference import is_loopback
from shipway.evals.records import Before, before
from shipway.evals.results import Run, document
from shipway_runtime.contract import env

if TYPE_CHECKING:
    from collections.abc import Mapping

EVALS_PATH = "/v1/evals"
NOTHING: Mapping[str, int] = {}
_MOST = 100  # of the newest runs, in which a revision is looked for
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Control:
    """A control server, and the deployment that is meant."""

    url: str
    token: str | None
    name: str
    environment: str

    def report(self, run: Run) -> str:
        """Send a run. What went wrong, in words; empty when control has it."""
        answer = self._ask("POST", EVALS_PATH, json=document(run))
        if isinstance(answer, str):
            return answer
        return "" if answer.is_success else _words(answer)

    def find(self, revision: str) -> Before | str:
        """The newest whole run of a revision; or why there is none, in words."""
        listed = self._get(EVALS_PATH, limit=_MOST)
        if isinstance(listed, str):
            return listed
        found = next((run for run in listed if run.get("revision") == revision and not _stopped(run)), None)
        if found is None:
            return f"{self.url} has no run of {revision}"
        whole = self._get(f"{EVALS_PATH}/{found['id']}")
        try:
            return whole if isinstance(whole, str) else before(whole, revision)
        except ValueError as error:
            return f"{self.url}: run {found['id']} cannot be read: {error}"

    def _get(self, path: str, **query: int) -> Any:
        """The JSON of an answer; a text where there is none."""
        answer = self._ask("GET", path, query)
        if isinstance(answer, str):
            return answer
        return answer.json() if answer.is_success else _words(answer)

    def _ask(
        self, method: str, path: str, more: Mapping[str, int] = NOTHING, **body: Any
    ) -> httpx2.Response | str:
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        query: dict[str, str | int] = {"name": self.name, "environment": self.environment, **more}
        url = self.url.rstrip("/") + path
        options = {"timeout": _TIMEOUT_S, "trust_env": not is_loopback(urlsplit(url).netloc), **body}
        try:
            return httpx2.request(method, url, params=query, headers=headers, **options)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return f"{url}: {str(error) or type(error).__name__}"


def named(environ: Mapping[str, str], name: str, environment: str) -> Control | None:
    """The control server that the environment names, if it names one."""
    url = environ.get(env.CONTROL_URL)
    return Control(url, environ.get(env.CONTROL_TOKEN), name, environment) if url else None


def _stopped(run: Mapping[str, Any]) -> bool:
    """Whether a run ended before its last case, since the verdict was known."""
    against = run.get("against")
    return bool(isinstance(against, dict) and against.get("stopped"))


def _words(answer: httpx2.Response) -> str:
    hint = f": {env.CONTROL_TOKEN} is missing or wrong" if answer.status_code in (401, 403) else ""
    return f"{answer.url} answers {answer.status_code}{hint}"
