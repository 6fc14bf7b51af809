"""Every byte of an image has one owner."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest
from tests.layout import SITE, Files, distribution, write_layout

from shipway.build.cache import Cache
from shipway.build.inspection.image_source import built_image, open_image
from shipway.build.inspection.inspect import Inspection, environment, inspect, largest
from shipway.build.layers import Entry
from shipway.build.oci import platform_image
from shipway.plan.image import Process


def image(root: Path, *layers: Files, working_dir: str = "/app") -> Inspection:
    write_layout(root, {"a:1": layers}, {"WorkingDir": working_dir})
    return inspect(open_image(str(root)))


def sizes(found: Inspection) -> dict[tuple[str, str], int]:
    total: dict[tuple[str, str], int] = {}
    for layer in found.layers:
        for share in layer.shares:
            total[share.kind, share.name] = total.get((share.kind, share.name), 0) + share.size
    return total


def test_python_with_bytecode_scripts_and_who_requires_it(tmp_path: Path) -> None:
    files = {
        "h11/x.py": b"1" * 10,
        "h11/__pycache__/x.cpython-313.pyc": b"2" * 20,
        "../../../bin/h11": b"3" * 5,
    }
    recorded = {path: content for path, content in files.items() if "__pycache__" not in path}
    h11 = distribution("h11", "0.16.0", recorded)
    bytecode = {f"{SITE}/h11/__pycache__/x.cpython-313.pyc": b"2" * 20}
    script = {"app/.venv/bin/h11": h11.pop(f"{SITE}/../../../bin/h11")}
    extras = [
        "h11[fast]>=0.8; python_version >= '3.8'",
        "six; extra == 'old'",
        "anyio; sys_platform == 'win32'",
    ]
    user = distribution("uvicorn", "0.54.0", {"uvicorn.py": b"4"}, extras)
    found = image(tmp_path, h11 | bytecode | script, user)
    package = next(p for p in found.packages if p.name == "h11")
    assert (package.kind, package.version, package.required_by) == ("python", "0.16.0", ("uvicorn",))
    assert package.size == sum(len(content) for content in (h11 | bytecode | script).values())
    assert package.files == 5
    assert environment(package.place) == "/app/.venv"
    assert 0 < package.compressed <= found.compressed


def test_an_extra_counts_when_somebody_asks_for_it(tmp_path: Path) -> None:
    web = distribution("web", "1", {}, ["fast; extra == 'speed'"])
    for asked, users in (("web", ()), ("web[speed]", ("web",))):
        layers = [web, distribution("fast", "1", {}), distribution("app", "1", {}, [asked])]
        found = image(tmp_path / asked, *layers)
        assert next(p for p in found.packages if p.name == "fast").required_by == users


def test_debian_by_lists_by_checksums_and_by_what_it_states(tmp_path: Path) -> None:
    status = (
        b"Package: listed\nStatus: install ok installed\nVersion: 1\nDepends: summed (>= 1) | other\n\n"
        b"Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
    )
    digest = hashlib.md5(b"12").hexdigest()
    found = image(
        tmp_path,
        {
            "var/lib/dpkg/status": status,
            "var/lib/dpkg/info/listed.list": b"/.\n/lib\n/lib/l.so\n",
            "var/lib/dpkg/status.d/summed": b"Package: summed\nVersion: 2:3\n",
            "var/lib/dpkg/status.d/summed.md5sums": f"{digest}  usr/lib/s.so\n".encode(),
            "var/lib/dpkg/status.d/stated": b"Package: stated\nVersion: 4\nInstalled-Size: 12\n",
            "usr/lib/l.so": b"1" * 100,
            "usr/lib/s.so": b"12",
        },
    )
    packages = {p.name: p for p in found.packages}
    assert set(packages) == {"listed", "summed", "stated"}
    assert packages["listed"].size == 100 + len(b"/.\n/lib\n/lib/l.so\n")
    assert (packages["summed"].version, packages["summed"].stated) == ("2:3", 0)
    assert packages["summed"].required_by == ("listed",)
    assert packages["stated"].stated == 12 * 1024
    assert sizes(found)["other", "other files"] == len(status)


def test_node_project_runtime_and_other_files(tmp_path: Path) -> None:
    server = "app/mcp/fs/node_modules"
    found = image(
        tmp_path,
        distribution("shipway-runtime", "0.1.0", {"shipway_runtime/main.py": b"1" * 7}),
        {
            f"{server}/@scope/server/package.json": b'{"version": "1.2", "dependencies": {"zod": "^3"}}',
            f"{server}/@scope/server/dist/index.js": b"x" * 50,
            f"{server}/zod/package.json": b"not json",
            "app/src/agent.py": b"y" * 9,
            "app/.venv/pyvenv.cfg": b"z" * 3,
            "etc/passwd": b"p" * 4,
        },
    )
    by_owner = sizes(found)
    assert by_owner["project", "project"] == 9
    assert [file.path for file in found.project] == ["/app/src/agent.py"]
    assert by_owner["other", "other files"] == 7
    assert by_owner["runtime", "shipway-runtime"] > 7
    packages = {p.name: p for p in found.packages}
    assert packages["@scope/server"].version == "1.2"
    assert packages["zod"].required_by == ("@scope/server",)


def test_what_later_layers_hide_is_waste_once(tmp_path: Path) -> None:
    found = image(
        tmp_path,
        {"opt/a": b"1" * 10, "opt/b/c": b"2" * 20, "srv/d": b"3" * 40, "var/e": b"4" * 80, "keep": b"5"},
        {"opt/a": b"6" * 3, "opt/.wh.b": b"", "srv/.wh..wh..opq": b"", "srv/new": b"7"},
        {"opt/a": b"8" * 2, "var": b"a file where a directory was"},
    )
    assert [layer.wasted for layer in found.layers] == [150, 3, 0]
    assert found.wasted == 153
    assert sizes(found)["waste", "shadowed"] == 153


def test_a_package_that_was_upgraded_in_a_later_layer_is_there_once(tmp_path: Path) -> None:
    old, new = (distribution("six", version, {"six.py": version.encode()}) for version in ("1.0", "2.0"))
    removed = {f"{SITE}/.wh.six-1.0.dist-info": b""}
    found = image(tmp_path, old, removed | new)
    assert [(p.name, p.version) for p in found.packages] == [("six", "2.0")]
    assert found.wasted == sum(map(len, old.values()))


FILES = ["x", "a/b", "a/c", "b/c/d"]
WHITEOUTS = [".wh.a", ".wh.x", "a/.wh.b", "a/.wh..wh..opq", "b/.wh.c"]
names = st.sampled_from(FILES + WHITEOUTS)
layers = st.lists(st.dictionaries(names, st.binary(max_size=9)), min_size=1, max_size=4)


def on_disk(stack: Sequence[Files]) -> dict[str, bytes]:
    """What an engine would show: a layer's whiteouts act on those below it, then its files are put."""
    tree: dict[str, bytes] = {}
    for layer in stack:
        for path in layer:
            directory, _, base = path.rpartition("/")
            if base == ".wh..wh..opq":
                tree = {p: c for p, c in tree.items() if not p.startswith(f"{directory}/")}
            elif base.startswith(".wh."):
                gone = f"{directory}/{base[4:]}".lstrip("/")
                tree = {p: c for p, c in tree.items() if p != gone and not p.startswith(f"{gone}/")}
        for path, content in layer.items():
            if not path.rpartition("/")[2].startswith(".wh."):
                tree[path] = content
    return tree


@hypothesis.given(layers)
@hypothesis.settings(max_examples=80)
def test_what_is_not_wasted_is_what_a_container_sees(
    tmp_path_factory: pytest.TempPathFactory, stack: list[dict[str, bytes]]
) -> None:
    found = image(tmp_path_factory.mktemp("image"), *stack)
    assert found.unpacked - found.wasted == sum(map(len, on_disk(stack).values()))
    for layer in found.layers:
        assert sum(share.size for share in layer.shares) == layer.unpacked


def test_an_image_just_built_names_its_largest_packages(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    files = distribution("six", "1.16.0", {"six.py": b"1" * 1_500_000}) | distribution(
        "web", "2", {}, ["six"]
    )
    layer = cache.layer(
        "one", {"made from": "this"}, lambda: [Entry(p, "file", content=c) for p, c in files.items()]
    )
    process = Process(("/x",), "1", {}, "/app", ())
    built = platform_image("linux/amd64", [layer], process, {}, cache)
    found = inspect(built_image("a:1", built, cache))
    assert (found.reference, found.digest, found.layers[0].name) == ("a:1", built.digest, "one")
    assert largest(found, 1) == ["    1.5 MB  six 1.16.0 (/app/.venv), required by web"]
