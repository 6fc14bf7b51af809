"""JSON Web Tokens: real keys and signatures, an issuer on loopback that rotates, fails and floods."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from tests.issuer import PRIVATE, IssuerServer, jwk, sign

from shipway_runtime.api.auth import issuer as issuers
from shipway_runtime.api.auth import published, tokens
from shipway_runtime.api.auth.issuer import Issuer
from shipway_runtime.api.auth.refusal import Refused
from shipway_runtime.api.auth.tokens import TokenAuth
from shipway_runtime.contract import Api

API = Api(auth="jwt", audience="support", issuer="https://login", tenant_claim="org")


@pytest.fixture
def server():
    server = IssuerServer(*map(jwk, PRIVATE))
    yield server
    server.close()


@contextlib.asynccontextmanager
async def serving(server, api=API, *, pause_s=0.0, interval_s=60.0):
    """What guards an API, once it has asked its issuer for the first time."""
    issuer = Issuer(server.url, interval_s=interval_s, pause_s=pause_s)
    auth = TokenAuth(api, issuer)
    keeping = asyncio.create_task(auth.keep())
    while issuer.current is None and issuer.error is None:
        await asyncio.sleep(0.005)
    yield auth
    keeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeping


async def ask(auth, token):
    headers = [(b"authorization", b"Bearer " + (token if isinstance(token, bytes) else token.encode()))]
    return (await auth.caller({"type": "http", "headers": headers})).tenant


async def refusal(auth, token):
    with pytest.raises(Refused) as caught:
        await ask(auth, token)
    return caught.value.status, caught.value.code, str(caught.value)


def tenant(server, token, api=API):
    async def run():
        async with serving(server, api) as auth:
            return await ask(auth, token)

    return asyncio.run(run())


def refused(server, token, api=API, **given):
    async def run():
        async with serving(server, api, **given) as auth:
            return await refusal(auth, token)

    return asyncio.run(run())


# -- What a token says ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", PRIVATE)
def test_a_token_of_each_kind_of_key(server, algorithm):
    assert tenant(server, sign(algorithm)) == "acme"


def test_an_audience_may_be_one_of_several(server):
    assert tenant(server, sign(aud=["billing", "support"])) == "acme"


def test_neither_audience_nor_issuer_has_to_be_configured(server):
    open_api = Api(auth="jwt", tenant_claim="sub")
    assert tenant(server, sign(aud="billing", iss=None, sub="auth0|1"), open_api) == "auth0|1"


def test_clocks_may_differ_a_little(server):
    now = int(time.time())
    assert tenant(server, sign(exp=now - 10, nbf=now + 10, iat=now + 10)) == "acme"


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"exp": 1}, "the token has expired"),
        ({"exp": None}, "the token has no claim exp"),
        ({"exp": "soon"}, "the token is not valid"),
        ({"exp": 1e400}, "the token is not valid"),
        ({"nbf": int(time.time()) + 3600}, "the token is not valid yet"),
        ({"iat": int(time.time()) + 3600}, "the token is not valid yet"),
        ({"aud": "billing"}, 'the token is not for "support"'),
        ({"aud": None}, "the token has no claim aud"),
        ({"iss": "https://evil"}, 'the token is not from "https://login"'),
        ({"iss": None}, "the token has no claim iss"),
    ],
)
def test_what_a_token_has_to_say(server, claims, message):
    assert refused(server, sign(**claims)) == (401, "invalid_token", message)


@pytest.mark.parametrize(
    ("org", "code"),
    [
        (None, "missing_tenant"),
        (7, "missing_tenant"),
        (["acme"], "missing_tenant"),
        ("", "invalid_tenant"),
        ("a b", "invalid_tenant"),
        ("a\r\nx-evil: 1", "invalid_tenant"),
        ("a" * 129, "invalid_tenant"),
    ],
)
def test_the_claim_that_names_the_tenant(server, org, code):
    status, found, message = refused(server, sign(org=org))
    assert (status, found) == (403, code)
    assert "claim org" in message


# -- Forged --------------------------------------------------------------------------------------------------


def encode(part):
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")


def forged(header, claims=None, signature=b"x"):
    claims = claims or {"org": "acme", "exp": int(time.time()) + 60, "aud": "support", "iss": "https://login"}
    return encode(header) + b"." + encode(claims) + b"." + signature


def public_pem(algorithm):
    return (
        PRIVATE[algorithm]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def hmac_of_the_public_key():
    """The classic: the issuer's public key, which everybody has, used as the secret of HS256."""
    algorithm = jwt.get_algorithm_by_name("HS256")
    signed = forged({"alg": "HS256", "kid": "RS256", "typ": "JWT"}).rpartition(b".")[0]
    signature = algorithm.sign(signed, public_pem("RS256"))
    return signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")


