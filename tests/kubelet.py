"""A pod of a rendered Deployment, started in Docker as a kubelet would: for tests without a cluster.

In: the pod's spec, ConfigMaps and Secrets. Out: containers in one network namespace, with their users,
limits, read-only roots, variables and projected volumes, whose files change by a swap of `..data`.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.docker import Docker
from tests.kubernetes import containers

from shipway.plan.container import HOLD

Values = Mapping[str, dict[str, str]]
"""Name of a ConfigMap or Secret -> key -> value."""


class Pod:
    """`start` it, then ask its probes. Volumes are directories below `place`."""

    def __init__(
        self, docker: Docker, spec: dict[str, Any], maps: Values, secrets: Values, place: Path
    ) -> None:
        self.docker, self.spec, self.maps, self.secrets, self.place = docker, spec, maps, secrets, place
        self.names: dict[str, str] = {}
        self.address = ""

    def start(self) -> None:
        for volume in self.spec["volumes"]:
            self.fill(volume)
        (command, *words) = HOLD
        image = self.spec["containers"][0]["image"]
        holder = self._started([f"--entrypoint={command}"], image, words)
        self.address = self.docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", holder)
        for container in containers(self.spec):
            self.names[container["name"]] = self._run(container, holder)
            self.wait(container["name"], "startup")

    def fill(self, volume: dict[str, Any]) -> None:
        """As kubelets write: a new directory, and a link that is swapped."""
        place = self.place / volume["name"]
        place.mkdir(exist_ok=True)
        if "projected" not in volume:
            place.chmod(0o777)
            return
        data = place / f"..{time.monotonic_ns()}"
        for path, text in self._files(volume["projected"]["sources"]).items():
            (data / path).parent.mkdir(parents=True, exist_ok=True)
            (data / path).write_text(text)
            link = place / Path(path).parts[0]
            if not link.is_symlink():
                link.symlink_to(Path("..data") / link.name)
        (place / "..new").symlink_to(data.name)
        (place / "..new").replace(place / "..data")
        for path in (place, *place.rglob("*")):
            os.chown(path, 0, self.spec["securityContext"]["fsGroup"], follow_symlinks=False)
            if not path.is_symlink():
                path.chmod(0o750 if path.is_dir() else 0o440)

    def _files(self, sources: list[dict[str, Any]]) -> dict[str, str]:
        found = {}
        for source in sources:
            if "serviceAccountToken" in source:
                found[source["serviceAccountToken"]["path"]] = source["serviceAccountToken"]["audience"]
                continue
            ((kind, own),) = source.items()
            values = (self.secrets if kind == "secret" else self.maps)[own["name"]]
            for item in own["items"]:
                if item["key"] in values or not own.get("optional"):
                    found[item["path"]] = values[item["key"]]
        return found

    def _run(self, container: dict[str, Any], holder: str) -> str:
        own = container["securityContext"]
        words = ["--network", f"container:{holder}", "--user", f"{own['runAsUser']}:{own['runAsGroup']}"]
        words += ["--group-add", str(self.spec["securityContext"]["fsGroup"]), "--cap-drop", "ALL"]
        words += ["--security-opt", "no-new-privileges:true"]
        if limit := container["resources"].get("limits", {}).get("memory"):
            words += ["--memory", limit.removesuffix("i").lower()]
        words += ["--read-only"] if own["readOnlyRootFilesystem"] else []
        for mount in container["volumeMounts"]:
            only = ":ro" if mount.get("readOnly") else ""
            words += ["--volume", f"{self.place / mount['name']}:{mount['mountPath']}{only}"]
        for variable in container.get("env", ()):
            words += ["--env", f"{variable['name']}={self._value(variable)}"]
        entry, *arguments = container.get("command", [""])
        words += [f"--entrypoint={entry}"] if entry else []
        return self._started(words, container["image"], arguments)

    def _started(self, options: list[str], image: str, arguments: list[str]) -> str:
        name = f"shipway-test-{uuid.uuid4().hex[:8]}"
        self.docker.containers.append(name)
        self.docker("run", "--detach", "--name", name, *options, image, *arguments)
        return name

    def _value(self, variable: dict[str, Any]) -> str:
        if "value" in variable:
            return str(variable["value"])
        reference = variable["valueFrom"]["secretKeyRef"]
        return self.secrets[reference["name"]][reference["key"]]

    def ask(self, name: str, kind: str) -> bool:
        """One probe."""
        (container,) = [one for one in containers(self.spec) if one["name"] == name]
        probe = container[f"{kind}Probe"]
        if "exec" in probe:
            command = (self.docker.program, "exec", self.names[name], *probe["exec"]["command"])
            return subprocess.run(command, capture_output=True, timeout=60).returncode == 0
        (port,) = [p["containerPort"] for p in container["ports"] if p["name"] == probe["httpGet"]["port"]]
        try:
            connection = http.client.HTTPConnection(self.address, port, timeout=10)
            connection.request("GET", probe["httpGet"]["path"])
            return 200 <= connection.getresponse().status < 400
        except OSError:
            return False

    def wait(self, name: str, kind: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not self.ask(name, kind):
            assert time.monotonic() < end, f"{name}: no {kind} in {seconds} s: {self.logs(name)}"
            time.sleep(0.2)

    def logs(self, name: str) -> str:
        done = subprocess.run((self.docker.program, "logs", self.names[name]), capture_output=True, text=True)
        return done.stdout + done.stderr

    def end(self, name: str) -> subprocess.Popen[bytes]:
        """What a kubelet runs before it tells the container to end."""
        (container,) = [one for one in containers(self.spec) if one["name"] == name]
        command = container["lifecycle"]["preStop"]["exec"]["command"]
        return subprocess.Popen((self.docker.program, "exec", self.names[name], *command))

    def stop(self, name: str) -> int:
        """SIGTERM, and the grace of the pod; the exit code."""
        self.docker("stop", "--time", str(self.spec["terminationGracePeriodSeconds"]), self.names[name])
        return int(self.docker("inspect", "--format", "{{.State.ExitCode}}", self.names[name]))
