"""The client against a registry that misbehaves: it recovers, or says what is wrong."""

import hashlib
import threading

import pytest

from shipway.build.cache import Cache
from shipway.build.layers import Entry
from shipway.build.oci import platform_image
from shipway.build.registries.push import push
from shipway.build.registries.reference import parse_reference
from shipway.build.registries.registry import Retries
from shipway.build.registries.remote_image import fetch_blob, resolve
from shipway.build.registries.transfer import MONOLITHIC, Descriptor, read_descriptor, upload
from shipway.errors import BuildError, TamperedError, UnreachableError
from shipway.plan.image import Process

PROCESS = Process(("/bin/x",), "65532:65532", {}, "/app", ())
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
QUICK = Retries(attempts=12, pause_s=0.001)


def digest_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def image(cache, content=b"x"):
    layer = cache.layer("one", {"content": str(content)}, lambda: [Entry("a", "file", content=content)])
    return platform_image("linux/amd64", [layer], PROCESS, {}, cache)


def every_other(action):
    """A fault of every other request."""
    count = iter(range(10_000))
    lock = threading.Lock()

    def fault(handler):
        with lock:
            number = next(count)
        if number % 2:
            return False
        handler.read()
        return action(handler)

    return fault


def unavailable(handler):
    handler.answer(503)
    return True


# -- recovering -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [unavailable, lambda handler: handler.reset()])
def test_a_registry_that_fails_every_other_request(registry, repository, tmp_path, action):
    registry.fault = every_other(action)
    cache, empty = Cache(tmp_path / "cache"), Cache(tmp_path / "empty")
    made = image(cache)
    pushed = push([made], f"{registry.host}/a:1", cache, print, {}, retries=QUICK)
    assert pushed.sent_blobs == 2
    reference = parse_reference(f"{registry.host}/a:1")
    found = resolve(repository, reference, "linux/amd64", empty)
    assert fetch_blob(repository, found.layers[0], empty).stat().st_size == found.layers[0].size


def test_a_broken_upload_goes_on_where_it_stopped(registry, repository, tmp_path):
    data = bytes(range(256)) * 8192
    assert len(data) > MONOLITHIC
    path = tmp_path / "blob"
    path.write_bytes(data)

    def cut(handler):
        if handler.command == "PATCH" and not registry.uploads["0"]:
            registry.uploads["0"] = handler.rfile.read(700_000)
            return handler.reset()
        return False

    registry.fault = cut
    blob = Descriptor("x", digest_of(data), len(data))
    assert upload(repository, blob, lambda: path) == "sent"
    assert registry.blobs[blob.digest] == data
    assert [h.get("Content-Range") for h in registry.methods("PATCH")] == [None, f"700000-{len(data) - 1}"]
    assert upload(repository, blob, lambda: pytest.fail("read again")) == "there"


def test_a_registry_that_forgot_the_upload_gets_all_of_it_again(registry, repository, tmp_path):
    data = b"x" * (MONOLITHIC + 1)
    path = tmp_path / "blob"
    path.write_bytes(data)

    def forget(handler):
        if handler.command == "PATCH" and len(registry.uploads) == 1:
            return handler.reset()
        if handler.command == "GET" and "/uploads/" in handler.path:
            handler.answer(404)
            return True
        return False

    registry.fault = forget
    upload(repository, Descriptor("x", digest_of(data), len(data)), lambda: path)
    assert registry.blobs[digest_of(data)] == data


def test_too_many_requests_wait_as_long_as_they_are_asked(registry, repository, monkeypatch):
    waited = []
    monkeypatch.setattr("shipway.build.registries.registry.time.sleep", waited.append)
    answers = iter([429, 429])

    def busy(handler):
        if status := next(answers, None):
            handler.answer(status, Retry_After="7")
        return bool(status)

    registry.fault = busy
    assert repository.manifest("1") is None
    assert waited == [7.0, 7.0]


def test_attempts_are_bounded(registry, repository):
    registry.fault = unavailable
    with pytest.raises(UnreachableError, match="no success in 4 attempts: it answers 503"):
        repository.manifest("1")
    assert len(registry.seen) == 4


# -- content that is not what it should be --------------------------------------------------------------


def short(times):
    left = [times]

    def fault(handler):
        if handler.command == "GET" and left[0]:
            left[0] -= 1
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            handler.wfile.write(b"x" * 10)
            return handler.reset()
        return False

    return fault


def test_a_truncated_blob_is_fetched_again(registry, repository, tmp_path):
    blob = registry.add(b"x" * 1000)
    registry.fault = short(1)
    path = fetch_blob(repository, blob, Cache(tmp_path / "cache"))
    assert path.read_bytes() == b"x" * 1000


