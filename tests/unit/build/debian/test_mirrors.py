"""Which mirrors are used, and why."""

import pytest

from shipway.build.debian.apt_sources import read_sources
from shipway.build.debian.mirrors import find_mirrors
from shipway.errors import BuildError

DEBIAN = """\
Types: deb deb-src
# a comment in the middle
URIs: http://deb.example.com/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: {key}

Types: deb
URIs: http://security.example.com/debian-security
Suites: bookworm-security
Components: main
Signed-By: {key}
"""
UBUNTU = """\
Types: deb
URIs: http://ubuntu.example.com/ubuntu/
Suites: noble noble-updates noble-security
Components: main universe
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg
"""
THIRD_PARTIES = """\
deb [arch=amd64 signed-by=/keys/docker.asc] https://docker.example.com/linux/debian bookworm stable
deb [signed-by=/keys/vpn-archive-keyring.gpg] https://vpn.example.com/stable/debian bookworm main
deb https://database.example.com/apt bookworm-pgdg main
# deb http://commented.example.com/debian bookworm main
deb-src http://sources.example.com/debian bookworm main
"""


@pytest.fixture
def etc(tmp_path):
    (tmp_path / "sources.list.d").mkdir()

    def write(**files):
        for name, text in files.items():
            base, _, suffix = name.rpartition("_")
            (tmp_path / "sources.list.d" / f"{base}.{suffix}").write_text(text)
        return tmp_path

    return write


def places(mirrors):
    return [(mirror.url, mirror.suites) for mirror in mirrors]


def both(main, security):
    return [(main, ("trixie", "trixie-updates")), (security, ("trixie-security",))]


def test_a_debian_host_is_its_own_configuration(etc, tmp_path):
    key = tmp_path / "debian-archive-keyring.gpg"
    key.write_bytes(b"the key")
    mirrors = find_mirrors(None, {}, etc(third_list=THIRD_PARTIES, debian_sources=DEBIAN.format(key=key)))
    expected = both("http://deb.example.com/debian", "http://security.example.com/debian-security")
    assert places(mirrors) == expected
    assert [mirror.keyrings for mirror in mirrors] == [(b"the key",)] * 2
    assert mirrors[0].origin.endswith("debian.sources")


def test_one_line_sources(tmp_path):
    (tmp_path / "sources.list").write_text(
        "deb http://deb.example.com/debian trixie main contrib # inline\n"
        "deb [ signed-by=/x/debian-archive-keyring.gpg ] http://deb.example.com/sec trixie-security main\n"
    )
    mirrors = find_mirrors(None, {}, tmp_path)
    assert places(mirrors) == both("http://deb.example.com/debian", "http://deb.example.com/sec")


def test_the_archive_key_wins_over_a_path_that_looks_like_debian(etc):
    derivative = "deb http://boards.example.com/debian bookworm main\n"
    mirrors = find_mirrors(
        None, {}, etc(a_list=derivative, b_sources=DEBIAN.format(key="/nowhere/debian-archive-keyring.gpg"))
    )
    assert mirrors[0].url == "http://deb.example.com/debian"


def test_a_cloud_image_names_a_list_of_mirrors(etc, tmp_path):
    listed = tmp_path / "debian.list"
    listed.write_text("# mirrors\nhttps://deb.example.com/debian\tpriority:1\n")
    text = f"Types: deb\nURIs: mirror+file://{listed}\nSuites: trixie\nComponents: main\n"
    mirrors = find_mirrors(None, {}, etc(cloud_sources=text))
    assert places(mirrors) == both(
        "https://deb.example.com/debian", "https://deb.example.com/debian-security"
    )


def test_an_embedded_key_is_taken_from_the_source(etc):
    text = (
        "Types: deb\nURIs: https://mirror.example.com/debian\nSuites: trixie\nComponents: main\n"
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----\n"
    )
    (key,) = find_mirrors(None, {}, etc(own_sources=text))[0].keyrings
    assert key.strip() == b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n-----END PGP PUBLIC KEY BLOCK-----"


def test_disabled_sources_are_not_used(etc):
    text = "Enabled: no\n" + DEBIAN.format(key="/nowhere/debian-archive-keyring.gpg").split("\n\n")[0]
    assert read_sources(etc(off_sources=text)) == ()


@pytest.mark.parametrize("text", [UBUNTU, THIRD_PARTIES, ""])
def test_a_host_without_debian_sources_is_told_the_three_ways(etc, text):
    suffix = "sources" if text == UBUNTU else "list"
    with pytest.raises(BuildError, match="no Debian mirror is known") as caught:
        find_mirrors(None, {}, etc(**{f"host_{suffix}": text}))
    assert all(way in caught.value.hint for way in ("[image]", "SHIPWAY_DEBIAN_MIRROR", "Debian source in"))


def test_the_project_wins_over_the_environment_and_that_over_the_host(etc):
    host = etc(debian_sources=DEBIAN.format(key="/nowhere/debian-archive-keyring.gpg"))
    environ = {"SHIPWAY_DEBIAN_MIRROR": "https://env.example.com/debian https://env.example.com/security/"}
    snapshot = "https://snapshot.example.com/archive/debian/20261101T000000Z/"
    chosen = find_mirrors(snapshot, environ, host)
    beside = "https://snapshot.example.com/archive/debian-security/20261101T000000Z"
    assert places(chosen) == both(snapshot.rstrip("/"), beside)
    assert all(mirror.snapshot and mirror.origin == "[image] mirror" for mirror in chosen)
    from_environment = find_mirrors(None, environ, host)
    assert places(from_environment) == both(
        "https://env.example.com/debian", "https://env.example.com/security"
    )
    assert not from_environment[0].snapshot


def test_the_host_called_debian_keeps_its_name(tmp_path):
    assert find_mirrors("http://debian/debian", {}, tmp_path)[1].url == "http://debian/debian-security"


@pytest.mark.parametrize(
    ("configured", "message"),
    [
        ("https://nexus.example.com/repository/trixie", "does not say where the security archive is"),
        ("deb.example.com/debian", "is not an HTTP address"),
        (
            "http://a.example.com/debian http://b.example.com/debian http://c.example.com/debian",
            "3 addresses",
        ),
    ],
)
def test_a_setting_that_cannot_be_used_says_so(tmp_path, configured, message):
    with pytest.raises(BuildError, match=message):
        find_mirrors(configured, {}, tmp_path)


def test_a_password_is_not_shown(tmp_path):
    mirror = find_mirrors("https://me:secret@mirror.example.com/debian", {}, tmp_path)[0]
    assert mirror.shown == "https://mirror.example.com/debian"
