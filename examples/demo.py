"""The main job, from end to end: `make demo`.

Builds the image of 02-support, runs its stack with real MCP servers and a replayed model, asks a question
that needs a tool, has an MCP server hang and watches readiness name it and recover, and ends cleanly. The
stack runs as processes, so that it is the same on a machine without Docker. Exits with 0 only if every step
did what it says.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

EXAMPLE = Path(__file__).parent / "02-support"
SHIPWAY = Path(sys.executable).with_name("shipway")
QUESTION = "What time is it in Tokyo?"


def main() -> int:
    """Run every step; the first that does not do what it says ends the demonstration."""
    started = time.monotonic()
    prepare_repository()
    reference = shipway("build", str(EXAMPLE), capture=True).strip()
    if "@sha256:" not in reference:
        return fail(f"expected an image reference with its digest, saw {reference!r}")
    shipway("up", str(EXAMPLE), "-d", "--engine", "processes")
    try:
        ask(QUESTION, "Tokyo")
        ask("What changed last in the repository?", "webhook")
        show_readyz()
        stop_and_recover("git")
    finally:
        shipway("down", cwd=EXAMPLE)
    if left := processes_of(EXAMPLE):
        return fail(f"processes are left: {left}")
    say(f"all of it worked, in {time.monotonic() - started:.0f} s")
    print(f"""
  the image     {reference}
  as a layout   {EXAMPLE / ".shipway/images"}   (tar -C that -c . | docker load)
  the release   {EXAMPLE / ".shipway/release.json"}

  what to try next
    cd {EXAMPLE}
    {SHIPWAY} up                    the stack, in Docker where it answers; one Ctrl-C ends it
    {SHIPWAY} ask "{QUESTION}"
    {SHIPWAY} plan stack            what was decided, before anything ran
    {SHIPWAY} init                  in a project of your own
""")
    return 0


def prepare_repository() -> None:
    """A small repository on the agent's volume, for the git server to read."""
    repository = EXAMPLE / ".shipway/data/repo"
    if (repository / ".git").exists():
        return
    if shutil.which("git") is None:
        raise SystemExit("the demo's MCP server for git needs the program git on PATH")
    subprocess.run((sys.executable, str(EXAMPLE / "seed.py"), str(repository)), check=True)


def ask(question: str, expected: str) -> None:
    """Ask as a user would; the answer streams to the terminal."""
    answer = ""
    say(f'shipway ask "{question}"')
    command, pipe = (SHIPWAY, "ask", question), subprocess.PIPE
    with subprocess.Popen(command, cwd=EXAMPLE, stdout=pipe, stderr=pipe, text=True) as asked:
        while piece := asked.stdout.read(1) if asked.stdout else "":
            print(piece, end="", flush=True)
            answer += piece
        print(asked.stderr.read() if asked.stderr else "", end="")
    if asked.returncode or expected not in answer:
        raise SystemExit(fail(f"expected an answer that names {expected}, saw {answer!r}"))


def stop_and_recover(server: str) -> None:
    """Freeze one MCP server, as a hung one is; readiness has to name it, and the relay to replace it."""
    name = f"mcp:{server}"
    pid = server_process(server)
    say(f"MCP server {server} hangs (kill -STOP {pid})")
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(f"{name} to be named", lambda: readyz()["checks"][name]["state"] != "up")
        show_readyz()
        wait_for(f"{name} to recover", lambda: readyz()["status"] == "ready")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    say(f"ready again, with another server ({server_process(server)}) and without a restart of the agent")


def readyz() -> dict[str, object]:
    """What the admin port says; a 503 is an answer as well."""
    import httpx2

    return httpx2.get(f"{stack()['admin']}/readyz").json()


def stack() -> dict[str, object]:
    """What `shipway status` knows of the stack's processes."""
    command = (SHIPWAY, "status", "--json")
    done = subprocess.run(command, cwd=EXAMPLE, capture_output=True, text=True)
    return json.loads(done.stdout)["stack"]


def server_process(server: str) -> int:
    """The stdio server itself, as the sidecar's relay in front of it knows it."""
    import httpx2

    relay = next(p["address"] for p in stack()["processes"] if p["name"] == f"mcp-{server}")
    return httpx2.get(f"{relay.removesuffix('/mcp')}/healthz").json()["server"]["pid"]


def wait_for(what: str, done: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(fail(f"waited {seconds:.0f} s for {what}"))
        time.sleep(0.2)


def processes_of(project: Path) -> list[str]:
    """Every process whose environment names this project's `.shipway`."""
    mark = str(project / ".shipway/").encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue  # not ours to read, or gone
    return found


def shipway(*arguments: str, cwd: Path | None = None, capture: bool = False) -> str:
    say(f"shipway {' '.join(arguments)}")
    output = subprocess.PIPE if capture else None
    done = subprocess.run((SHIPWAY, *arguments), cwd=cwd, stdout=output, text=True)
    if done.returncode:
        raise SystemExit(fail(f"shipway {arguments[0]} ended with {done.returncode}"))
    return done.stdout or ""


def show_readyz() -> None:
    """`/readyz` as it is answered, a line for each check."""
    document = readyz()
    say(f"GET /readyz: {document['status']}")
    for name, check in document["checks"].items():
        why = f": {check['last_error']}" if check["state"] == "down" else ""
        print(f"  {name:<10} {check['state']}{why}", flush=True)


def say(message: str) -> None:
    print(f"\n=== {message}", flush=True)


def fail(message: str) -> int:
    print(f"\ndemo failed: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
