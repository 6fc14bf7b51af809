"""Credentials answer the registry that they are for, and nobody it points to."""

import base64
import json
import urllib.parse

import httpx2
import pytest

from shipway.build.cache import Cache
from shipway.build.registries.authorization import check_realm, read_challenges
from shipway.build.registries.reference import parse_reference
from shipway.build.registries.registry import Repository, Retries
from shipway.build.registries.remote_image import fetch_blob
from shipway.build.registries.transfer import MONOLITHIC, upload
from shipway.errors import BuildError

BASIC = "Basic " + base64.b64encode(b"me:hush").decode()


def guarded(registry, challenge, accepted):
    """Every request needs `accepted`, except those to the token server, which is at /token."""

    def fault(handler):
        if handler.path.startswith("/token"):
            return False
        if handler.headers.get("Authorization") == accepted:
            return False
        return handler.challenge(challenge)

    registry.fault = fault


def bearer(registry, **fields):
    """A bearer challenge of a token server on the registry's own host, which gives the token `granted`."""

    def token(handler):
        handler.seen_form = handler.read()
        registry.forms.append(
            (handler.path, handler.seen_form.decode(), handler.headers.get("Authorization"))
        )
        handler.answer(200, json.dumps({"token": "granted"}).encode())
        return True

    registry.forms = []
    guarded(registry, f'Bearer realm="http://{registry.host}/token",service="here"', "Bearer granted")
    guard = registry.fault
    registry.fault = lambda handler: token(handler) if handler.path.startswith("/token") else guard(handler)


def test_basic(registry, repository):
    guarded(registry, 'Basic realm="x"', BASIC)
    assert repository.manifest("1") is None
    assert repository.manifest("2") is None
    assert len(registry.seen) == 3  # asked once, then remembered


def test_no_credentials_before_they_are_asked_for(registry, repository):
    assert repository.manifest("1") is None
    assert "Authorization" not in registry.methods("GET")[0]


def test_bearer_by_password(registry, repository):
    bearer(registry)
    assert repository.manifest("1") is None
    assert repository.manifest("2") is None
    ((path, _, authorization),) = registry.forms
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
    assert query == {"service": ["here"], "scope": ["repository:a:pull"]}
    assert authorization == BASIC


def test_bearer_by_identity_token(registry, tmp_path):
    bearer(registry)
    auths = {"auths": {registry.host: {"identitytoken": "refresh"}}}
    (tmp_path / "config.json").write_text(json.dumps(auths))
    reference = parse_reference(f"{registry.host}/a")
    with Repository(reference, {"DOCKER_CONFIG": str(tmp_path)}, tmp_path, Retries(1)) as repository:
        assert repository.manifest("1") is None
    ((_, form, authorization),) = registry.forms
    fields = urllib.parse.parse_qs(form)
    assert (fields["grant_type"], fields["refresh_token"]) == (["refresh_token"], ["refresh"])
    assert fields["scope"] == ["repository:a:pull"]
    assert authorization is None


def test_a_mount_asks_for_both_repositories(registry, repository, tmp_path):
    bearer(registry)
    path = tmp_path / "blob"
    path.write_bytes(b"x")
    blob = registry.add(b"x")
    registry.blobs.clear()
    assert upload(repository, blob, lambda: path, "b") == "sent"
    scopes = [
        urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)["scope"] for path, *_ in registry.forms
    ]
    assert ["repository:a:pull,push", "repository:b:pull"] in scopes


def test_a_token_that_expires_is_asked_for_again(registry, repository):
    bearer(registry)
    repository.manifest("1")
    guard, expired = registry.fault, [True]

    def expire(handler):
        if expired and not handler.path.startswith("/token"):
            expired.clear()
            return handler.challenge(f'Bearer realm="http://{registry.host}/token",service="here"')
        return guard(handler)

    registry.fault = expire
    repository.manifest("2")
    assert len(registry.forms) == 2


def test_a_foreign_realm_learns_nothing(registry, other, repository):
    port = other.server_address[1]
    guarded(registry, f'Bearer realm="http://localhost:{port}/token",service="here"', "nothing")
    with pytest.raises(BuildError, match="which is refused"):
        repository.manifest("1")
    assert other.seen == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('Basic realm="Bearer of news"', {"basic": {"realm": "Bearer of news"}}),
        (
            'Bearer realm="https://a/t",service="b, c", scope=x, Basic realm="y"',
            {
                "bearer": {"realm": "https://a/t", "service": "b, c", "scope": "x"},
                "basic": {"realm": "y"},
            },
        ),
        ("Negotiate, BASIC", {"negotiate": {}, "basic": {}}),
        ('Digest realm="x"', {"digest": {"realm": "x"}}),
        ("", {}),
    ],
)
def test_challenges(text, expected):
    assert read_challenges(text) == expected


