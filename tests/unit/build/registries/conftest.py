"""A small registry in memory, on loopback, that a test can make misbehave."""

import contextlib
import hashlib
import http.server
import json
import socket
import threading
import urllib.parse

import pytest

from shipway.build.registries.reference import parse_reference
from shipway.build.registries.registry import Repository, Retries
from shipway.build.registries.transfer import Descriptor

INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Registry(http.server.ThreadingHTTPServer):
    """A small registry in memory. `fault(handler)` may answer in its stead, and returns True then."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.blobs, self.manifests, self.uploads, self.seen = {}, {}, {}, []
        self.fault = lambda handler: False
        self.storage = ""  # another address, for uploads and downloads
        self.lists_referrers = False  # whether it has the API, as registries of OCI 1.1 do

    def handle_error(self, request, client_address):
        """Connections break here on purpose."""

    @property
    def host(self):
        return f"127.0.0.1:{self.server_address[1]}"

    def methods(self, method):
        return [headers for verb, _, headers in self.seen if verb == method]

    def add(self, data):
        self.blobs[digest_of(data)] = data
        return Descriptor("application/octet-stream", digest_of(data), len(data))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_one(self):
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        if not self.server.fault(self):
            url = urllib.parse.urlsplit(self.path)
            getattr(self, f"{self.command.lower()}_{url.path.split('/')[3]}")(
                url.path.split("/")[4:], url.query
            )

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = handle_one

    def answer(self, status, body=b"", **headers):
        if self.command != "HEAD":
            headers.setdefault("Content_Length", len(body))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def read(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def reset(self):
        """End the connection without an answer."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
        return True

    def challenge(self, text):
        self.read()
        self.answer(401, WWW_Authenticate=text)
        return True

    def get_blobs(self, path, query):
        if path[0] == "uploads":
            received = len(self.server.uploads[path[1]])
            self.answer(204, Range=f"0-{max(received - 1, 0)}", Location=self.path)
        elif path[0] in self.server.blobs:
            self.answer(200, self.server.blobs[path[0]])
        else:
            self.answer(404)

    head_blobs = get_blobs

    def post_blobs(self, path, query):
        self.read()
        number = str(len(self.server.uploads))
        self.server.uploads[number] = b""
        self.answer(202, Location=f"{self.server.storage}/v2/a/blobs/uploads/{number}?_state=a%2Bb%3D")

    def patch_blobs(self, path, query):
        assert query == "_state=a%2Bb%3D"
        self.server.uploads[path[1]] += self.read()
        self.answer(202, Location=self.path)

    def put_blobs(self, path, query):
        fields = urllib.parse.parse_qs(query)
        assert fields["_state"] == ["a+b="]
        data = self.server.uploads[path[1]] + self.read()
        if digest_of(data) != fields["digest"][0]:
            self.answer(400, b'{"errors": [{"code": "DIGEST_INVALID", "message": "no"}]}')
            return
        self.server.add(data)
        self.answer(201)

    def get_manifests(self, path, query):
        if path[0] not in self.server.manifests:
            self.answer(404)
            return
        kind, data = self.server.manifests[path[0]]
        self.answer(200, data, Content_Type=kind, Docker_Content_Digest=digest_of(data))

    head_manifests = get_manifests

    def put_manifests(self, path, query):
        data = self.read()
        for name in (path[0], digest_of(data)):
            self.server.manifests[name] = (self.headers["Content-Type"], data)
        subject = json.loads(data).get("subject")
        listed = {"OCI_Subject": subject["digest"]} if subject and self.server.lists_referrers else {}
        self.answer(201, **listed)

    def get_referrers(self, path, query):
        """Two answers: the first entry, then the others."""
        if not self.server.lists_referrers:
            self.answer(404)
            return
        found = [
            {"mediaType": kind, "digest": name, "size": len(data), "artifactType": document["artifactType"]}
            for name, (kind, data) in sorted(self.server.manifests.items())
            if name.startswith("sha256:")
            and (document := json.loads(data)).get("subject", {}).get("digest") == path[0]
        ]
        page = {"schemaVersion": 2, "mediaType": INDEX, "manifests": found[1:] if query else found[:1]}
        more = {} if query else {"Link": f'</v2/a/referrers/{path[0]}?n=1>; rel="next"'}
        self.answer(200, json.dumps(page).encode(), Content_Type=INDEX, **more)


@contextlib.contextmanager
def serving():
    with Registry() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def registry():
    with serving() as server:
        yield server


@pytest.fixture
def other():
    """A second server, which should never learn anything."""
    with serving() as server:
        yield server


@pytest.fixture
def environ(registry, tmp_path):
    return {
        "DOCKER_CONFIG": str(tmp_path),
        "SHIPWAY_REGISTRY": registry.host,
        "SHIPWAY_REGISTRY_USERNAME": "me",
        "SHIPWAY_REGISTRY_PASSWORD": "hush",
    }


@pytest.fixture
def repository(registry, environ, tmp_path):
    reference = parse_reference(f"{registry.host}/a")
    with Repository(reference, environ, tmp_path, Retries(attempts=4, pause_s=0.001)) as found:
        yield found
