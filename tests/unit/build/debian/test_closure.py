"""Names to packages: versions, alternatives, virtual packages."""

import pytest

from shipway.build.debian.closure import Index, resolve
from shipway.errors import BuildError, ResolveError


def index(*packages, **changes):
    """An index of packages written as "name version", or as (that, {field: value})."""
    stanzas = []
    for package in packages:
        head, fields = package if isinstance(package, tuple) else (package, {})
        name, _, version = head.partition(" ")
        listed = {
            "Package": name,
            "Version": version or "1",
            "Architecture": "amd64",
            "Filename": f"pool/{name}_{version or 1}.deb",
            "Size": 1,
            "SHA256": "a" * 64,
        }
        fields = {key.replace("_", "-"): value for key, value in fields.items()}
        stanzas.append("".join(f"{k}: {v}\n" for k, v in (listed | fields | changes).items()))
    return Index("trixie", "\n".join(stanzas).encode(), "http://deb.example.com/debian")


def names(packages):
    return [f"{package.name} {package.version}" for package in packages]


def test_the_newest_version_of_all_suites_wins():
    suites = [index("aa 1:1.0", "bb 2.10"), index("aa 9.0", "bb 2.9~rc1"), index("bb 2.10+deb13u1")]
    assert names(resolve(["bb", "aa"], (), (), suites)) == ["aa 1:1.0", "bb 2.10+deb13u1"]


def test_the_base_is_taken_without_its_dependencies_and_extras_with_theirs():
    packages = index(
        ("base", {"Depends": "shell"}),
        "shell",
        ("tool", {"Pre_Depends": "early (>= 2)", "Depends": "lib:any, dpkg (>= 1.17), base"}),
        "early 2",
        ("lib", {"Depends": "deeper, tool"}),
        "deeper",
        ("dpkg 1.22", {"Depends": "shell"}),
    )
    found = resolve(["base"], ["tool"], {"dpkg"}, [packages])
    assert names(found) == ["base 1", "deeper 1", "early 2", "lib 1", "tool 1"]
    assert found[0].url == "http://deb.example.com/debian/pool/base_1.deb"


def test_what_is_left_out_may_still_be_asked_for():
    assert names(resolve([], ["dpkg"], {"dpkg"}, [index("dpkg 1.22")])) == ["dpkg 1.22"]


@pytest.mark.parametrize(
    ("depends", "expected"),
    [
        ("absent | second | third", ["second 1"]),
        ("second (>= 2) | third", ["third 1"]),
        ("second (>= 1), second (<< 2), third (= 1)", ["second 1", "third 1"]),
        ("virtual", ["provider 3"]),
        ("virtual (>= 2)", ["versioned 1"]),
        ("virtual | versioned", ["provider 3"]),
        ("versioned, virtual", ["versioned 1"]),  # met already
        ("absent | debconf-2.0", []),
    ],
)
def test_alternatives_versions_and_virtual_packages(depends, expected):
    packages = index(
        ("tool", {"Depends": depends}),
        *("second 1", "third 1"),
        ("provider 3", {"Provides": "other, virtual"}),
        ("versioned 1", {"Provides": "virtual (= 2)"}),
    )
    found = resolve([], ["tool"], {"debconf-2.0"}, [packages])
    assert names(found) == sorted([*expected, "tool 1"])


def test_a_dependency_that_no_suite_meets_is_named():
    packages = index(("tool 4", {"Depends": "lib (>= 2) | absent"}), "lib 1")
    with pytest.raises(ResolveError, match=r"tool 4 needs lib \(>= 2\) \| absent; trixie has none"):
        resolve([], ["tool"], (), [packages])


def test_an_unknown_name_comes_with_its_neighbours():
    with pytest.raises(ResolveError, match="no package named 'gti'") as caught:
        resolve([], ["gti"], (), [index("git", "curl")])
    assert caught.value.hint == "did you mean git?"


@pytest.mark.parametrize("name", ["git=2.47", "git/sid", "../git", "Git"])
def test_something_else_than_a_name_is_refused(name):
    with pytest.raises(ResolveError, match="is not the name of a Debian package"):
        resolve([], [name], (), [index("git")])


@pytest.mark.parametrize("field", [{"Filename": "../../etc/passwd"}, {"SHA256": "../x"}])
def test_an_index_cannot_name_other_files(field):
    with pytest.raises(BuildError, match="no usable Filename or SHA256"):
        resolve(["aa"], (), (), [index("aa", **field)])
