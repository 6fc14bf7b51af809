"""The toy server, with processes around it that are hard to find.

    python family_server.py PIDS KIND[,KIND…] [options of toy_server.py]

group: a child in its own process group; forked: one whose parent has ended; session: one in its own session;
child: a plain one. Their ids go to the file PIDS. The server itself is this process, by exec.
"""

import os
import pathlib
import subprocess
import sys

WAIT = [sys.executable, "-c", "import time; time.sleep(600)"]
FORK = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL).pid)"


def start(kind):
    if kind == "forked":
        return int(subprocess.check_output([sys.executable, "-c", FORK, *WAIT]))
    own = {"group": {"process_group": 0}, "session": {"start_new_session": True}}.get(kind, {})
    return subprocess.Popen(WAIT, **own).pid


pids, kinds, *options = sys.argv[1:]
found = [start(kind) for kind in kinds.split(",")]
pathlib.Path(pids).write_text(" ".join(map(str, found)))
toy = str(pathlib.Path(__file__).with_name("toy_server.py"))
os.execv(sys.executable, [sys.executable, toy, *options])