def other_claims_under_the_same_signature():
    header, _, signature = sign().encode().split(b".")
    claims = encode({"org": "globex", "exp": int(time.time()) + 60, "aud": "support", "iss": "https://login"})
    return b".".join((header, claims, signature))


OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)

FORGED = {
    "no algorithm": forged({"alg": "none", "kid": "RS256"}, signature=b""),
    "None": forged({"alg": "None", "kid": "RS256"}, signature=b""),
    "an algorithm that is no text": forged({"alg": ["RS256"], "kid": "RS256"}),
    "without one": forged({"kid": "RS256"}),
    "hmac of the public key": hmac_of_the_public_key(),
    "the algorithm of another kind of key": sign("ES256", headers={"kid": "RS256"}),
    "the key of another curve": sign("ES256", headers={"kid": "ES384"}),
    "another key under a known name": jwt.encode({"org": "acme"}, OTHER, "RS256", headers={"kid": "RS256"}),
    "a key of its own": jwt.encode({"org": "a"}, OTHER, "RS256", headers={"jwk": {"kty": "oct", "k": "x"}}),
    "a key from elsewhere": jwt.encode(
        {"org": "a"}, OTHER, "RS256", headers={"jku": "http://127.0.0.1:9/jwks", "kid": "mine"}
    ),
    "other claims": other_claims_under_the_same_signature(),
    "a signature cut short": sign()[:-8].encode(),
    "critical headers": sign(headers={"crit": ["exp"]}).encode(),
    "a kid that is no text": forged({"alg": "RS256", "kid": {"a": 1}}),
    "nested deeply": base64.urlsafe_b64encode(b"[" * 10_000) + b".e30.x",
    "not a token": b"hunter2",
    "not even text": b"\xff\xfe.\xff.\xff",
}


@pytest.mark.parametrize("name", FORGED)
def test_what_is_forged(server, name):
    status, code, message = refused(server, FORGED[name])
    assert (status, code) == (401, "invalid_token")
    assert "hunter2" not in message


@given(st.binary(max_size=300), st.integers(0, 2))
def test_any_bytes_are_refused(junk, where):
    parts = sign().encode().split(b".")
    parts[where] = junk
    issuer = Issuer("http://127.0.0.1:9")
    issuer.current = PUBLISHED
    asyncio.run(refusal(TokenAuth(API, issuer), b".".join(parts) or b"."))


PUBLISHED = published.read(json.dumps({"keys": [jwk(name) for name in PRIVATE]}).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"use": None, "key_ops": ["encrypt"]},
        {"alg": "RS384"},
        {"alg": "HS256"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"n": "AQAB"},
        {"n": 7},
        {"kid": 7},
    ],
)
def test_keys_that_may_not_verify_it(server, change):
    server.publish(jwk("ES256"), jwk("RS256", **change))
    assert refused(server, sign("RS256"))[:2] == (401, "invalid_token")


def test_a_token_that_names_no_key(server):
    token = jwt.encode(jwt.decode(sign(), options={"verify_signature": False}), PRIVATE["ES256"], "ES256")
    server.publish(jwk("RS256"), jwk("ES256"))
    assert tenant(server, token) == "acme"
    server.publish(jwk("ES256", kid="a"), jwk("ES256", kid="b"))
    assert refused(server, token)[:2] == (401, "invalid_token")


# -- The issuer ----------------------------------------------------------------------------------------------


def test_a_new_key_counts_with_its_first_token(server):
    server.publish(jwk("RS256"))

    async def run():
        async with serving(server) as auth:
            server.publish(jwk("RS256"), jwk("ES256"))
            assert (
                await asyncio.gather(*(ask(auth, sign("ES256", jti=str(i))) for i in range(20)))
                == ["acme"] * 20
            )
            assert server.requests <= 3, "all of them wait for the same answer"

    asyncio.run(run())


def test_made_up_keys_do_not_make_us_ask_again_and_again(server):
    async def run():
        async with serving(server, pause_s=60.0) as auth:
            for i in range(20):
                await refusal(auth, sign(headers={"kid": f"made-up-{i}"}))
            assert server.requests == 2

    asyncio.run(run())


