"""From a signed archive to files in the cache: the chain of trust, and what happens without the mirror."""

import dataclasses
import hashlib

import pysequoia
import pytest

from shipway.build.debian.debs import Selection, fetch_debs, select_debs
from shipway.errors import BuildError, ResolveError, TamperedError, UnreachableError

LIB = Selection("amd64", ("lib",), (), ())


@pytest.fixture
def lib(making):
    return making.deb("lib", "1.2", [("./usr/lib/lib.so", b"code")])


@pytest.fixture
def select(archive, tmp_path):
    """Selects and downloads with an empty cache of its own; what was said is in `said`."""

    def run(selection=LIB, *mirrors, fresh_s=0.0):
        debs = select_debs(selection, mirrors or [archive.mirror()], run.cache, run.said.append, fresh_s)
        return debs, fetch_debs(debs, run.cache, run.said.append)

    run.cache, run.said = tmp_path / "cache", []
    return run


@pytest.mark.parametrize("by_hash", [True, False])
def test_a_verified_package_is_in_the_cache_under_its_hash(archive, lib, select, by_hash):
    archive.publish(lib, by_hash=by_hash)
    (deb,), (path,) = select()
    assert (deb.name, deb.version, deb.architecture) == ("lib", "1.2", "amd64")
    assert deb.url == f"{archive.url}/pool/lib_1.2.deb"
    assert path == select.cache / "debs" / deb.sha256
    assert hashlib.sha256(path.read_bytes()).hexdigest() == deb.sha256 == lib.sha256
    assert [file.name for file in path.parent.iterdir()] == [deb.sha256]


def test_the_newest_version_of_all_suites_is_taken(archive, lib, making, select):
    archive.publish(lib)
    archive.publish(making.deb("lib", "1.2+deb13u1"), suite="trixie-security")
    (deb,), _ = select(LIB, archive.mirror("trixie", "trixie-security"))
    assert deb.version == "1.2+deb13u1"


def test_a_second_build_asks_for_the_release_alone(archive, lib, select):
    archive.publish(lib)
    first = select()
    archive.asked.clear()
    assert select() == first
    assert archive.asked == ["/debian/dists/trixie/InRelease"]


def test_within_the_hour_nothing_is_asked(archive, lib, select):
    archive.publish(lib)
    first = select()
    archive.stop()
    assert select(fresh_s=3600) == first
    assert not any("cannot be reached" in line for line in select.said)


def test_a_new_version_is_seen_by_the_next_build(archive, lib, making, select):
    archive.publish(lib)
    select()
    archive.publish(making.deb("lib", "1.3"))
    assert select()[0][0].version == "1.3"


# -- what is not as it was signed ------------------------------------------------------------------------


def test_a_changed_index_is_refused_and_asked_for_once(archive, lib, select):
    placed = archive.publish(lib)
    archive.write(f"dists/trixie/{placed}", b"something else")
    with pytest.raises(TamperedError, match=r"by-hash.*expected \d+ bytes with SHA-256 .*, saw 14 bytes"):
        select()
    assert len([path for path in archive.asked if "by-hash" in path]) == 1
    assert list((select.cache / "indexes").iterdir()) == []


@pytest.mark.parametrize(
    "change", [lambda data: data[:-1] + b"X", lambda data: data + b"X", lambda data: b""]
)
def test_a_changed_package_is_refused_and_asked_for_once(archive, lib, select, change):
    archive.publish(lib)
    archive.write(lib.filename, change(lib.data))
    with pytest.raises(TamperedError) as caught:
        select()
    seen = hashlib.sha256(change(lib.data)).hexdigest()
    assert all(text in str(caught.value) for text in ("pool/lib_1.2.deb", lib.sha256, seen))
    assert archive.asked.count("/debian/pool/lib_1.2.deb") == 1
    assert list((select.cache / "debs").iterdir()) == []