def files(directory):
    return [path for path in directory.rglob("*") if path.is_file()]


def test_a_blob_that_is_always_truncated_leaves_nothing(registry, repository, tmp_path):
    blob = registry.add(b"x" * 1000)
    registry.fault = short(100)
    with pytest.raises(UnreachableError, match=blob.digest):
        fetch_blob(repository, blob, Cache(tmp_path / "cache"))
    assert files(tmp_path / "cache") == []


@pytest.mark.parametrize("wrong", [b"y" * 1000, b"x" * 1001])
def test_a_blob_with_another_content_is_refused_at_once(registry, repository, tmp_path, wrong):
    blob = registry.add(b"x" * 1000)
    registry.blobs[blob.digest] = wrong
    with pytest.raises(TamperedError, match="other content than its digest says"):
        fetch_blob(repository, blob, Cache(tmp_path / "cache"))
    assert files(tmp_path / "cache") == []
    assert len(registry.seen) == 1


@pytest.mark.parametrize("damage", [lambda data: data[:-1] + b"!", lambda data: data[:-1]])
def test_a_blob_that_was_damaged_on_our_disk_is_named_and_made_again(registry, tmp_path, damage):
    cache = Cache(tmp_path / "cache")
    made = image(cache)
    path = cache.blob(made.layers[0].digest)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BuildError, match=f"{path} was damaged on the disk") as caught:
        push([made], f"{registry.host}/a:1", cache, print, {}, retries=Retries(2, 0.001))
    assert "run the same command again" in caught.value.hint
    assert not path.exists()
    assert made.layers[0].digest not in registry.blobs
    push([image(cache)], f"{registry.host}/a:1", cache, print, {}, retries=QUICK)
    assert made.layers[0].digest in registry.blobs


def test_a_manifest_with_another_content_is_refused(registry, repository):
    wanted = digest_of(b"{}")
    registry.manifests[wanted] = (MANIFEST, b'{"other": 1}')
    with pytest.raises(TamperedError, match=f"expected {wanted}"):
        repository.manifest(wanted)


def test_a_manifest_of_another_size_of_mind_is_not_read_to_the_end(registry, repository):
    registry.manifests["1"] = (MANIFEST, b" " * (5 << 20))
    with pytest.raises(TamperedError, match="refused"):
        repository.manifest("1")


@pytest.mark.parametrize(
    "change", [{"digest": "sha256:../../../etc/passwd"}, {"digest": None}, {"size": -1}, {"size": True}]
)
def test_a_descriptor_that_is_none_is_refused(change):
    with pytest.raises(BuildError, match="cannot be used"):
        read_descriptor({"digest": digest_of(b""), "size": 0} | change)


def test_the_registrys_own_words_are_told(registry, repository, tmp_path):
    path = tmp_path / "blob"
    path.write_bytes(b"something else")
    with pytest.raises(BuildError, match=r"PUT .* answers 400 .*DIGEST_INVALID no"):
        upload(repository, Descriptor("x", digest_of(b"x"), 14), lambda: path)


def test_an_edit_asks_for_nothing_that_the_present_image_holds(registry, tmp_path):
    cache = Cache(tmp_path / "cache")
    push([image(cache)], f"{registry.host}/a:1", cache, print, {})
    del registry.seen[:]
    edited = platform_image("linux/amd64", image(cache).layers, PROCESS, {"an": "edit"}, cache)
    pushed = push([edited], f"{registry.host}/a:1", cache, print, {})
    assert (pushed.existing_blobs, pushed.sent_blobs) == (1, 1)
    assert [verb for verb, *_ in registry.seen] == ["GET", "POST", "PUT", "PUT"]


def test_a_registry_that_lost_a_blob_of_an_image_it_lists_gets_it_again(registry, tmp_path):
    cache = Cache(tmp_path / "cache")
    push([image(cache)], f"{registry.host}/a:1", cache, print, {})
    registry.blobs.clear()

    def check(handler):
        if handler.command == "PUT" and "/manifests/" in handler.path and len(registry.blobs) < 2:
            handler.read()
            handler.answer(404, b'{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN"}]}')
            return True
        return False

    registry.fault = check
    edited = platform_image("linux/amd64", image(cache).layers, PROCESS, {"an": "edit"}, cache)
    push([edited], f"{registry.host}/a:1", cache, print, {})
    assert len(registry.blobs) == 2


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"layers": [], "config": null}', '{"layers": [7], "config": {}}']
)
def test_a_manifest_that_is_none_is_refused(registry, repository, tmp_path, text):
    registry.manifests["1"] = (MANIFEST, text.encode())
    with pytest.raises(BuildError, match="cannot be used"):
        resolve(repository, parse_reference("a:1"), "linux/amd64", Cache(tmp_path / "cache"))
