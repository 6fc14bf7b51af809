"""shipway.lock: one form for one value, read back as it was, and refused when it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.errors import SpecError
from shipway.spec.shipwaylock import (
    LockedBase,
    LockedDeb,
    LockedEnvironment,
    LockedNpm,
    Pin,
    Resolution,
    ShipwayLock,
    read_shipway_lock,
    to_text,
)

DEB = LockedDeb("libc6", "2.41-12", "amd64", "pool/main/g/glibc/libc6_2.41-12_amd64.deb", "ab" * 32, 2847612)
SIX = Pin("six", "1.17.0", ("sha256:aa", "sha256:bb"))
LOCK = ShipwayLock(
    {"shipway": "0.1.0", "uv": "0.13.9"},
    (LockedBase("minimal", "sha256:01", {"amd64": (DEB,), "arm64": ()}),),
    (
        LockedEnvironment(
            "agent, dependencies",
            "sha256:02",
            {
                "linux/amd64": Resolution((Pin("idna", "3.20"), SIX), ("six",), {"core": "../libs/core"}),
                "linux/arm64": Resolution((Pin("idna", "3.20"), SIX), ("six",), {"core": "../libs/core"}),
            },
        ),
        LockedEnvironment(
            "agent, mcp time",
            "sha256:03",
            {"linux/amd64": Resolution((SIX,)), "linux/arm64": Resolution((Pin("six", "1.16.0"),))},
        ),
    ),
    (
        LockedNpm(
            "agent, mcp files",
            "sha256:04",
            {
                "node_modules/which": {
                    "bin": {"node-which": "bin/which.js"},
                    "dependencies": {"@a/isexe": "^3.1.1", "b": 'npm:"c"@1'},
                    "integrity": "sha512-aa==",
                    "version": "5.0.0",
                },
                "node_modules/@a/isexe": {"version": "3.1.1", "os": ["linux"], "optional": True, "peer": {}},
            },
        ),
    ),
)
TEXT = """\
# What the image is made of, beyond the project's own lock. Written by `shipway lock`: commit it as it is.
version = 1

[tools]
shipway = "0.1.0"
uv = "0.13.9"

[[base]]
name = "minimal"
inputs = "sha256:01"

[base.debs]
amd64 = [
    { name = "libc6", version = "2.41-12", architecture = "amd64", \
filename = "pool/main/g/glibc/libc6_2.41-12_amd64.deb", sha256 = "HASH", size = 2847612 },
]
arm64 = [
]

[[environment]]
name = "agent, dependencies"
inputs = "sha256:02"

[[environment.resolved]]
platforms = ["linux/amd64", "linux/arm64"]
built = ["six"]
local = { core = "../libs/core" }

[environment.resolved.pins]
idna = { version = "3.20" }
six = { version = "1.17.0", hashes = [
    "sha256:aa",
    "sha256:bb",
] }

[[environment]]
name = "agent, mcp time"
inputs = "sha256:03"

[[environment.resolved]]
platforms = ["linux/amd64"]

[environment.resolved.pins]
six = { version = "1.17.0", hashes = [
    "sha256:aa",
    "sha256:bb",
] }

[[environment.resolved]]
platforms = ["linux/arm64"]

[environment.resolved.pins]
six = { version = "1.16.0" }

[[npm]]
name = "agent, mcp files"
inputs = "sha256:04"

[npm.packages]
"node_modules/@a/isexe" = { version = "3.1.1", optional = true, os = ["linux"], peer = {} }
"node_modules/which" = { version = "5.0.0", integrity = "sha512-aa==", \
bin = { node-which = "bin/which.js" }, dependencies = { "@a/isexe" = "^3.1.1", b = "npm:\\"c\\"@1" } }
""".replace("HASH", "ab" * 32)


def test_it_is_written_in_one_form_and_read_back(tmp_path: Path) -> None:
    assert to_text(LOCK) == TEXT
    (tmp_path / "shipway.lock").write_text(TEXT)
    assert read_shipway_lock(tmp_path) == LOCK


VALUES = st.recursive(
    st.text() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(text=st.text(), value=VALUES)
def test_any_text_survives(text: str, value: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.getbasetemp()
    lock = ShipwayLock(
        {"uv": text},
        (),
        (LockedEnvironment(text, "i", {text: Resolution(local={"a": text})}),),
        (LockedNpm(text, "i", {text: {"version": text, "bin": value}}),),
    )
    (root / "shipway.lock").write_bytes(to_text(lock).encode("utf-8", "surrogatepass"))
    assert read_shipway_lock(root) == lock


def test_none_is_none(tmp_path: Path) -> None:
    assert read_shipway_lock(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<<<<<<< HEAD\n", "cannot be read"),
        ("version = 2\n", "its format is version 2, this shipway reads version 1"),
        ("", "its format is version None"),
        ("version = 1\n[[base]]\n", "not a lock that shipway wrote"),
        ('version = 1\n[[base]]\nname = "x"\ninputs = "y"\n[base.debs]\namd64 = [{ a = 1 }]\n', "not a lock"),
        ('version = 1\n[[npm]]\nname = "x"\ninputs = "y"\npackages = { a = { b = "c" } }\n', "not a lock"),
        (
            'version = 1\n[[npm]]\nname = "x"\ninputs = "y"\npackages = { a = { version = 1 } }\n',
            "not a lock",
        ),
        ("version = 1\nbase = 3\n", "not a lock that shipway wrote"),
    ],
)
def test_what_cannot_be_used_is_a_finding(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "shipway.lock").write_text(text)
    with pytest.raises(SpecError, match=message) as refused:
        read_shipway_lock(tmp_path)
    (finding,) = refused.value.findings
    assert (finding.rule, finding.file) == ("lock", "shipway.lock")