def test_a_key_that_is_taken_away_takes_its_tokens_with_it(server):
    async def run():
        async with serving(server) as auth:
            token = sign("ES256")
            assert [await ask(auth, token), await ask(auth, token)] == ["acme", "acme"]
            server.publish(jwk("RS256"))
            await refusal(auth, sign(headers={"kid": "unknown"}))  # makes it look
            assert (await refusal(auth, token))[1] == "invalid_token"
            assert await ask(auth, sign("RS256")) == "acme"

    asyncio.run(run())


def test_the_last_keys_stay_in_use_while_the_issuer_is_away(server, caplog):
    async def run():
        async with serving(server, interval_s=0.01) as auth:
            server.status = 503
            while not auth.detail()["jwks"]["error"]:
                await asyncio.sleep(0.005)
            assert await ask(auth, sign()) == "acme"
            assert auth.problem() is None
            assert "answered HTTP 503; its last keys stay in use" in caplog.text

    asyncio.run(run())


def test_keys_are_fetched_again_by_themselves(server):
    server.publish(jwk("RS256"))

    async def run():
        async with serving(server, interval_s=0.01, pause_s=60.0) as auth:
            server.publish(jwk("ES256"))
            while "ES256" not in auth.detail()["jwks"]["keys"]:
                await asyncio.sleep(0.005)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "document", "headers", "problem"),
    [
        (500, {}, {}, "answered HTTP 500"),
        (302, {}, {"location": "http://127.0.0.1:9/"}, "redirects are not followed"),
        (200, b"<html>", {}, "is not JSON"),
        (200, b"[" * 100_000, {}, "is not JSON"),
        (200, [], {}, "is no key set"),
        (200, {"keys": {}}, {}, "is no key set"),
        (200, {"keys": [{"kty": "oct", "k": "x"}, 7]}, {}, "has no key that can verify a token"),
        (200, b"x" * 2**19, {}, "answered with more than 262144 bytes"),
    ],
)
def test_an_issuer_that_gives_no_keys(server, status, document, headers, problem):
    server.status, server.document, server.headers = status, document, headers

    async def run():
        async with serving(server) as auth:
            assert problem in auth.problem()
            assert server.url in auth.problem()
            status, code, message = await refusal(auth, sign())
            assert (status, code) == (503, "auth_unavailable")
            assert "127.0.0.1" not in message

    asyncio.run(run())


def test_an_issuer_that_does_not_answer(server, monkeypatch):
    monkeypatch.setattr(issuers, "TIMEOUT_S", 0.05)
    server.gate.clear()

    async def run():
        async with serving(server) as auth:
            assert "did not answer within 0.05 s" in auth.problem()
            server.gate.set()
            while auth.problem():
                await asyncio.sleep(0.005)
            assert await ask(auth, sign()) == "acme"

    asyncio.run(run())


def test_one_caller_that_leaves_does_not_end_the_fetch_of_others(server):
    server.publish(jwk("RS256"))

    async def run():
        async with serving(server) as auth:
            server.publish(jwk("ES256"))
            server.gate.clear()
            first, second = (asyncio.create_task(ask(auth, sign(jti=name))) for name in ("a", "b"))
            while server.requests < 2:
                await asyncio.sleep(0.005)
            first.cancel()
            await asyncio.sleep(0.01)
            server.gate.set()
            assert await second == "acme"
            with pytest.raises(asyncio.CancelledError):
                await first

    asyncio.run(run())


# -- What is remembered --------------------------------------------------------------------------------------


def test_a_token_is_verified_once_until_it_ends(server, monkeypatch):
    seen = []
    decode = jwt.decode
    monkeypatch.setattr(jwt, "decode", lambda *given, **more: seen.append(1) or decode(*given, **more))

    async def run():
        async with serving(server) as auth:
            token = sign()
            assert [await ask(auth, token) for _ in range(3)] == ["acme"] * 3
            assert len(seen) == 1
            moment = time.time()
            monkeypatch.setattr(tokens.time, "time", lambda: moment + 60 + tokens.LEEWAY_S + 1)
            await ask(auth, token)  # it is verified again; PyJWT has a clock of its own
            assert len(seen) == 2

    asyncio.run(run())


def test_no_more_than_so_many_are_remembered(server, monkeypatch):
    monkeypatch.setattr(tokens, "REMEMBERED", 3)

    async def run():
        async with serving(server) as auth:
            for i in range(6):
                await ask(auth, sign("EdDSA", jti=str(i)))
            assert len(auth._verified) == 3

    asyncio.run(run())
