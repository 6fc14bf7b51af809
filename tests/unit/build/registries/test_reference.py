"""References: Docker's defaults, and what is wrong with a wrong one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.build.registries.reference import Reference, is_digest, is_loopback, parse_reference
from shipway.errors import BuildError

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "expected", "host"),
    [
        (
            f"registry.example.com:5000/team/a:1.2@{DIGEST}",
            Reference("registry.example.com:5000", "team/a", "1.2", DIGEST),
            "registry.example.com:5000",
        ),
        ("python", Reference("docker.io", "library/python"), "registry-1.docker.io"),
        ("python:3.13-slim", Reference("docker.io", "library/python", "3.13-slim"), "registry-1.docker.io"),
        ("team/agent", Reference("docker.io", "team/agent"), "registry-1.docker.io"),
        ("docker.io/python", Reference("docker.io", "library/python"), "registry-1.docker.io"),
        ("index.docker.io/a/b", Reference("docker.io", "a/b"), "registry-1.docker.io"),
        ("localhost/a", Reference("localhost", "a"), "localhost"),
        ("localhost:5000/a:x", Reference("localhost:5000", "a", "x"), "localhost:5000"),
        ("[::1]:5000/a", Reference("[::1]:5000", "a"), "[::1]:5000"),
        ("REGISTRY/a", Reference("REGISTRY", "a"), "REGISTRY"),
        (f"a@{DIGEST}", Reference("docker.io", "library/a", None, DIGEST), "registry-1.docker.io"),
    ],
)
def test_references(text, expected, host):
    assert parse_reference(text) == expected
    assert expected.host == host
    assert parse_reference(str(expected)) == expected


def test_what_is_asked_for():
    assert parse_reference("a").wanted == "latest"
    assert parse_reference("a:1").wanted == "1"
    assert parse_reference(f"a:1@{DIGEST}").wanted == DIGEST
    assert str(parse_reference("r.example.com/a:1").at(DIGEST)) == f"r.example.com/a@{DIGEST}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://registry.example.com/a", "starts with a scheme"),
        ("registry.example.com/Team/a", "'Team/a' is not a repository"),
        ("a:", "'' is not a tag"),
        ("a:x/y", "'a:x' is not a host"),
        ("a@sha256:12", "is not a digest"),
        ("a@md5:12", "is not a digest"),
        ("", "'' is not a repository"),
        ("a//b", "is not a repository"),
        ("r.example.com/../a", "is not a repository"),
        ("-x.example.com/a", "is not a host"),
        ("r.example.com:port/a", "is not a host"),
        ("a b", "is not a repository"),
    ],
)
def test_a_wrong_reference_says_which_part(text, message):
    with pytest.raises(BuildError, match=message):
        parse_reference(text)


@given(st.text(alphabet="ab/:@.-_[]A0\n", max_size=30))
def test_what_is_accepted_reads_back_the_same(text):
    try:
        found = parse_reference(text)
    except BuildError:
        return
    assert parse_reference(str(found)) == found
    assert "\n" not in str(found)


def test_only_a_digest_may_become_a_path():
    assert is_digest(DIGEST)
    for text in (f"{DIGEST}\n", "sha256:../../x", DIGEST.upper(), None, 3):
        assert not is_digest(text)


@pytest.mark.parametrize("host", ["localhost", "localhost:5000", "127.0.0.1", "127.9.9.9:1", "[::1]:5000"])
def test_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["127.0.0.1.example.com", "localhost.example.com:1", "10.0.0.1", "::ffff"])
def test_not_loopback(host):
    assert not is_loopback(host)
