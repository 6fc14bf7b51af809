from __future__ import annotations

import json
import pickle

import pytest

from shipway_runtime.contract import Secret
from shipway_runtime.errors import StartError
from shipway_runtime.secrets.declared import Secrets


def mount(directory, version, value):
    """What Kubernetes does: a new directory, and a swap of the link `..data`."""
    (directory / version).mkdir()
    (directory / version / "TOKEN").write_text(value)
    (directory / "next").symlink_to(version)
    (directory / "next").rename(directory / "..data")
    if not (directory / "TOKEN").is_symlink():
        (directory / "TOKEN").symlink_to("..data/TOKEN")


@pytest.fixture
def files(tmp_path):
    return Secrets({"TOKEN": Secret("file")}, tmp_path, {})


def test_a_file_is_read_again_when_its_mount_is_swapped(files, tmp_path):
    mount(tmp_path, "..v1", "first-value\n")
    assert files.value("TOKEN") == "first-value"
    mount(tmp_path, "..v2", "other-value\n")
    assert files.value("TOKEN") == "other-value"


def test_a_file_that_goes_away_leaves_its_last_value(files, tmp_path):
    (tmp_path / "TOKEN").write_text("first-value")
    assert files.problems() == []
    (tmp_path / "TOKEN").unlink()
    assert files.value("TOKEN") == "first-value"
    assert "is gone; its last value is still in use" in files.problems()[0]


def test_a_file_that_comes_late_is_found(files, tmp_path):
    assert files.value("TOKEN") is None
    assert files.problems() == [f"TOKEN: no readable file {tmp_path}/TOKEN"]
    (tmp_path / "TOKEN").write_text("value")
    assert files.value("TOKEN") == "value"


def test_the_environment_is_a_source(tmp_path):
    declared = {"A": Secret("env"), "B": Secret("env"), "C": Secret("env")}
    secrets = Secrets(declared, tmp_path, {"A": "1", "B": ""})
    assert secrets.value("A") == "1"
    assert secrets.problems() == ["B: not in the environment", "C: not in the environment"]
    assert secrets.value("UNDECLARED") is None


def test_variables_for_sdks(files, tmp_path):
    (tmp_path / "TOKEN").write_text("value")
    assert files.environment({}) == {"TOKEN": "value"}
    assert files.environment({"TOKEN": "set"}) == {}


def test_a_broker_without_an_endpoint_is_refused(tmp_path):
    with pytest.raises(StartError, match=r"secrets.CRM: its source is a broker"):
        Secrets({"CRM": Secret("broker")}, tmp_path, {})


def test_no_form_of_a_secret_shows_its_value(tmp_path):
    secrets = Secrets({"A": Secret("env")}, tmp_path, {"A": "hunter22"})
    secret = secrets["A"]
    assert "hunter22" not in f"{secret} {secret!r} {secrets!r} {[secret]}"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)


def test_redaction_covers_values_escaped_or_replaced(files, tmp_path):
    (tmp_path / "TOKEN").write_text('first"\nvalue')
    text = 'first"\nvalue'
    for form in (text, repr(text), json.dumps({"a": text})):
        assert "first" not in files.redact(f"x {form} y")
    (tmp_path / "TOKEN").write_text("a-new-value")
    assert files.redact("a-new-value") == "[redacted]"
    assert "first" not in files.redact(text), "an old token in a log is still a token"


def test_a_longer_secret_that_holds_a_shorter_one(tmp_path):
    declared = {"A": Secret("env"), "B": Secret("env"), "C": Secret("env")}
    secrets = Secrets(declared, tmp_path, {"A": "token", "B": "token-and-more", "C": "on"})
    assert secrets.redact("token-and-more, token, on") == "[redacted], [redacted], on"
