"""Which wheel was installed: told by the pins, by what fits the platform, by the tags of the wheel itself."""

import pytest
from tests.package_index import PackageIndex

from shipway.build.environments.chosen import (
    chosen_wheels,
    offered_wheels,
    pinned_distributions,
    pinned_hashes,
)
from shipway.build.environments.distributions import Distribution
from shipway.build.environments.environment import install
from shipway.build.environments.requirements import target_options
from shipway.plan.image import Python

ONE, TWO, SOURCE = ("1" * 64, "2" * 64, "3" * 64)
LINUX = "cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64"
NEWER = "cp313-cp313-manylinux_2_28_x86_64"


def pins(*hashes, name="foo-bar"):
    return " ".join([f"{name}==1.0", *(f"--hash=sha256:{h}" for h in hashes)]) + "\n"


def installed(packages, *tags, name="foo_bar"):
    info = packages / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    lines = ["Wheel-Version: 1.0", "Root-Is-Purelib: false", *(f"Tag: {tag}" for tag in tags), ""]
    (info / "WHEEL").write_text("\n".join(lines))


def wheel(tags):
    return f"foo_bar-1.0-{tags}.whl"


def test_pins_are_read_by_the_name_that_indexes_spell():
    assert pinned_hashes(pins(ONE, TWO, name="Foo.Bar")) == {"foo-bar": frozenset({ONE, TWO})}


def test_a_pin_with_one_hash_leaves_no_choice_and_asks_nobody(tmp_path):
    def never(message):
        raise AssertionError(message)

    assert offered_wheels(pins(ONE), ("--no-such-option",), tmp_path, tmp_path, never) == {}
    assert chosen_wheels(pins(ONE), {}, tmp_path) == {"foo-bar": f"sha256:{ONE}"}


def test_of_wheel_and_source_the_one_that_fits_the_platform(tmp_path):
    offer = {"foo-bar": {wheel("py3-none-any"): TWO}}
    assert chosen_wheels(pins(SOURCE, TWO), offer, tmp_path) == {"foo-bar": f"sha256:{TWO}"}


def test_of_several_the_one_with_the_installed_tags(tmp_path):
    installed(tmp_path, "cp313-cp313-manylinux_2_17_x86_64", "cp313-cp313-manylinux2014_x86_64")
    offer = {"foo-bar": {wheel(LINUX): ONE, wheel(NEWER): TWO}}
    assert chosen_wheels(pins(ONE, TWO, SOURCE), offer, tmp_path) == {"foo-bar": f"sha256:{ONE}"}


def test_what_is_in_doubt_or_was_never_pinned_is_left_out(tmp_path):
    installed(tmp_path, "cp313-cp313-linux_x86_64")
    offer = {"foo-bar": {wheel(LINUX): ONE, wheel(NEWER): TWO, "odd.whl": SOURCE}}
    assert chosen_wheels(pins(ONE, TWO, SOURCE), offer, tmp_path) == {}
    assert chosen_wheels(pins(SOURCE, "4" * 64), {"foo-bar": {wheel(LINUX): ONE}}, tmp_path) == {}


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/arm64"])
def test_uv_tells_what_it_has_installed(tmp_path, monkeypatch, platform):
    with PackageIndex(tmp_path / "index") as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
        published = {
            "linux/amd64": index.wheel("foo_bar", tag="cp313-cp313-manylinux_2_28_x86_64"),
            "linux/arm64": index.wheel("foo_bar", tag="cp313-cp313-manylinux_2_28_aarch64"),
            "older": index.wheel("foo_bar", tag="cp313-cp313-manylinux_2_17_x86_64"),
            "source": index.sdist("foo_bar"),
        }
        text, options = pins(*published.values()), target_options(Python(), platform)
        packages = tmp_path / "tree" / "packages"
        install(text, packages, options, "test", tmp_path)
        offer = offered_wheels(text, options, tmp_path, tmp_path, pytest.fail)
    assert chosen_wheels(text, offer, packages) == {"foo-bar": f"sha256:{published[platform]}"}


def test_without_an_answer_it_is_said_and_nothing_is_known(tmp_path):
    said = []
    options = ("--no-index", "--find-links", str(tmp_path))
    assert offered_wheels(pins(ONE, TWO), options, tmp_path, tmp_path, said.append) == {}
    assert "1 distributions have no hash in the bill of materials" in said[0]


def test_a_shared_base_says_what_it_has():
    text = pins(ONE) + pins(ONE, TWO, name="Six")
    assert pinned_distributions(text, "/app/.venv") == (
        Distribution("foo-bar", "1.0", "/app/.venv", digest=f"sha256:{ONE}"),
        Distribution("Six", "1.0", "/app/.venv"),
    )
    assert pinned_distributions("", "/app/.venv") == ()
