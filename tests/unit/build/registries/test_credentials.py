"""Where credentials come from, in which order, and what is said of them."""

import base64
import json

import pytest

from shipway.build.registries.credentials import find_credential
from shipway.errors import BuildError

HOST = "registry.example.com"


def encoded(user, password):
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture
def home(tmp_path):
    """Write JSON files below a home directory, and credential helpers on a PATH of their own."""

    def write(files, **helpers):
        for name, document in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(document if isinstance(document, str) else json.dumps(document))
        for name, script in helpers.items():
            program = tmp_path / "bin" / f"docker-credential-{name}"
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
        return tmp_path

    return write


@pytest.fixture
def path(tmp_path):
    """The environment with the helpers first on PATH."""
    return {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}


def find(home, registry=HOST, repository="team/a", environ=None):
    return find_credential(registry, repository, environ or {}, home)


def test_nobody_knows_us(home):
    found = find(home({}))
    assert found.credential is None
    assert [place.rpartition(": ")[2] for place in found.tried] == ["not set", "no such file", "no such file"]


def test_dockers_config(home):
    directory = home({".docker/config.json": {"auths": {HOST: encoded("me", "pa:ss")}}})
    credential = find(directory).credential
    assert (credential.username, credential.password) == ("me", "pa:ss")
    assert credential.basic == f"Basic {encoded('me', 'pa:ss')['auth']}"
    assert "pa:ss" not in repr(find(directory))
    assert find(directory, "other.example.com").credential is None


@pytest.mark.parametrize("key", [f"https://{HOST}", f"https://{HOST}/v2/", f"http://{HOST}/v1"])
def test_keys_as_older_dockers_wrote_them(home, key):
    assert find(home({".docker/config.json": {"auths": {key: encoded("me", "x")}}})).credential


def test_docker_hub_has_a_key_of_its_own(home):
    directory = home({".docker/config.json": {"auths": {"https://index.docker.io/v1/": encoded("me", "x")}}})
    assert find(directory, "docker.io").credential
    assert not find(directory).credential


def test_the_longest_namespace_wins(home):
    auths = {
        HOST: encoded("all", "x"),
        f"{HOST}/team": encoded("team", "x"),
        f"{HOST}/tea": encoded("no", "x"),
    }
    directory = home({".config/containers/auth.json": {"auths": auths}})
    assert find(directory).credential.username == "team"
    assert find(directory, repository="other/a").credential.username == "all"


def test_explicit_places_come_first(home):
    directory = home(
        {
            "explicit.json": {"auths": {HOST: encoded("file", "x")}},
            "docker/config.json": {"auths": {HOST: encoded("docker", "x")}},
            "run/containers/auth.json": {"auths": {HOST: encoded("run", "x")}},
        }
    )
    environ = {"XDG_RUNTIME_DIR": str(directory / "run")}
    assert find(directory, environ=environ).credential.username == "run"
    environ["DOCKER_CONFIG"] = str(directory / "docker")
    assert find(directory, environ=environ).credential.username == "docker"
    environ["REGISTRY_AUTH_FILE"] = str(directory / "explicit.json")
    assert find(directory, environ=environ).credential.username == "file"
    environ |= {
        "SHIPWAY_REGISTRY_USERNAME": "env",
        "SHIPWAY_REGISTRY_PASSWORD": "x",
        "SHIPWAY_REGISTRY": HOST,
    }
    assert find(directory, environ=environ).credential.username == "env"


def test_the_environments_password_goes_to_one_registry(home):
    environ = {"SHIPWAY_REGISTRY_USERNAME": "env", "SHIPWAY_REGISTRY_PASSWORD": "x"}
    with pytest.raises(BuildError, match="without the registry that they are for"):
        find(home({}), environ=environ)
    assert find(home({}), environ=environ | {"SHIPWAY_REGISTRY": "other.example.com"}).credential is None


def test_a_helper_is_asked_over_stdin(home, path):
    answer = '{"ServerURL":"x","Username":"me","Secret":"hush"}'
    script = f'test "$1" = get && test "$(cat)" = {HOST} && echo \'{answer}\''
    files = {".docker/config.json": {"credHelpers": {HOST: "one"}, "credsStore": "two"}}
    found = find(home(files, one=script, two="exit 9"), environ=path)
    assert (found.credential.username, found.credential.password) == ("me", "hush")
    assert "docker-credential-one" in found.credential.origin
    assert "hush" not in repr(found)


def test_a_store_that_gives_an_identity_token(home, path):
    files = {".docker/config.json": {"credsStore": "two"}}
    script = 'echo \'{"Username":"<token>","Secret":"refresh"}\''
    credential = find(home(files, two=script), environ=path).credential
    assert credential.identity_token == "refresh"
    entry = {"identitytoken": "refresh", **encoded("00000000", "")}
    files = {".docker/config.json": {"auths": {HOST: entry}}}
    assert find(home(files)).credential.identity_token == "refresh"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo credentials not found in native keychain; exit 1", "not found in native keychain"),
        ("echo no json", "not a credential"),
        (None, "not on PATH"),
    ],
)
def test_a_helper_without_an_answer_is_named_and_the_search_goes_on(home, path, script, said):
    files = {".docker/config.json": {"credsStore": "two", "auths": {HOST: encoded("me", "x")}}}
    found = find(home(files, **({"two": script} if script else {})), environ=path)
    assert found.credential.username == "me"
    assert any("docker-credential-two" in place and said in place for place in found.tried)


def test_a_helper_is_a_name_and_no_path(home, path):
    files = {".docker/config.json": {"credsStore": "../../bin/sh"}}
    assert any("not the name of a helper" in place for place in find(home(files), environ=path).tried)


@pytest.mark.parametrize("text", ["{", '{"auths": {"registry.example.com": {"auth": "%%%"}}}'])
def test_a_broken_file_is_named(home, text):
    with pytest.raises(BuildError, match=r"config\.json"):
        find(home({".docker/config.json": text}))