def test_a_package_cut_short_in_the_cache_is_downloaded_again(archive, lib, select):
    archive.publish(lib)
    _, (path,) = select()
    path.write_bytes(b"half")
    _, (path,) = select()
    assert path.read_bytes() == lib.data


@pytest.mark.parametrize("name", ["debs", "indexes"])
def test_what_was_damaged_in_the_cache_is_downloaded_again(archive, lib, select, name):
    archive.publish(lib)
    select()
    (select.cache / "selections").rename(select.cache / "forgotten")
    (path,) = (select.cache / name).iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    select()
    assert path.read_bytes() == whole


def test_a_download_that_is_cut_off_is_tried_again(archive, lib, select):
    archive.publish(lib)
    archive.cuts = 2
    _, (path,) = select()
    assert path.read_bytes() == lib.data
    archive.cuts = 3
    path.unlink()
    with pytest.raises(UnreachableError, match=r"pool/lib_1\.2\.deb cannot be reached"):
        select(fresh_s=1000)
    assert list((select.cache / "debs").iterdir()) == []


def test_a_signature_of_another_key_is_refused(archive, lib, select):
    archive.publish(lib, key=pysequoia.Tsk.generate("Somebody <somebody@example.com>"))
    with pytest.raises(TamperedError, match="is not signed by a key that is trusted for it") as caught:
        select()
    assert archive.key.extract_certificate().fingerprint[-16:].upper() in str(caught.value)
    assert "225629DF75B188BD" in str(caught.value), "Debian's own keys come with shipway"
    assert "Stack backtrace" not in str(caught.value)


def test_the_keys_of_the_source_are_needed_for_its_signature(archive, lib, select):
    archive.publish(lib)
    with pytest.raises(TamperedError, match="is not signed"):
        select(LIB, dataclasses.replace(archive.mirror(), keyrings=()))


def test_text_around_the_signed_message_counts_for_nothing(archive, lib, making, select):
    archive.publish(making.deb("lib", "6.6.6"))
    forged = (archive.root / "debian/dists/trixie/InRelease").read_bytes()
    archive.publish(lib)
    path = archive.root / "debian/dists/trixie/InRelease"
    unsigned = forged.split(b"\n\n", 1)[1].split(b"-----BEGIN PGP SIGNATURE")[0]
    path.write_bytes(path.read_bytes() + b"\n" + unsigned)
    try:
        (deb,), _ = select()
    except TamperedError:
        return
    assert deb.version == "1.2"


def test_a_changed_release_is_refused(archive, lib, select):
    archive.publish(lib)
    path = archive.root / "debian/dists/trixie/InRelease"
    path.write_bytes(path.read_bytes().replace(b"Suite: stable", b"Suite: staple"))
    with pytest.raises(TamperedError, match="is not signed"):
        select()


def test_a_page_in_place_of_a_release_is_refused(archive, select):
    archive.write("dists/trixie/InRelease", b"<html>Please log in</html>")
    with pytest.raises(TamperedError, match="is not signed"):
        select()


def test_an_expired_index_is_refused_but_not_that_of_a_snapshot(archive, lib, select):
    archive.publish(lib, Valid_Until="Sat, 01 Feb 2025 00:00:00 UTC")
    with pytest.raises(TamperedError, match="was valid until 2025-02-01 00:00 UTC"):
        select()
    frozen = archive.root / "debian" / "20250201T000000Z"
    frozen.symlink_to(archive.root / "debian")
    (deb,), _ = select(LIB, archive.mirror(url=f"{archive.url}/20250201T000000Z"))
    assert deb.version == "1.2"


def test_an_index_without_an_end_is_valid(archive, lib, select):
    archive.publish(lib, Valid_Until=None)
    assert select()[0][0].version == "1.2"


def test_the_index_of_another_suite_cannot_be_replayed(archive, lib, select):
    archive.publish(lib, suite="trixie-security", codename="trixie")
    with pytest.raises(
        TamperedError, match="expected the index of trixie-security, saw a signed index of trixie"
    ):
        select(LIB, archive.mirror("trixie-security"))


