"""A small Amazon ECS on loopback: as much of its API as deploying needs.

In: requests as the AWS CLI sends them. Out: answers; each body is put before botocore's model first. A
service that is to fail goes back to its last task definition, as the circuit breaker has it.
"""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.ecs_shapes import problems

ACCOUNT = "arn:aws:ecs:eu-west-1:123456789012"


class Ecs:
    """`calls` are the operations with their bodies, in order. `broken` are services that cannot run."""

    def __init__(self) -> None:
        self.url = ""
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.families: dict[str, int] = {}
        self.services: dict[str, str] = {}
        self.broken: set[str] = set()

    def answer(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        if found := problems(operation, body):
            raise ValueError(f"{operation}: {found}")
        self.calls.append((operation, body))
        answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "RegisterTaskDefinition": self._register,
            "DescribeServices": self._describe,
            "CreateService": lambda given: self._run(given["serviceName"], given),
            "UpdateService": lambda given: self._run(given["service"], given),
        }
        return answers[operation](body)

    def _register(self, body: dict[str, Any]) -> dict[str, Any]:
        family = body["family"]
        self.families[family] = self.families.get(family, 0) + 1
        arn = f"{ACCOUNT}:task-definition/{family}:{self.families[family]}"
        return {"taskDefinition": {"taskDefinitionArn": arn}}

    def _describe(self, body: dict[str, Any]) -> dict[str, Any]:
        return {
            "services": [self._service(name) for name in body["services"] if name in self.services],
            "failures": [],
        }

    def _run(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        if not (name in self.broken and name in self.services):
            self.services[name] = body["taskDefinition"]
        return {"service": self._service(name)}

    def _service(self, name: str) -> dict[str, Any]:
        return {
            "serviceName": name,
            "status": "ACTIVE",
            "taskDefinition": self.services[name],
            "desiredCount": 1,
            "runningCount": 1,
            "deployments": [{"status": "PRIMARY"}],
        }


@contextmanager
def ecs_api() -> Iterator[Ecs]:
    ecs = Ecs()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            operation = self.headers["x-amz-target"].rpartition(".")[2]
            try:
                status, answer = 200, ecs.answer(operation, body)
            except ValueError as error:
                status, answer = 400, {"__type": "ClientException", "message": str(error)}
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/x-amz-json-1.1")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ecs.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield ecs
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
