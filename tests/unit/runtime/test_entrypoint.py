from __future__ import annotations

import sys

import pytest

from shipway_runtime.entrypoint import EntrypointError, load


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_dotted_module(source):
    (source / "entry_package").mkdir()
    (source / "entry_package" / "__init__.py").touch()
    (source / "entry_package" / "sub.py").write_text("def make(): return 'made'")
    assert load("entry_package.sub:make").factory is False
    assert load("entry_package.sub:make()").factory is True


def test_a_module_that_is_not_there_lists_those_that_are(source):
    (source / "entry_other.py").touch()
    with pytest.raises(EntrypointError, match=r'no module "entry_none" in .*; there is entry_other'):
        load("entry_none.sub:agent")


def test_a_missing_import_of_the_users_is_theirs(source):
    (source / "entry_missing.py").write_text("import not_installed_anywhere")
    with pytest.raises(EntrypointError, match="could not be imported") as caught:
        load("entry_missing:agent")
    assert isinstance(caught.value.cause, ModuleNotFoundError)


def test_a_name_that_is_not_there(source):
    (source / "entry_name.py").write_text("def other(): ...")
    with pytest.raises(EntrypointError, match=r'has no "agent"; it has other'):
        load("entry_name:agent")


@pytest.mark.parametrize("text", ["raise SystemExit(3)", "def ("])
def test_whatever_the_import_raises(source, text):
    (source / "entry_raises.py").write_text(text)
    with pytest.raises(EntrypointError, match="could not be imported"):
        load("entry_raises:agent")
