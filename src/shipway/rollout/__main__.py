"""`python -m shipway.rollout`: the controller of one deployment, and what is asked of it.

In: a command; JSON on stdin. Out: JSON on stdout, or one line of JSON with `error` and `hint` and exit 1:
service/messages.py says which. What a command does not need is not imported for it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from shipway.errors import ShipwayError
from shipway.plan.deployment import SOCKET, STATE
from shipway.rollout.state import Suite
from shipway.rollout_snapshot import What
from shipway_runtime import contract
from shipway_runtime.contract import ContractError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shipway.rollout.service.host import Host


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        answer = asked.run(_host(asked), asked)
    except (ShipwayError, ContractError) as error:
        from shipway.rollout.service.messages import Refusal

        out = sys.stderr if asked.run is _connect else sys.stdout
        hint = error.hint if isinstance(error, ShipwayError) else ""
        out.write(_one_line(Refusal(" ".join(str(error).split()), hint)))
        return 1
    if asked.wakes:
        from shipway.rollout.service.host import PROJECT

        (asked.state / PROJECT).touch()
    if answer is not None:
        sys.stdout.write(contract.encode(answer))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shipway.rollout", description="The controller of one deployment.")
    parser.add_argument("--state", type=Path, default=Path(STATE), help=argparse.SUPPRESS)
    parser.add_argument("--socket", default=SOCKET, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[Host, Any], object], *, wakes: bool = False
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(name)
        made.set_defaults(run=run, wakes=wakes)
        return made

    command("serve", _serve).add_argument("project")
    command("apply", _apply, wakes=True)
    command("status", _status)
    ordered = command("order", _order, wakes=True)
    ordered.add_argument("what", choices=get_args(What))
    ordered.add_argument("--by", default="")
    told = command("suite", _suite, wakes=True)
    told.add_argument("verdict", choices=get_args(Suite))
    told.add_argument("--canary", required=True)
    command("releases", _releases)
    back = command("rollback", _rollback, wakes=True)
    back.add_argument("revision", nargs="?")
    back.add_argument("--by", default="")
    command("tokens", _tokens)
    command("certificates", _certificates, wakes=True)
    tunnel = command("connect", _connect)
    tunnel.add_argument("host")
    tunnel.add_argument("port", type=int)
    return parser


def _host(asked: argparse.Namespace) -> Host:
    """Whose it is, `serve` was told; commands find it where that left it."""
    from shipway.errors import RolloutError
    from shipway.rollout.service.host import PROJECT, Host

    file: Path = asked.state / PROJECT
    try:
        if asked.run is _serve:
            asked.state.mkdir(parents=True, exist_ok=True)
            asked.state.chmod(0o700)
            file.write_text(asked.project, encoding="utf-8")
        return Host(file.read_text(encoding="utf-8"), asked.state, asked.socket)
    except OSError as error:
        raise RolloutError(f"{asked.state}: {error.strerror}", "is the controller starting?") from None


def _serve(host: Host, _: argparse.Namespace) -> None:
    from shipway.rollout.service.serving import serve

    serve(host)


def _apply(host: Host, _: argparse.Namespace) -> object:
    from shipway.rollout.service.applying import apply
    from shipway.rollout.service.messages import Apply

    return apply(host, contract.decode(Apply, sys.stdin.buffer.read(), "apply"))


def _status(host: Host, _: argparse.Namespace) -> object:
    from shipway.rollout.service.status import status

    return status(host)


def _order(host: Host, asked: argparse.Namespace) -> object:
    from shipway.rollout.service.ordering import order

    return order(host, asked.what, asked.by, sys.stdin.read().strip())


def _suite(host: Host, asked: argparse.Namespace) -> object:
    from shipway.rollout.service.ordering import suite

    return suite(host, asked.verdict, asked.canary)


def _releases(host: Host, _: argparse.Namespace) -> object:
    from shipway.rollout.service.ordering import releases

    return releases(host)


def _rollback(host: Host, asked: argparse.Namespace) -> object:
    from shipway.rollout.service.ordering import rollback

    return rollback(host, asked.revision, asked.by)


def _tokens(host: Host, _: argparse.Namespace) -> object:
    from shipway.rollout.service.messages import Tokens

    return Tokens(host.values.peoples_token)


def _certificates(host: Host, _: argparse.Namespace) -> object:
    from shipway.rollout.service.ordering import certificates

    return certificates(host, sys.stdin.read())


def _connect(_: Host, asked: argparse.Namespace) -> None:
    from shipway.rollout.service.tunnel import connect

    connect(asked.host, asked.port)


def _one_line(refusal: object) -> str:
    import dataclasses
    import json

    return json.dumps(dataclasses.asdict(refusal)) + "\n"  # type: ignore[call-overload]


if __name__ == "__main__":
    sys.exit(main())
