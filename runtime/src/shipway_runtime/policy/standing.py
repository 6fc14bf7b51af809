"""The policy that stands: where its base comes from, what restricts it, and what both together allow.

In: the sources, looked at on the control thread; restrictions from the admin port. Out: `effective`, one
frozen value that any thread may read, replaced as a whole; a line in the log for each change. The base is the
first that there is: control, once somebody has put one there, a file, SHIPWAY_POLICY_JSON, agent.toml's
[policy].

A source that fails keeps the last good policy. Before the first good one of control's there is none:
`effective` is None then, and nothing may be let through. Errors: StartError for what cannot be read at start.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .. import contract
from ..contract import ContractError, Kill, Policy, Restricted, env
from ..errors import StartError
from . import keeping, rules
from .changes import describe
from .files import PolicyFile
from .keeping import LastGood
from .merge import Effective, meet
from .remote import Remote, RemoteError, pause
from .rules import PolicyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..config import Deployment
    from ..secrets.declared import Secrets

LOOK_S = 0.1

log = logging.getLogger("shipway.policy")

Source = Literal["control", "file", "variable", "agent.toml"]


@dataclass(frozen=True, slots=True)
class Base:
    """A base policy. `where` is for people; `since`: when it became the base, in seconds since the epoch."""

    policy: Policy
    source: Source
    where: str
    since: float = field(default_factory=time.time)


class Standing:
    """The policy of one process. Create it with `open` on the main thread; `keep`, `restrict` and `lift`
    belong to the control loop."""

    def __init__(self, deployment: Deployment, kept: keeping.Keeping, environ: Mapping[str, str]) -> None:
        self._deployment, self._kept, self._environ = deployment, kept, environ
        self._file: PolicyFile | None = None
        self.remote: Remote | None = None
        self.base: Base | None = None
        self.restricted: Restricted | None = None
        self.effective: Effective | None = None
        self.etag: str | None = None
        """Of control's policy that stands; None while there is none from there."""
        self.changed = time.time()
        self.confirmed = time.time()
        """When the source last said that this is its policy."""
        self.problem: str | None = None
        """Why the source's newest policy is not the one that stands; None when it is."""
        self.failures: Counter[Source] = Counter()
        self._unmetered: str | None = None
        self.refused: Counter[str] = Counter()
        """Calls of tools that the relay has refused, by rule."""

    @classmethod
    def open(cls, deployment: Deployment, secrets: Secrets, environ: Mapping[str, str]) -> Standing:
        """The policy at start. Raises StartError."""
        standing = cls(deployment, keeping.find(deployment), environ)
        standing._take_restriction()
        try:
            if url := environ.get(env.CONTROL_URL):
                standing._open_control(Remote(url, deployment, secrets, environ))
            else:
                standing._become(standing._own())
        except PolicyError as error:
            raise StartError(str(error)) from None
        return standing

    # -- At start ----------------------------------------------------------------------------------------

    def _open_control(self, remote: Remote) -> None:
        self.remote = remote
        if last := self._kept.last_good(remote.source):
            self.confirmed, self.etag = last.at, last.etag
            given = Base(last.policy, "control", f"{remote.source}, as of {_moment(last.at)}")
            self._become(self._own() if last.etag == contract.NO_POLICY else given)

    def _own(self) -> Base:
        """What there is without control; the file is looked after from here on. Raises PolicyError."""
        path, environ = self._deployment.places.policy, self._environ
        self._file = PolicyFile(path)
        try:
            text = self._file.look()
        except FileNotFoundError:
            if environ.get(env.POLICY) and not self._deployment.development:
                raise PolicyError(f"{path}: no policy there, and {env.POLICY} says so") from None
            text = None
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyError(f"{path}: the policy cannot be read: {error}") from None
        if text is not None:
            return Base(self._parse(text, str(path)), "file", str(path))
        if text := environ.get(env.POLICY_JSON):
            return Base(self._parse(text, env.POLICY_JSON), "variable", env.POLICY_JSON)
        declared = Policy(limits=self._deployment.settings.limits)
        self._check(declared, "[policy]")
        return Base(declared, "agent.toml", "[policy]")

    def _take_restriction(self) -> None:
        restricted = self._kept.restriction()
        if restricted is None:
            return
        if restricted.until <= time.time():
            self._kept.keep_restriction(None)
            return
        self.restricted = restricted
        what = describe(Policy(), restricted.restriction.policy)
        log.warning("a restriction of the policy goes on until %s: %s", _moment(restricted.until), what)
        try:
            self._check(restricted.restriction.policy, "the restriction")
        except PolicyError as error:  # of an earlier release: whatever of it can hold does
            log.warning("not all of it can hold here: %s", error)

    def refuse_budgets(self, why: str) -> None:
        """No budgets from here on, since nothing says what a turn has used. Raises StartError."""
        self._unmetered = why
        standing = [self.base.policy] if self.base else []
        standing += [self.restricted.restriction.policy] if self.restricted else []
        try:
            for policy in standing:
                self._check(policy, "the policy")
        except PolicyError as error:
            raise StartError(str(error)) from None

    def _check(self, policy: Policy, where: str) -> None:
        rules.check(policy, self._deployment, where)
        if self._unmetered:
            rules.check_unmetered(policy, where, self._unmetered)

    def _parse(self, text: str, where: str) -> Policy:
        try:
            policy = contract.decode(Policy, text, where)
        except ContractError as error:
            raise PolicyError(str(error)) from None
        self._check(policy, where)
        return policy

    # -- While running -----------------------------------------------------------------------------------

    async def keep(self) -> None:
        """Follow the source and end the restriction in time, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_clock())
            if self.remote:
                group.create_task(self._follow_control(self.remote))

    async def _follow_clock(self) -> None:
        while True:
            if self._file:
                self.look(self._file)
            if self.restricted and time.time() >= self.restricted.until:
                self._replace(None, by="", reason="its time is over", peer="")
            await asyncio.sleep(LOOK_S)

    def look(self, file: PolicyFile) -> None:
        """Look at the file once."""
        try:
            text = file.look()
            if text is not None:
                self._become(Base(self._parse(text, str(file.path)), "file", str(file.path)))
                self._well()
            elif self.problem is None:
                self._well()
        except FileNotFoundError:
            file.forget()
            if self.base and self.base.source == "file":
                self._failed("file", f"{file.path} is gone")
        except (OSError, UnicodeDecodeError) as error:
            file.forget()
            self._failed("file", f"{file.path} cannot be read: {error}")
        except PolicyError as error:
            self._failed("file", str(error))

    async def _follow_control(self, remote: Remote) -> None:
        failures = 0
        try:
            while True:
                try:
                    self._heard(remote, await remote.fetch())
                    failures = 0
                except (RemoteError, PolicyError) as error:
                    failures += 1
                    self._failed("control", str(error))
                await asyncio.sleep(pause(failures))
        finally:
            await remote.close()

    def _heard(self, remote: Remote, policy: Policy | None) -> None:
        if policy is not None:
            try:
                base = self._own() if remote.silent else self._given(remote, policy)
            except PolicyError:
                remote.etag = None  # what is refused is not known
                raise
            self._kept.keep_last_good(LastGood(policy, remote.source, remote.etag, time.time()))
            self._become(base)
            self.etag = remote.etag
        self._well()

    def _given(self, remote: Remote, policy: Policy) -> Base:
        """Control's; the file counts no more. Raises PolicyError."""
        self._check(policy, remote.source)
        self._file = None
        return Base(policy, "control", remote.source)

    def _well(self) -> None:
        """The source says that its policy is the one that stands."""
        if self.problem:
            log.info("the policy can be read again")
        self.confirmed, self.problem = time.time(), None

    def _failed(self, source: Source, problem: str) -> None:
        """Keep what stands. The same failure is logged once; of a file it is also one."""
        if problem != self.problem or source == "control":
            self.failures[source] += 1
        if problem != self.problem:
            stands = "the last good policy stands" if self.base else "no turn is let in"
            log.error("%s; %s", problem, stands, extra={"source": source})
        self.problem = problem

    # -- Restrictions ------------------------------------------------------------------------------------

    def restrict(self, restricted: Restricted) -> bool:
        """Lay a restriction on the base, instead of the one that is there; whether it will survive a restart.
        Raises PolicyError."""
        policy = restricted.restriction.policy
        self._check(policy, "policy")
        rules.check_names(policy, self._deployment, "policy")
        return self._replace(
            restricted,
            by=restricted.restriction.by,
            reason=restricted.restriction.reason,
            peer=restricted.peer,
        )

    def lift(self, *, by: str, reason: str, peer: str) -> bool:
        """Take the restriction away; whether that will survive a restart."""
        return self._replace(None, by=by, reason=reason, peer=peer)

    def _replace(self, restricted: Restricted | None, *, by: str, reason: str, peer: str) -> bool:
        before = self.restricted.restriction.policy if self.restricted else Policy()
        after = restricted.restriction.policy if restricted else Policy()
        self.restricted = restricted
        self._update()
        fields = {"source": "admin", "by": by, "peer": peer, "reason": reason}
        fields = {name: value for name, value in fields.items() if value}
        if restricted:
            fields["until"] = _moment(restricted.until)
        shown = ", ".join(f"{name} {value}" for name, value in fields.items() if name != "source")
        log.warning("restriction changed (%s): %s", shown, describe(before, after), extra=fields)
        return self._kept.keep_restriction(restricted)

    # -- What stands -------------------------------------------------------------------------------------

    @property
    def source(self) -> Source:
        """Where the base comes from, or is to come from."""
        return self.base.source if self.base else "control"

    @property
    def watched(self) -> bool:
        """Whether the base may change while the process runs."""
        return self.remote is not None or self.source == "file"

    async def probe(self) -> str | None:
        """None once there is a policy, else why there is none; a check of /readyz."""
        return None if self.effective else self.problem or "control has not answered yet"

    def kill(self) -> Kill:
        """What is switched off now, for the relay. Nothing while no turn is let in anyway."""
        effective = self.effective
        return effective.kill if effective else Kill()

    def _become(self, base: Base) -> None:
        before = self.base
        if before and (before.policy, before.where) == (base.policy, base.where):
            return
        self.base = base
        changes = describe(before.policy if before else Policy(), base.policy)
        self._update()
        if before is None or before.source != base.source:
            what = "no limits" if base.policy == Policy() else changes
            log.info("the policy is that of %s: %s", base.where, what, extra={"source": base.source})
        elif before.policy != base.policy:
            log.warning("policy changed by %s: %s", base.where, changes, extra={"source": base.source})

    def _update(self) -> None:
        if self.base:
            restriction = self.restricted.restriction.policy if self.restricted else None
            self.effective = meet(self.base.policy, restriction)
            self.changed = time.time()


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
