"""Rules about images beyond the docs' examples: whose files are searched, and what history tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.layout import SITE, config, distribution, write_layout

from shipway.check.images.subject import look_into, open_source, read_image
from shipway.check.rule import run
from shipway.check.rules import IMAGE
from shipway.check.suppressions import read_names

SECRET = b'DATABASE = "postgresql://agent:q7Vd2mKx93@db.internal/agent"\n'
RIGHT = {"User": "65532", "Entrypoint": ["python", "-m", "agent"], "WorkingDir": "/app"}


def found(root: Path, *layers: dict[str, bytes], said: dict[str, Any] = RIGHT) -> dict[str, str]:
    write_layout(root, {"agent:1": list(layers)}, said)
    return {f.rule: f.message for f in run(IMAGE, read_image(str(root)), "agent:1")}


def test_what_packages_brought_is_not_searched(tmp_path: Path) -> None:
    status = b"Package: chromium\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n"
    layer = {
        **distribution("noisy", "1.0", {"noisy/settings.py": SECRET, "noisy/test.key": b"x"}),
        "var/lib/dpkg/status": status,
        "var/lib/dpkg/info/chromium.list": b"/etc/chromium.d/apikeys\n",
        "etc/chromium.d/apikeys": SECRET,
        "usr/share/doc/x/.env": b"A=1\n",
        "etc/ssl/certs/ca.pem": b"-----BEGIN CERTIFICATE-----\n",
        "app/node_modules/x/config.json": SECRET,
    }
    assert found(tmp_path, layer) == {}


def test_what_people_put_there_is(tmp_path: Path) -> None:
    said = found(tmp_path, {"etc/agent/settings.ini": SECRET, f"{SITE}/six.py": SECRET})
    assert list(said) == ["image-secret"]
    assert said["image-secret"].startswith("line 1 of /etc/agent/settings.ini")
    assert "q7Vd2mKx93" not in said["image-secret"]


def test_a_secret_that_a_later_layer_overwrites(tmp_path: Path) -> None:
    said = found(tmp_path, {"app/settings.py": SECRET}, {"app/settings.py": b"DATABASE = None\n"})
    assert said["image-secret"].endswith("a later layer hides it, and takes it from nobody")


def test_build_arguments_in_the_history(tmp_path: Path) -> None:
    write_layout(tmp_path, {"agent:1": [{"a": b""}]}, RIGHT)
    source = open_source(str(tmp_path))
    made = [
        {"created_by": "RUN |2 INDEX_TOKEN=correct-horse PORT=80 /bin/sh -c pip install x # buildkit"},
        {"created_by": "|1 NPM_TOKEN=battery-staple /bin/sh -c npm ci"},
        {"created_by": "RUN |1 EMPTY_TOKEN= /bin/sh -c true # buildkit"},
    ]
    source.config["history"][:] = made  # type: ignore[index]
    said = [f.message for f in run(IMAGE, look_into(source, "agent:1"), "agent:1")]
    assert said == [
        "the history holds the value of the build argument INDEX_TOKEN",
        "the history holds the value of the build argument NPM_TOKEN",
    ]


def test_an_image_with_the_least_that_an_image_may_have(tmp_path: Path) -> None:
    write_layout(tmp_path, {"agent:1": [{}]}, {})
    text = json.dumps(config([b""], {}))
    assert "Entrypoint" not in text
    source = open_source(str(tmp_path))
    source.config.pop("config")  # type: ignore[attr-defined]
    source.config.pop("history")  # type: ignore[attr-defined]
    assert [f.rule for f in run(IMAGE, look_into(source, "agent:1"), "agent:1")] == ["image-root"]


_ODD = st.sampled_from(
    [None, 0, "", "root", [], ["a", 1], {}, {"a": 1}, [["sh", "-c", "x"]], ["A"], "sh -c x"]
)


@settings(max_examples=100, deadline=None)
@given(odd=st.fixed_dictionaries(dict.fromkeys(("User", "Env", "Entrypoint", "Cmd", "Labels"), _ODD)))
def test_no_settings_make_a_rule_fail(tmp_path_factory: pytest.TempPathFactory, odd: dict[str, Any]) -> None:
    write_layout(root := tmp_path_factory.mktemp("image"), {"agent:1": [{"a": b""}]}, {})
    source = open_source(str(root))
    source.config.update(config=odd, history=[odd, odd["Env"]])  # type: ignore[attr-defined]
    image = look_into(source, "agent:1")
    list(read_names("agent:1", image.labels))
    assert all(f.message for f in run(IMAGE, image, "agent:1"))
