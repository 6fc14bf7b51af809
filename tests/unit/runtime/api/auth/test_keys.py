"""API keys: the secret's lines, the module that makes one, and who is let in."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway_runtime import keys
from shipway_runtime.api.auth.keys import KeyAuth
from shipway_runtime.api.auth.refusal import Refused
from shipway_runtime.errors import StartError
from shipway_runtime.keys import KeysError

HEX = "ab" * 32
OPENSSL = """
key=$(openssl rand -hex 32); echo "$key"
echo "acme sha256:$(printf %s "$key" | openssl dgst -sha256 -r | cut -c1-64)"
"""
NAMES = st.from_regex(keys.TENANT, fullmatch=True)


# -- Lines ---------------------------------------------------------------------------------------------------


def test_lines_comments_and_several_keys_of_a_tenant():
    text = f"\ufeff# keys\r\nacme sha256:{HEX}\r\n\n  acme\tsha256:{'CD' * 32}  # the new one\n"
    text += f"x@y sha256:{'0' * 64}"
    assert keys.parse(text) == {
        bytes.fromhex(HEX): "acme",
        bytes.fromhex("cd" * 32): "acme",
        bytes(32): "x@y",
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("acme", "line 2: expected `TENANT sha256:…` with 64 hexadecimal digits"),
        (f"acme sha256:{HEX}0", "line 2: expected"),
        (f"acme md5:{HEX}", "line 2: expected"),
        (f"acme shipway_{HEX}", "line 2: expected"),
        (f"sha256:{HEX}", "line 2: expected"),
        (f"acme sha256:{HEX} until=2027", "line 2: expected"),
        (f"acmé sha256:{HEX}", "line 2: a tenant's name has letters, digits"),
        (f"{'a' * 129} sha256:{HEX}", "line 2: a tenant's name"),
        (f"other sha256:{'1' * 64}", "line 2: the same key is another tenant's"),
    ],
)
def test_a_wrong_line_is_named_and_not_shown(line, message):
    with pytest.raises(KeysError, match=message) as error:
        keys.parse(f"acme sha256:{'1' * 64}\n{line}")
    assert HEX not in str(error.value)


@given(st.dictionaries(st.binary(min_size=32, max_size=32), NAMES), st.text("# \t\r\nx"))
def test_what_is_written_is_read(table, comment):
    text = "\n".join(
        f"{tenant} sha256:{digest.hex()} #{comment.replace(chr(10), '')}" for digest, tenant in table.items()
    )
    assert keys.parse(text) == table


@given(st.text())
def test_any_text_is_keys_or_an_error(text):
    with contextlib.suppress(KeysError):
        assert all(len(digest) == 32 for digest in keys.parse(text))


def make(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "shipway_runtime.keys", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_making_one():
    made = make("acme")
    key = made.stderr.split()[0]
    assert made.returncode == 0
    assert key.startswith("shipway_")
    assert keys.parse(made.stdout) == {keys.digest(key.encode()): "acme"}
    assert make("acme").stdout != made.stdout


def test_openssl_makes_the_same_line():
    key, line = subprocess.check_output(["sh", "-c", OPENSSL], text=True).splitlines()
    assert keys.parse(line) == {keys.digest(key.encode()): "acme"}


@pytest.mark.parametrize("arguments", [(), ("a", "b"), ("not a name",), ("--help",)])
def test_making_none(arguments):
    made = make(*arguments)
    assert made.returncode == (0 if arguments == ("--help",) else 2)
    assert made.stdout == ""
    assert "Traceback" not in made.stderr


# -- Who is let in -------------------------------------------------------------------------------------------


class Place:
    """Where the secret is, and the time."""

    def __init__(self, *lines):
        self.text = "\n".join(lines)
        self.now = 0.0
        self.auth = KeyAuth("API_KEYS", lambda: self.text, clock=lambda: self.now)

    def change(self, *lines):
        self.text = "\n".join(lines)
        self.now += 1.0

    def ask(self, *headers):
        scope = {"type": "http", "headers": [(name.encode(), value.encode()) for name, value in headers]}
        return asyncio.run(self.auth.caller(scope))

    def bearer(self, key):
        return self.ask(("authorization", f"Bearer {key}")).tenant

    def refused(self, *headers):
        with pytest.raises(Refused) as caught:
            self.ask(*headers)
        return caught.value.status, caught.value.code


def line(tenant, key):
    return keys.line(tenant, key)


def test_a_key_names_its_tenant_by_either_header():
    place = Place(line("acme", "one"), line("acme", "two"), line("globex", "three"))
    assert [place.bearer(key) for key in ("one", "two", "three")] == ["acme", "acme", "globex"]
    assert place.ask(("x-api-key", "three")).tenant == "globex"
    assert place.ask(("authorization", "bearer   one ")).tenant == "acme"
    assert place.ask(("authorization", "Basic abc"), ("x-api-key", "one")).tenant == "acme"
    assert place.ask(("authorization", "Bearer one"), ("x-api-key", "one")).tenant == "acme"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ((), 401, "missing_api_key"),
        ((("authorization", "Basic one"),), 401, "missing_api_key"),
        ((("authorization", "Bearer "),), 401, "missing_api_key"),
        ((("authorization", "Bearer four"),), 401, "invalid_api_key"),
        ((("authorization", "Bearer " + "x" * 20_000),), 401, "invalid_api_key"),
        ((("authorization", "Bearer one"), ("authorization", "Bearer two")), 400, "several_credentials"),
        ((("authorization", "Bearer one"), ("x-api-key", "two")), 400, "several_credentials"),
        ((("x-shipway-tenant", "acme"),), 401, "missing_api_key"),
        ((("authorization", f"Bearer sha256:{HEX}"),), 401, "invalid_api_key"),
        ((("authorization", f"Bearer {HEX}"),), 401, "invalid_api_key"),
    ],
)
def test_who_is_not_let_in(headers, status, code):
    assert Place(line("acme", "one"), f"globex sha256:{HEX}").refused(*headers) == (status, code)


def test_keys_rotate():
    place = Place(line("acme", "old"))
    place.change(line("acme", "old"), line("acme", "new"))
    assert (place.bearer("old"), place.bearer("new")) == ("acme", "acme")
    place.change(line("acme", "new"))
    assert place.refused(("authorization", "Bearer old")) == (401, "invalid_api_key")
    place.text = line("acme", "newer")
    assert place.bearer("new") == "acme", "the secret is looked at once a second"


def test_a_malformed_secret_keeps_the_last_good_keys(caplog):
    place = Place(line("acme", "one"))
    place.change(line("acme", "two"), "acme hunter2")
    assert place.bearer("one") == "acme"
    assert "API_KEYS, line 2: expected" in caplog.text
    assert "the keys before stay in use" in caplog.text
    assert "hunter2" not in caplog.text
    assert place.auth.problem() is None
    place.change(line("acme", "two"))
    assert place.bearer("two") == "acme"


def test_a_malformed_secret_at_start():
    with pytest.raises(StartError, match="the secret API_KEYS, line 2: expected"):
        Place(line("acme", "one"), "acme hunter2")


def test_a_missing_secret_lets_nobody_in_and_says_so():
    place = Place()
    place.text = None
    place.auth = KeyAuth("API_KEYS", lambda: place.text, clock=lambda: place.now)
    assert place.refused(("authorization", "Bearer one")) == (503, "auth_unavailable")
    assert place.auth.problem() == "no keys can be read from the secret API_KEYS"
    place.change(line("acme", "one"))
    assert place.auth.problem() is None
    assert place.bearer("one") == "acme"


def test_no_keys_at_all(caplog):
    place = Place("# nobody")
    assert "holds no keys: every call is refused" in caplog.text
    assert place.refused(("authorization", "Bearer one")) == (401, "invalid_api_key")
