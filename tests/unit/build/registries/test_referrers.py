"""What is attached to an image arrives once and is found, whatever the registry knows of referrers."""

import dataclasses
import json

import pytest

from shipway.build.attachments.attach import Origin, attach
from shipway.build.cache import Cache
from shipway.build.layers import Entry
from shipway.build.oci import platform_image
from shipway.build.registries.attached import list_referrers
from shipway.build.registries.push import push
from shipway.build.registries.registry import Retries
from shipway.errors import BuildError, UnreachableError
from shipway.plan.image import Process
from shipway_runtime.contract import Source

INDEX = "application/vnd.oci.image.index.v1+json"
PROCESS = Process(("/bin/x",), "65532:65532", {}, "/app", ())
QUICK = Retries(attempts=3, pause_s=0.001)


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def image(cache, content=b"x", platform="linux/amd64", revision="9f" * 20):
    layer = cache.layer("one", {"content": str(content)}, lambda: [Entry("a", "file", content=content)])
    made = platform_image(platform, [layer], PROCESS, {}, cache)
    origin = Origin("a", Source(revision, dirty=False), {}, ())
    return dataclasses.replace(made, referrers=attach(made, origin, cache))


def send(registry, cache, images, say=lambda _: None):
    del registry.seen[:]
    return push(images, f"{registry.host}/a:1", cache, say, {}, retries=QUICK)


def sent(registry):
    """What was asked for but reading."""
    return [(verb, path) for verb, path, _ in registry.seen if verb not in ("GET", "HEAD")]


def tag_of(made):
    return made.digest.replace(":", "-")


def listed(registry, made):
    kind, data = registry.manifests[tag_of(made)]
    assert kind == INDEX
    document = json.loads(data)
    assert (document["schemaVersion"], document["mediaType"]) == (2, INDEX)
    return document["manifests"]


@pytest.mark.parametrize("api", [True, False])
def test_they_follow_the_image_and_are_found(registry, repository, cache, api):
    registry.lists_referrers = api
    made = image(cache)
    send(registry, cache, [made])
    found = {entry["artifactType"]: entry for entry in list_referrers(repository, made.digest)}
    assert {r.artifact_type: r.manifest.digest for r in made.referrers} == {
        kind: entry["digest"] for kind, entry in found.items()
    }
    for referrer in made.referrers:
        _, data = registry.manifests[referrer.manifest.digest]
        assert json.loads(data)["subject"]["digest"] == made.digest
        assert {blob.digest for blob in referrer.blobs} <= set(registry.blobs)
    names = [path.rpartition("/")[2] for verb, path in sent(registry) if "/manifests/" in path]
    assert names[0] == "1"
    assert (tag_of(made) in registry.manifests) is not api


@pytest.mark.parametrize("api", [True, False])
def test_a_second_push_sends_nothing(registry, cache, api):
    registry.lists_referrers = api
    images = [image(cache, platform=platform) for platform in ("linux/amd64", "linux/arm64")]
    send(registry, cache, images)
    send(registry, cache, images)
    assert sent(registry) == []


def test_an_image_that_was_there_before_gets_them_and_is_not_sent_again(registry, cache):
    made = image(cache)
    send(registry, cache, [dataclasses.replace(made, referrers=())])
    pushed = send(registry, cache, [made])
    assert len(listed(registry, made)) == 2
    assert not any(path.endswith("/manifests/1") for _, path in sent(registry))
    assert pushed.sent_blobs == 3  # two documents and the empty config


def test_each_platform_has_its_own(registry, cache):
    images = [image(cache, platform=platform) for platform in ("linux/amd64", "linux/arm64")]
    send(registry, cache, images)
    found = [{entry["digest"] for entry in listed(registry, made)} for made in images]
    assert [len(digests) for digests in found] == [2, 2]
    assert not found[0] & found[1]


def test_the_entries_of_others_stay_and_ours_come_once(registry, cache):
    made = image(cache)
    signature = {"mediaType": "a/b", "digest": "sha256:" + "5" * 64, "size": 5, "artifactType": "x/signature"}
    theirs = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [signature], "annotations": {"k": "v"}}
    registry.manifests[tag_of(made)] = (INDEX, json.dumps(theirs).encode())
    send(registry, cache, [made])
    assert listed(registry, made)[0] == signature
    assert json.loads(registry.manifests[tag_of(made)][1])["annotations"] == {"k": "v"}
    later = image(cache, revision="1e" * 20)  # the same image from another commit
    send(registry, cache, [later])
    digests = [entry["digest"] for entry in listed(registry, made)]
    assert len(digests) == len(set(digests)) == 4
    assert later.referrers[1].manifest.digest == digests[3]


def test_a_tag_that_is_no_index_is_left_alone_and_said(registry, cache):
    made, said = image(cache), []
    kind = "application/vnd.oci.image.manifest.v1+json"
    registry.manifests[tag_of(made)] = (kind, b'{"layers": []}')
    pushed = send(registry, cache, [made], said.append)
    assert registry.manifests[tag_of(made)] == (kind, b'{"layers": []}')
    assert made.digest in pushed.reference
    assert "without its bill of materials and provenance" in said[-1]
    assert tag_of(made) in said[-1]


def test_a_registry_that_takes_images_alone_has_the_image(registry, cache):
    def refuse(handler):
        if handler.command == "PUT" and "/manifests/sha256:" in handler.path:
            handler.read()
            handler.answer(400, b'{"errors": [{"code": "MANIFEST_INVALID", "message": "no artifacts"}]}')
            return True
        return False

    registry.fault = refuse
    made, said = image(cache), []
    send(registry, cache, [made], said.append)
    assert "1" in registry.manifests
    assert tag_of(made) not in registry.manifests
    assert "MANIFEST_INVALID no artifacts" in said[-1]


def test_a_registry_that_fails_is_an_error(registry, cache):
    def fail(handler):
        if "/manifests/sha256-" in handler.path:
            handler.read()
            handler.answer(503)
            return True
        return False

    registry.fault = fail
    with pytest.raises(UnreachableError, match=r"GET manifests/sha256-"):
        send(registry, cache, [image(cache)])


def test_an_answer_that_is_no_list_is_refused(registry, repository):
    registry.manifests["sha256-" + "1" * 64] = (INDEX, b'{"manifests": null}')
    with pytest.raises(BuildError, match="cannot be used"):
        list_referrers(repository, "sha256:" + "1" * 64)
    assert list_referrers(repository, "sha256:" + "2" * 64) == []