REGISTRY = httpx2.URL("https://registry.example.com")


@pytest.mark.parametrize(
    "realm",
    [
        "https://auth.example.com/token",
        "https://auth.example.net/token",
        "https://registry.example.com/token",
    ],
)
def test_token_servers_over_https(realm):
    assert check_realm(realm, REGISTRY) == httpx2.URL(realm)


@pytest.mark.parametrize(
    "realm",
    [
        "http://registry.example.com/token",
        "http://auth.example.com/token",
        "https://169.254.169.254/latest",
        "https://10.0.0.1/token",
        "https://[::1]/token",
        "https://localhost/token",
        "https://me:you@auth.example.com/token",
        "file:///etc/passwd",
        "/token",
        "",
    ],
)
def test_other_token_servers_are_refused(realm):
    with pytest.raises(BuildError, match="which is refused"):
        check_realm(realm, REGISTRY)


def test_a_company_registry_on_a_private_address_may_be_its_own_token_server():
    registry = httpx2.URL("https://10.0.0.1:5000")
    assert check_realm("https://10.0.0.1/token", registry)
    assert check_realm("http://10.0.0.1/token", httpx2.URL("http://10.0.0.1:5000"))


def test_a_token_server_may_not_redirect(registry, other, repository):
    bearer(registry)
    guard = registry.fault

    def redirect(handler):
        if handler.path.startswith("/token"):
            handler.answer(302, Location=f"http://{other.host}/token")
            return True
        return guard(handler)

    registry.fault = redirect
    with pytest.raises(BuildError, match="gives no token: 302"):
        repository.manifest("1")
    assert other.seen == []


def test_a_redirect_to_storage_carries_no_authorization(registry, other, repository, tmp_path):
    blob = other.add(b"x" * 100)
    guarded(registry, 'Basic realm="x"', BASIC)
    guard = registry.fault

    def redirect(handler):
        if guard(handler):
            return True
        handler.answer(307, Location=f"http://{other.host}{handler.path}")
        return True

    registry.fault = redirect
    assert fetch_blob(repository, blob, Cache(tmp_path / "cache")).read_bytes() == b"x" * 100
    assert registry.methods("GET")[-1]["Authorization"] == BASIC
    (headers,) = other.methods("GET")
    assert "Authorization" not in headers


@pytest.mark.parametrize("size", [10, MONOLITHIC + 1])
def test_an_upload_to_another_host_carries_no_authorization(registry, other, repository, tmp_path, size):
    guarded(registry, 'Basic realm="x"', BASIC)
    registry.storage = f"http://{other.host}"
    other.uploads["0"] = b""
    data = b"x" * size
    path = tmp_path / "blob"
    path.write_bytes(data)
    blob = registry.add(data)
    registry.blobs.clear()
    assert upload(repository, blob, lambda: path) == "sent"
    assert other.blobs[blob.digest] == data
    assert registry.methods("POST")[-1]["Authorization"] == BASIC
    assert all("Authorization" not in headers for _, _, headers in other.seen)


def test_https_never_becomes_http(registry, repository):
    def redirect(handler):
        handler.answer(307, Location="ftp://example.com/x")
        return True

    registry.fault = redirect
    with pytest.raises(BuildError, match="which is refused: expected https"):
        repository.manifest("1")
    repository.root = httpx2.URL("https://registry.example.com")  # as if it had been asked over HTTPS
    with pytest.raises(BuildError, match="which is refused: expected https"):
        repository._check_scheme(httpx2.URL(f"http://{registry.host}/"))


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_says_what_was_tried(registry, repository, tmp_path, status):
    def refuse(handler):
        handler.read()
        body = b'{"errors": [{"code": "DENIED", "message": "not you"}]}'
        handler.answer(status, body, WWW_Authenticate='Basic realm="x"')
        return True

    registry.fault = refuse
    with pytest.raises(BuildError, match=rf"may not pull from {registry.host}/a: {status}") as caught:
        repository.manifest("1")
    text = str(caught.value)
    assert "DENIED not you" in text
    assert "credentials used: SHIPWAY_REGISTRY_USERNAME" in text
    assert "hush" not in text
    assert "docker login" in caught.value.hint


def test_plain_http_is_for_loopback_and_for_whom_it_was_asked():
    def scheme(host, insecure=""):
        with Repository(
            parse_reference(f"{host}/a"), {"SHIPWAY_INSECURE_REGISTRIES": insecure}
        ) as repository:
            return repository.root.scheme

    assert scheme("127.0.0.1:5000") == scheme("localhost") == scheme("[::1]:5000") == "http"
    assert scheme("registry.example.com:5000") == scheme("127.0.0.1.example.com") == "https"
    insecure = "other.example.com,registry.example.com:5000"
    assert scheme("registry.example.com:5000", insecure) == "http"
    assert scheme("registry.example.com", insecure) == "https"
