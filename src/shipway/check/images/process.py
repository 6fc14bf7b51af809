"""Rules about the process of an image: whom it runs as, who gets SIGTERM, what a start installs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.check.dockerfiles.code import FETCHED, READ, fetched_by, fetches
from shipway.check.dockerfiles.servers import GUNICORN, unreachable
from shipway.check.dockerfiles.shell import read_words
from shipway.check.dockerfiles.signals import installed_by, runs_shell
from shipway.check.images.subject import PEOPLES
from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.images.subject import Image


def user_is_not_root(image: Image) -> Iterator[Seen]:
    """The image does not run as root.

    A model decides what an agent's tools do; root in the container has only the kernel before the machine.
    Kubernetes' restricted Pod Security refuses to start it.
    """
    user = str(image.config.get("User") or "")
    if user.partition(":")[0] in ("", "root", "0"):
        seen = f"its user is {user}" if user else "it names no user"
        yield Seen(f"{seen}: it runs as root", "set USER to a number in its Dockerfile, such as 65532:65532")


def user_is_a_number(image: Image) -> Iterator[Seen]:
    """The image's user is a number.

    Kubernetes cannot see whether a name is root: with `runAsNonRoot` and no `runAsUser` it refuses to start
    such a container.
    """
    name = str(image.config.get("User") or "").partition(":")[0]
    if name and name != "root" and not name.isdigit():
        yield Seen(
            f"its user is the name {name}: Kubernetes' runAsNonRoot refuses it", "set USER to its number"
        )


def signals_arrive(image: Image) -> Iterator[Seen]:
    """Process 1 is the agent or passes signals on; it is no shell.

    A shell waits for its child and passes nothing on: SIGTERM is lost, and every answer that is being written
    is cut off when the grace period ends.
    """
    words = image.words
    if runs_shell(words) and not any(command.replaces for command in read_words(words)):
        shown = words[2] if len(words[2]) <= 60 else f"{words[2][:59]}…"
        message = f"process 1 is a shell that runs `{shown}`: SIGTERM does not reach the agent"
        yield Seen(message, "write ENTRYPOINT and CMD as JSON lists, or begin the command with exec")


def port_is_reachable(image: Image) -> Iterator[Seen]:
    """The server listens on all addresses of the container, not on loopback.

    What listens on 127.0.0.1 answers inside of the container alone. That is what most servers do when nothing
    is said.
    """
    variables = dict(pair.partition("=")[::2] for pair in image.variables)
    configured = any(file.path.endswith(f"/{GUNICORN}") for file in image.files)
    for command in read_words(image.words):
        for message, fix in unreachable(command, variables, configured):
            yield Seen(message, fix)


def nothing_is_installed_at_start(image: Image) -> Iterator[Seen]:
    """Starting the image installs nothing: no `npx`, `uvx`, `pip install`.

    What runs would be whatever the index has at that moment, and with the index down nothing starts.
    """
    for command in read_words(image.words):
        if what := installed_by(command):
            fix = "install it, with its version, while the image is built"
            yield Seen(f"{what} installs when the container starts", fix)


def servers_are_in_it(image: Image) -> Iterator[Seen]:
    """Code and settings in the image start MCP servers that are in it, not through `npx` or `uvx`.

    Those fetch the server when the agent starts it: another version than yesterday's, nothing while the index
    is down, and nothing ever on a read-only root.
    """
    for file in image.files:
        if file.visible and file.text and PEOPLES.fullmatch(file.path) and file.path.endswith(READ):
            for line, program in fetches(file.text.decode(errors="replace")):
                yield Seen(fetched_by(f"/{file.path}:{line}", program), FETCHED)
