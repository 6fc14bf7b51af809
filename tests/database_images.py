"""Images of databases, made of the servers of this machine: where no registry is, nobody pulls one."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from pathlib import Path

_USER = 999
_POSTGRES = """#!/bin/sh
set -e
if ! test -e "$PGDATA/PG_VERSION"; then
    initdb -D "$PGDATA" -U postgres --auth=trust --no-sync -E UTF8 --locale=C
    echo "host all all all trust" >>"$PGDATA/pg_hba.conf"
fi
exec postgres -D "$PGDATA" -h 0.0.0.0 -c unix_socket_directories=/tmp
"""


def import_postgres(docker: str, name: str, server: Path) -> None:
    """`server` is postgres, with initdb and pg_isready beside it. Its data is where PGDATA says, as in the
    official image."""
    programs = server.resolve().parent
    version = programs.parent.name
    files = [*_with_libraries([*programs.iterdir(), Path("/bin/sh")]), *(programs.parent / "lib").glob("*")]
    share = [path for path in Path(f"/usr/share/postgresql/{version}").rglob("*") if path.is_file()]
    archive = _archive([*files, *share], {"start": _POSTGRES}, "var/lib/postgresql/shipway")
    path = f"ENV PATH={programs}:/bin"
    _import(docker, name, archive, path, f"USER {_USER}:{_USER}", 'ENTRYPOINT ["/start"]')


def import_redis(docker: str, name: str, server: Path) -> None:
    """redis-server and redis-cli; data in /data."""
    files = _with_libraries([server, server.with_name("redis-cli")])
    command = f'CMD ["{server}", "--bind", "0.0.0.0", "--protected-mode", "no"]'
    _import(docker, name, _archive(files, {}, "data"), f"ENV PATH={server.parent}", "WORKDIR /data", command)


def _with_libraries(programs: list[Path]) -> list[Path]:
    listed = subprocess.run(("ldd", *map(str, programs)), capture_output=True, text=True).stdout
    return [*programs, *{Path(path) for path in re.findall(r"(/\S+) \(0x", listed)}]


def _archive(files: list[Path], texts: dict[str, str], data: str) -> bytes:
    written = io.BytesIO()
    with tarfile.open(mode="w", fileobj=written) as archive:
        for file in dict.fromkeys(files):
            archive.add(file.resolve() if file.is_symlink() else file, arcname=str(file), recursive=False)
        account = f"postgres:x:{_USER}:{_USER}::/tmp:/bin/sh\n"
        for name, text in (texts | {"etc/passwd": account}).items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o755
            archive.addfile(entry, io.BytesIO(text.encode()))
        for name, mode in ((data, 0o700), ("tmp", 0o1777)):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode, directory.uid, directory.gid = tarfile.DIRTYPE, mode, _USER, _USER
            archive.addfile(directory)
    return written.getvalue()


def _import(docker: str, name: str, archive: bytes, *changes: str) -> None:
    options = [word for change in changes for word in ("--change", change)]
    done = subprocess.run((docker, "import", *options, "-", name), input=archive, capture_output=True)
    assert done.returncode == 0, done.stderr
