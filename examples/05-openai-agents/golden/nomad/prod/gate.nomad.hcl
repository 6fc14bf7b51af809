# Written by shipway from agent.toml: what decides about canaries of reception in prod. It is written again.
# nomad var put nomad/jobs/reception-gate SHIPWAY_CONTROL_TOKEN=…
# (the token is of control, with the role operate; where Nomad has ACLs: docs/reference/nomad.md)
# nomad job run gate.nomad.hcl      after each agent.nomad.hcl
job "reception-gate" {
  type = "batch"

  constraint {
    attribute = "${attr.cpu.arch}"
    operator  = "regexp"
    value     = "^(amd64)$"
  }

  group "gate" {
    network {
      mode = "bridge"
    }

    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    task "gate" {
      driver = "docker"
      user   = "65532:65532"

      config {
        image           = "registry.example.com/shipway-control@sha256:f22c18a249b851a688b53d165fe872de75eb992141542e487b0c30187bab4674"
        entrypoint      = ["/app/.venv/bin/python", "-IS", "/local/gate.py"]
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
      }

      env {
        GATE = "{\"job\": \"reception\", \"group\": \"agent\", \"deployment\": \"name=reception&environment=prod\", \"canary\": \"0123456789ab-7e6c9f\", \"gate\": {\"stable\": null, \"metrics\": {\"errors\": {\"margin\": 0.01}, \"latency\": {}}, \"alpha\": 0.05, \"share\": null}, \"hold_s\": 7200, \"patience_s\": 14400, \"every_s\": 15, \"enough\": \"&enough=1\"}"
      }

      template {
        destination = "local/gate.py"
        change_mode = "restart"
        data        = <<EOT
"""Nomad's canaries wait for somebody's word: this asks control, and promotes or fails them.

In: $GATE, what is judged, as JSON: `job` and `group`, `deployment` (a query), `canary`, `gate` (the body that
begins it; null where nothing judges), `hold_s`, `patience_s`, `every_s`, `enough` (a query, or empty). In the
environment also SHIPWAY_CONTROL_URL, SHIPWAY_CONTROL_TOKEN with the role `operate`, and NOMAD_TOKEN; Nomad is
asked through the task's own socket, elsewhere at NOMAD_ADDR.
Out: exit code 0, promoted or nothing to decide; 3, failed: Nomad goes back; 75, not decided in time: the
canaries stay, for a person; 1, there is no such deployment any more. This file is rendered as it is, and
needs nothing but Python.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

TIMEOUT_S = 10
PASS, FAIL, UNDECIDED, GONE = 0, 3, 75, 1
Details = dict[str, Any]


def main() -> int:
    """Look until it is decided. Whoever is away is asked again."""
    details: Details = json.loads(os.environ["GATE"])
    first: str | None = None
    while True:
        try:
            deployment = latest(details)
            if first is not None and deployment["ID"] != first:
                return say(f"another deployment has begun: {deployment['ID']}", GONE)
            first = deployment["ID"]
            code = look(details, deployment)
        except urllib.error.HTTPError as refused:
            print(f"{refused.url}: {refused.code} {refused.read().decode(errors='replace')}", flush=True)
            code = None
        except (OSError, http.client.HTTPException, ValueError) as away:
            print(f"no answer: {away}", flush=True)
            code = None
        if code is not None:
            return code
        time.sleep(details["every_s"])


def look(details: Details, deployment: dict[str, Any]) -> int | None:
    """The exit code, when there is something to do no more."""
    group = deployment["TaskGroups"][details["group"]]
    if deployment["Status"] in ("failed", "cancelled"):
        return say(f"deployment {deployment['ID']}: {deployment['StatusDescription']}", GONE)
    if not group["DesiredCanaries"] or group["Promoted"]:
        return say("no canary waits", PASS)
    if group["HealthyAllocs"] < group["DesiredCanaries"]:
        return None
    verdict, since = judge(details)
    held = time.time() - since
    if verdict == FAIL:
        nomad("POST", f"/v1/deployment/fail/{deployment['ID']}", {"DeploymentID": deployment["ID"]})
        return say("control found the canary worse: failed", end(details, FAIL))
    if verdict == PASS and held >= details["hold_s"]:
        every = {"DeploymentID": deployment["ID"], "All": True}
        nomad("POST", f"/v1/deployment/promote/{deployment['ID']}", every)
        return say("promoted", end(details, PASS))
    if held >= details["patience_s"]:
        return say("not decided: promote or fail it yourself", UNDECIDED)
    return None


def judge(details: Details) -> tuple[int, float]:
    """What control says, and since when it judges. Without gates time counts, since they were healthy."""
    if details["gate"] is None:
        return PASS, details.setdefault("since", time.time())
    begun = control("PUT", details, f"/v1/gates/{details['canary']}", body=details["gate"])
    said = control("GET", details, "/v1/verdict", f"&as=exit{details['enough']}")
    return int(said), float(begun["since"])


def end(details: Details, code: int) -> int:
    """Control need not judge any longer; what it found stays."""
    if details["gate"] is not None:
        control("DELETE", details, f"/v1/gates/{details['canary']}")
    return code


def say(words: str, code: int) -> int:
    print(words, flush=True)
    return code


# -- Whom it asks --------------------------------------------------------------------------------------------


def latest(details: Details) -> dict[str, Any]:
    """The job's newest deployment."""
    found: dict[str, Any] | None = nomad("GET", f"/v1/job/{details['job']}/deployment")
    if found is None:
        raise ValueError(f"the job {details['job']} has no deployment")
    return found


def nomad(method: str, path: str, body: Any = None) -> Any:
    """Nomad's API, in the namespace of this task."""
    path += "?namespace=" + os.environ.get("NOMAD_NAMESPACE", "default")
    headers = {"X-Nomad-Token": os.environ.get("NOMAD_TOKEN", "")}
    own = Path(os.environ.get("NOMAD_SECRETS_DIR", ""), "api.sock")
    if own.is_socket():
        return _read(_Socket(own), method, path, headers, body)
    address = os.environ.get("NOMAD_ADDR", "http://127.0.0.1:4646")
    return _ask(method, address.rstrip("/") + path, headers, body)


def control(method: str, details: Details, path: str, more: str = "", body: Any = None) -> Any:
    """Control's."""
    headers = {"authorization": f"Bearer {os.environ['SHIPWAY_CONTROL_TOKEN']}"}
    query = f"{details['deployment']}&canary={details['canary']}{more}"
    address = os.environ["SHIPWAY_CONTROL_URL"].rstrip("/")
    return _ask(method, f"{address}{path}?{query}", headers, body)


def _ask(method: str, url: str, headers: dict[str, str], body: Any) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, method=method, data=data, headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - of who runs the job
        text = answer.read()
    return json.loads(text) if text else None


class _Socket(http.client.HTTPConnection):
    """HTTP through a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("nomad", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(self._path))


def _read(connection: _Socket, method: str, path: str, headers: dict[str, str], body: Any) -> Any:
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise OSError(f"Nomad answers {answer.status} to {path}: {text.decode(errors='replace')}")
        return json.loads(text) if text else None
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
EOT
      }

      template {
        destination          = "secrets/0.env"
        env                  = true
        perms                = "0400"
        uid                  = 65532
        gid                  = 65532
        error_on_missing_key = true
        data                 = <<EOT
{{ with nomadVar "nomad/jobs/reception-gate" }}
SHIPWAY_CONTROL_TOKEN={{ .SHIPWAY_CONTROL_TOKEN.Value | toJSON }}
{{ end }}
EOT
      }

      template {
        destination = "local/control.env"
        env         = true
        splay       = "30s"
        data        = <<EOT
{{ if nomadVarExists "nomad/jobs/reception-gate/gate/gate" }}{{ with nomadVar "nomad/jobs/reception-gate/gate/gate" }}
SHIPWAY_CONTROL_URL={{ .url }}
{{ end }}{{ else }}{{ range nomadService 1 (env "NOMAD_ALLOC_ID") "reception-control" }}
SHIPWAY_CONTROL_URL=http://{{ .Address }}:{{ .Port }}
{{ else }}
SHIPWAY_CONTROL_URL=http://reception-control.invalid
{{ end }}{{ end }}
EOT
      }

      identity {
        env = true
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
