"""One exchange with a token endpoint, against a real one on loopback."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import subprocess

import pytest

from shipway_runtime.contract import Broker
from shipway_runtime.secrets import tokens
from shipway_runtime.secrets.tokens import Token, TokenEndpoint, TokenError

SECRET = "p:ss w+rd/é"
ENCODED = "p%3Ass+w%2Brd%2F%C3%A9"


def ask(server, secret=SECRET, identity=None, **settings):
    broker = Broker(settings.pop("url", server and server.url), "the client", **settings)
    return asyncio.run(TokenEndpoint(broker, lambda text: text.replace(SECRET, "***")).ask(secret, identity))


def refused(server, answer=None, **settings):
    if answer:
        server.answers = [answer]
    with pytest.raises(TokenError) as caught:
        ask(server, **settings)
    return str(caught.value)


def basic(headers):
    return base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode()


def test_client_credentials_by_basic_each_form_encoded(token_server):
    assert ask(token_server, scope="read write") == Token("token-1", 3600)
    ((form, headers),) = token_server.requests
    assert form == {"grant_type": "client_credentials", "scope": "read write"}
    assert basic(headers) == f"the+client:{ENCODED}"
    assert headers["accept"] == "application/json"


def test_an_identity_token_is_exchanged_without_a_secret(token_server):
    ask(token_server, secret=None, identity="eyJ")
    ((form, headers),) = token_server.requests
    assert form == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": "eyJ",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "client_id": "the client",
    }
    assert "authorization" not in headers


def test_an_exchange_with_a_secret_is_authenticated(token_server):
    ask(token_server, identity="eyJ")
    ((form, headers),) = token_server.requests
    assert form["subject_token"] == "eyJ"
    assert "client_id" not in form
    assert basic(headers).startswith("the+client:")


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, "invalid_client"), (400, "invalid_client"), (400, "invalid_request"), (401, None)],
)
def test_who_is_not_known_by_basic_is_told_in_the_body_and_that_is_kept(token_server, status, error):
    def answer(form, headers):
        if form.get("client_secret") == SECRET and "authorization" not in headers:
            return token_server.numbered(60)()
        return token_server.fixed(status, {"error": error} if error else b"<html>")()

    token_server.answers = [answer]
    endpoint = TokenEndpoint(Broker(token_server.url, "the client"), str)

    async def twice():
        await endpoint.ask(SECRET, None)
        await endpoint.ask(SECRET, None)

    asyncio.run(twice())
    shown = ["body" if "client_secret" in form else "basic" for form, _ in token_server.requests]
    assert shown == ["basic", "body", "body"]
    assert token_server.requests[-1][0]["client_id"] == "the client"


def test_a_client_that_is_refused_either_way_hears_the_first_answer(token_server):
    token_server.answers = [
        token_server.fixed(401, {"error": "invalid_client", "error_description": "no such client"}),
        token_server.fixed(400, {"error": "invalid_request", "error_description": "two methods"}),
    ]
    seen = refused(token_server)
    assert seen == f"{token_server.url} refused: HTTP 401: invalid_client: no such client"


def test_what_is_refused_for_another_reason_is_not_sent_again(token_server):
    refused(token_server, token_server.fixed(400, {"error": "invalid_scope"}))
    refused(token_server, token_server.fixed(500, b"oops"))
    assert len(token_server.requests) == 2


@pytest.mark.parametrize(
    ("status", "body", "headers", "words"),
    [
        (400, {"error": "invalid_scope", "error_description": f"not {SECRET}"}, {}, "invalid_scope: not ***"),
        (400, {"error": "x", "error_description": "a\nb" + "c" * 300}, {}, "x: a b" + "c" * 197 + "…"),
        (400, {"error": ["x"], "error_description": 7}, {}, "refused: HTTP 400"),
        (503, b"<h1>secret page</h1>", {}, "refused: HTTP 503"),
        (
            302,
            b"",
            {"location": "http://127.0.0.1:9/token"},
            "answered HTTP 302 to http://127.0.0.1:9/token; redirects are not followed, so set the final URL",
        ),
        (307, b"", {}, "answered HTTP 307 to nowhere; redirects are not followed, so set the final URL"),
        (200, b"x" * 2**19, {}, "answered with more than 262144 bytes"),
        (200, b"hello", {}, "answered without an access_token that a header can carry"),
        (200, b"[" * 100_000, {}, "answered without an access_token that a header can carry"),
        (200, ["access_token"], {}, "answered without an access_token that a header can carry"),
        (200, {"access_token": ""}, {}, "answered without an access_token that a header can carry"),
        (200, {"access_token": "a\r\nb: c"}, {}, "answered without an access_token that a header can carry"),
        (200, {"access_token": "a", "token_type": "DPoP"}, {}, "gave a token that is not of the type Bearer"),
        *(
            (
                200,
                {"access_token": "a", "expires_in": life},
                {},
                "answered with an expires_in that is no number of seconds above 0",
            )
            for life in (0, -1, 0.5, True, "soon", "", [], 1e300)
        ),
    ],
)
def test_what_is_no_token_is_said_in_one_sentence(token_server, status, body, headers, words):
    seen = refused(token_server, token_server.fixed(status, body, **headers))
    assert seen.removeprefix(f"{token_server.url} ").endswith(words)
    assert "\n" not in seen
    assert len(token_server.requests) == 1


@pytest.mark.parametrize(("said", "life"), [(60, 60), ("60", 60), (60.0, 60), (None, None)])
def test_how_long_a_token_lives(token_server, said, life):
    token_server.answers = [token_server.fixed(200, {"access_token": "a", "expires_in": said})]
    assert ask(token_server).life_s == life


@pytest.mark.parametrize("kind", ["bearer", "BEARER", "N_A", None])
def test_types_that_can_be_used(token_server, kind):
    token_server.answers = [token_server.fixed(200, {"access_token": "a", "token_type": kind})]
    assert ask(token_server) == Token("a", None)


def test_an_endpoint_that_is_not_there():
    seen = refused(None, url="http://127.0.0.1:9/token")
    assert seen.startswith("http://127.0.0.1:9/token cannot be reached: ")


def test_an_endpoint_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(tokens, "_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/token"
        assert "did not answer within 0.1 s" in refused(None, url=url)


def test_an_endpoint_that_wants_to_be_left_alone_says_how_long(token_server):
    token_server.answers = [token_server.fixed(429, b"", retry_after="120")]
    with pytest.raises(TokenError) as caught:
        ask(token_server)
    assert caught.value.retry_s == 120
    token_server.answers = [token_server.fixed(503, b"", retry_after="Fri, 31 Dec 1999 23:59:59 GMT")]
    with pytest.raises(TokenError) as caught:
        ask(token_server)
    assert caught.value.retry_s == 0


def test_the_proxy_of_the_environment_leads_there_but_not_on_this_machine(token_server, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, token_server.url.removesuffix("/token"))
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    ask(token_server, url="http://login.invalid/token")
    ask(token_server)
    assert token_server.targets == ["http://login.invalid/token", "/token"]


@pytest.fixture
def certificate(tmp_path, engine):
    openssl = engine("openssl")
    files = (str(tmp_path / "key.pem"), str(tmp_path / "cert.pem"))
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1")
    command = (
        openssl,
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        files[0],
        "-out",
        files[1],
    )
    subprocess.run((*command, *subject), check=True, capture_output=True)
    return files


def test_the_ca_of_the_environment_is_trusted_and_no_other(token_server, certificate, monkeypatch):
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    token_server.http.socket = context.wrap_socket(token_server.http.socket, server_side=True)
    url = token_server.url.replace("http:", "https:")
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", cert)
    assert ask(None, url=url).value == "token-1"
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "CERTIFICATE_VERIFY_FAILED" in refused(None, url=url)
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    assert "No such file" in refused(None, url=url)
