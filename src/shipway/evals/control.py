"""Control: where runs are reported to, and where those of other revisions are found.

In: SHIPWAY_CONTROL_URL, SHIPWAY_CONTROL_TOKEN, a run. Out: whether control has it, in words; an earlier run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipway.control_client import ControlClient
from shipway.errors import ControlError
from shipway.evals.records import Before, before
from shipway.evals.results import Run, document
from shipway_runtime.contract import env

if TYPE_CHECKING:
    from collections.abc import Mapping

EVALS_PATH = "/v1/evals"
_MOST = 100  # of the newest runs, in which a revision is looked for


@dataclass(frozen=True, slots=True)
class Control:
    """A control server, and the deployment that is meant."""

    url: str
    token: str | None
    name: str
    environment: str

    def report(self, run: Run) -> str:
        """Send a run. What went wrong, in words; empty when control has it."""
        try:
            with self._client() as client:
                client.ask("POST", EVALS_PATH, json=document(run))
        except ControlError as error:
            return _words(error)
        return ""

    def find(self, revision: str) -> Before | str:
        """The newest whole run of a revision; or why there is none, in words."""
        try:
            with self._client() as client:
                listed = client.ask("GET", EVALS_PATH, query={"limit": str(_MOST)}).json()
                found = next(
                    (one for one in listed if one.get("revision") == revision and not _stopped(one)), None
                )
                if found is None:
                    return f"{self.url} has no run of {revision}"
                whole = client.ask("GET", f"{EVALS_PATH}/{found['id']}").json()
        except ControlError as error:
            return _words(error)
        try:
            return before(whole, revision)
        except ValueError as error:
            return f"{self.url}: run {found['id']} cannot be read: {error}"

    def _client(self) -> ControlClient:
        return ControlClient(self.url, self.token, self.name, self.environment)


def named(environ: Mapping[str, str], name: str, environment: str) -> Control | None:
    """The control server that the environment names, if it names one."""
    url = environ.get(env.CONTROL_URL)
    return Control(url, environ.get(env.CONTROL_TOKEN), name, environment) if url else None


def _stopped(run: Mapping[str, Any]) -> bool:
    """Whether a run ended before its last case, since the verdict was known."""
    against = run.get("against")
    return bool(isinstance(against, dict) and against.get("stopped"))


def _words(error: ControlError) -> str:
    return f"{error}" + (f" ({error.hint})" if error.hint else "")