# -- what is not there -----------------------------------------------------------------------------------


def test_without_the_mirror_a_verified_index_in_the_cache_is_used_and_said(archive, lib, select):
    archive.publish(lib, Date="Sat, 21 Nov 2026 09:15:44 UTC")
    first = select()
    archive.stop()
    assert select() == first
    assert (
        f"{archive.url} cannot be reached: using its trixie of 2026-11-21 09:15 from the cache" in select.said
    )
    assert select(fresh_s=3600) == first
    assert len([line for line in select.said if "cannot be reached" in line]) == 2, "each build says it"


def test_without_the_mirror_another_selection_of_the_cached_index_works(archive, lib, making, select):
    archive.publish(lib, making.deb("tool", Depends="lib"))
    select(dataclasses.replace(LIB, extras=("tool",)))
    archive.stop()
    assert [deb.name for deb in select()[0]] == ["lib"]


def test_a_changed_index_in_the_cache_is_not_trusted(archive, lib, select):
    archive.publish(lib)
    select()
    archive.stop()
    (kept,) = (select.cache / "releases").iterdir()
    kept.write_bytes(kept.read_bytes().replace(b"Suite: stable", b"Suite: staple"))
    with pytest.raises(TamperedError, match="is not signed"):
        select()


def test_without_mirror_and_cache_it_says_what_is_missing(archive, select):
    archive.stop()
    message = (
        rf"{archive.url}/dists/trixie/InRelease cannot be reached: .*; no index of trixie .* is in the cache"
    )
    with pytest.raises(UnreachableError, match=message) as caught:
        select()
    assert caught.value.hint == "the mirror is known from the test"


def test_without_the_mirror_missing_packages_are_counted(archive, lib, making, select):
    other = making.deb("other", members=[("./usr/x", b"x")])
    archive.publish(lib, other)
    both = dataclasses.replace(LIB, extras=("other",))
    select(both)
    (select.cache / "debs" / other.sha256).unlink()
    archive.stop()
    with pytest.raises(
        UnreachableError, match=r"pool/other_1\.0\.deb cannot be reached: .*; 1 of the 2 packages"
    ):
        select(both)


def test_errors_of_the_server_are_tried_again(archive, lib, select):
    archive.publish(lib)
    archive.failures = 2
    assert select()[0][0].version == "1.2"
    archive.failures = 3
    select()
    assert "cannot be reached: using its trixie" in select.said[-1]


def test_a_suite_that_the_mirror_lacks_is_not_tried_again(archive, lib, select):
    archive.publish(lib)
    with pytest.raises(BuildError, match="trixie-updates/InRelease: the mirror answers 404"):
        select(LIB, archive.mirror("trixie-updates"))
    assert len(archive.asked) == 1


def test_an_architecture_that_the_mirror_lacks(archive, lib, select):
    archive.publish(lib)
    with pytest.raises(BuildError, match="has no packages for arm64"):
        select(dataclasses.replace(LIB, arch="arm64"))


def test_a_name_that_no_suite_has(archive, lib, select):
    archive.publish(lib)
    with pytest.raises(ResolveError, match="trixie has no package named 'tool'"):
        select(dataclasses.replace(LIB, extras=("tool",)))


def test_a_selection_is_keyed_by_all_it_depends_on(archive):
    mirror = archive.mirror()
    keys = {
        LIB.key([mirror]),
        LIB.key([archive.mirror(url="http://other.example.com/debian")]),
        LIB.key([archive.mirror("trixie", "trixie-updates")]),
        *(
            dataclasses.replace(LIB, **change).key([mirror])
            for change in ({"arch": "arm64"}, {"base": ("b",)}, {"extras": ("b",)}, {"left_out": ("b",)})
        ),
    }
    assert len(keys) == 7
