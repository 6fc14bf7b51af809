"""Rules about whom the container runs as."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shipway.check.dockerfiles.bases import read_image
from shipway.check.dockerfiles.stages import expand
from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.dockerfiles.subject import Dockerfile

_ROOT_BASES = frozenset(
    {
        *("python", "node", "debian", "ubuntu", "alpine", "buildpack-deps", "uv", "cuda", "pytorch", "pypy"),
        *("almalinux", "rockylinux", "fedora", "amazonlinux", "miniconda3", "busybox", "base-debian12"),
        *("python3-debian12", "python3-debian13", "static-debian12", "cc-debian12"),
    }
)
"""Images whose user is root, by the last part of their names, where no variant says `nonroot`."""
_NONROOT = re.compile(r"nonroot|cgr\.dev/|chainguard/")
"""What names of images say that run as somebody else."""
_FIX = "add `USER 65532:65532` after what root has to install, or a user of your own with a number"


def _user(dockerfile: Dockerfile) -> tuple[str, int] | None:
    """What the last USER says, and where; a variable that has no value is taken as it is written."""
    last = None
    for instruction in dockerfile.stages.in_image("USER"):
        last = instruction
    if last is None:
        return None
    text = expand(last.text, dockerfile.stages.environment) or last.text
    return text.strip("\"'"), last.line


def user_is_not_root(dockerfile: Dockerfile) -> Iterator[Seen]:
    """The container does not run as root.

    A model decides what an agent's tools do. Whoever leads it astray, or breaks out of a library, has root in
    the container and only the kernel between that and the machine. Kubernetes' restricted Pod Security
    refuses to start it.
    """
    user = _user(dockerfile)
    base = dockerfile.stages.base
    if user:
        if user[0].partition(":")[0] in ("root", "0"):
            yield Seen(f"the container runs as root: USER {user[0]}", _FIX, user[1])
    elif base.image == "" or (base.image and _is_root(base.image)):
        on = base.image or "scratch"
        yield Seen(f"no USER is set and {on} has none: the container runs as root", _FIX, _end(dockerfile))


def user_is_known(dockerfile: Dockerfile) -> Iterator[Seen]:
    """A Dockerfile on a base of one's own says itself whom it runs as.

    What the base sets is not seen here, and may change with the base.
    """
    base = dockerfile.stages.base
    known = base.image and (_is_root(base.image) or _NONROOT.search(base.image))
    if not _user(dockerfile) and base.image and not known:
        message = f"no USER is set: it is whatever {base.image} sets, which may be root"
        yield Seen(message, "add `USER` with a number, such as 65532:65532", _end(dockerfile))


def user_is_a_number(dockerfile: Dockerfile) -> Iterator[Seen]:
    """USER is a number.

    Kubernetes cannot see whether a name is root: with `runAsNonRoot` and no `runAsUser` it refuses to start
    such a container.
    """
    user = _user(dockerfile)
    if user and (name := user[0].partition(":")[0]) != "root" and not name.isdigit() and "$" not in name:
        message = f"USER {user[0]} is a name: Kubernetes' runAsNonRoot refuses it"
        yield Seen(message, f"write the number that {name} has, such as `USER 10001:10001`", user[1])


def _is_root(image: str) -> bool:
    return read_image(image).name in _ROOT_BASES and not _NONROOT.search(image)


def _end(dockerfile: Dockerfile) -> int:
    """The line of what would run as root: the last ENTRYPOINT or CMD, else the last FROM."""
    end = dockerfile.stages.end
    return max([end.start.line, *(i.line for i in end.all("ENTRYPOINT", "CMD"))])
