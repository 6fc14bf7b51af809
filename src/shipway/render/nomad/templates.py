"""What a task reads: config, policy, secrets, addresses, as templates that Nomad fills in.

In: a stack. Out: blocks of a task. They land where every other engine mounts them: `local/etc` is
/etc/shipway in the container, `secrets/files` is /run/secrets. Both are directories, so that a file that is
replaced is seen.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from shipway.render.hcl import Block
from shipway.render.identities import GOOGLE, IDENTITIES, Token
from shipway_runtime import contract

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from shipway.plan.stack import Sidecar, StackPlan

ETC = "local/etc:/etc/shipway:ro"
FILES = f"secrets/files:{contract.SECRETS}:ro"
_IDENTITIES = "secrets/identities"
_SPLAY = "30s"


def config(plan: StackPlan) -> Block:
    """The config; a change is a new version of the job anyway."""
    return _template("local/etc/config.json", contract.encode(_with_identities(plan.config)), "restart")


def policy(plan: StackPlan, variable: str) -> Block:
    """The policy of a Nomad variable, key `policy`, while there is one; else agent.toml's."""
    declared = contract.encode(contract.Policy(limits=plan.config.settings.limits))
    data = (
        f'{{{{ if nomadVarExists "{variable}" }}}}{{{{ with nomadVar "{variable}" }}}}{{{{ .policy }}}}'
        f"{{{{ end }}}}{{{{ else }}}}{declared}{{{{ end }}}}\n"
    )
    return _template("local/etc/policy.json", data, "noop")


def text(destination: str, data: str) -> Block:
    """A file that is not for Nomad to fill in."""
    return _template(destination, data, "restart")


def paths(plan: StackPlan) -> dict[str, str]:
    """Variables of SDKs that name a file, and where it is here."""
    given = plan.agent.secrets
    found = {name: f"/{_IDENTITIES}/{name}" for name in IDENTITIES if name in given}
    return found | ({GOOGLE: f"{contract.SECRETS}/{GOOGLE}"} if GOOGLE in given else {})


def variables(
    plan: StackPlan, sources: Mapping[str, str], own: str, more: Iterable[str] = ()
) -> dict[str, list[str]]:
    """Names of secrets by the path of the Nomad variable that holds them.

    `own` is the one that agent.toml does not have to name; `more` are names beside those of `sources`.
    """
    kept = [name for name, source in sources.items() if source != "broker" and name not in IDENTITIES]
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys([*kept, *more]):
        stored = plan.stores.get(name)
        found.setdefault((stored.nomad if stored else None) or own, []).append(name)
    return found


def in_files(sources: Mapping[str, str]) -> list[str]:
    """Secrets that are read from a file."""
    return [name for name, source in sources.items() if source == "file" or name == GOOGLE]


def secrets(sources: Mapping[str, str], kept: Mapping[str, list[str]]) -> Iterator[Block]:
    """Those in the environment start a task again when they change; files the runtime reads again itself."""
    for number, (path, found) in enumerate(kept.items()):
        files = [name for name in found if name in in_files(sources)]
        if lines := "".join(
            f"{name}={{{{ .{name}.Value | toJSON }}}}\n" for name in found if name not in files
        ):
            yield _secret(f"secrets/{number}.env", {"env": True}, _of_variable(path, f"\n{lines}") + "\n")
        for name in files:
            data = _of_variable(path, f"{{{{ .{name} }}}}")
            yield _secret(f"secrets/files/{name}", {"change_mode": "noop"}, data)


def address(server: Sidecar, service: str) -> Block:
    """Where the relay finds a server apart; an agent has one of them, always the same while it is there."""
    data = (
        f'{{{{ range nomadService 1 (env "NOMAD_ALLOC_ID") "{service}" }}}}\n'
        f"{contract.env.mcp_target(server.name)}=http://{{{{ .Address }}}}:{{{{ .Port }}}}{server.path}\n"
        "{{ end }}\n"
    )
    body = {"destination": f"local/mcp-{server.name}.env", "env": True, "splay": _SPLAY, "data": data}
    return Block(body)


def control(service: str, variable: str) -> Block:
    """Where control is: a variable says, or Nomad does. While nobody does, it is away: with no URL at all the
    agent would go by its own policy, whatever control's has switched off."""
    name = contract.env.CONTROL_URL
    data = (
        f'{{{{ if nomadVarExists "{variable}" }}}}{{{{ with nomadVar "{variable}" }}}}\n'
        f"{name}={{{{ .url }}}}\n"
        f'{{{{ end }}}}{{{{ else }}}}{{{{ range nomadService 1 (env "NOMAD_ALLOC_ID") "{service}" }}}}\n'
        f"{name}=http://{{{{ .Address }}}}:{{{{ .Port }}}}\n"
        f"{{{{ else }}}}\n{name}=http://{service}.invalid\n{{{{ end }}}}{{{{ end }}}}\n"
    )
    body = {"destination": "local/control.env", "env": True, "splay": _SPLAY, "data": data}
    return Block(body)


def identities(plan: StackPlan) -> list[Block]:
    """Nomad's own tokens, for those who exchange them, SDKs among them; they are files that rotate."""
    brokers = {name: secret.broker for name, secret in plan.config.settings.secrets.items() if secret.broker}
    tokens = {name: Token(broker.token_url) for name, broker in brokers.items() if broker.identity_token}
    tokens |= {name: token for name, token in IDENTITIES.items() if name in plan.agent.secrets}
    return [
        Block(
            {
                "name": f"shipway_{name.lower()}",
                "aud": [token.audience],
                "file": True,
                "filepath": f"{_IDENTITIES}/{name}",
                "ttl": f"{token.life}s",
            }
        )
        for name, token in tokens.items()
    ]


def _with_identities(config: contract.Config) -> contract.Config:
    """The config, with the paths at which Nomad leaves the tokens."""
    found = {
        name: dataclasses.replace(
            secret, broker=dataclasses.replace(secret.broker, identity_token=f"/{_IDENTITIES}/{name}")
        )
        for name, secret in config.settings.secrets.items()
        if secret.broker and secret.broker.identity_token
    }
    settings = dataclasses.replace(config.settings, secrets=config.settings.secrets | found)
    return dataclasses.replace(config, settings=settings)


def _of_variable(path: str, inner: str) -> str:
    return f'{{{{ with nomadVar "{path}" }}}}{inner}{{{{ end }}}}'


def _secret(destination: str, more: Mapping[str, Any], data: str) -> Block:
    """Read by the task's user alone; a key that the variable lacks stops the task with a clear message."""
    owner = {"perms": "0400", "uid": contract.UID, "gid": contract.UID}
    return Block({"destination": destination, **more, **owner, "error_on_missing_key": True, "data": data})


def _template(destination: str, data: str, change_mode: str) -> Block:
    """Text of ours with `{{` in it, that is not meant for Nomad, gets other delimiters."""
    plain = "{{" in data and change_mode == "restart"
    delimiters = {"left_delimiter": "[[shipway", "right_delimiter": "shipway]]"} if plain else {}
    return Block({"destination": destination, "change_mode": change_mode, **delimiters, "data": data})
