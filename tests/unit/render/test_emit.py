"""Files land whole; what somebody wrote by hand stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.errors import BuildError
from shipway.render.emit import emit

MARK = "# ours"


def test_text_bytes_and_files_are_written(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    out = tmp_path / "out"
    emit(out, {"a/text": "é", "bytes": b"\x00", "copy": program}, MARK, [])
    assert (out / "a/text").read_text(encoding="utf-8") == "é"
    assert (out / "bytes").read_bytes() == b"\x00"
    assert (out / "copy").stat().st_mode & 0o777 == 0o755
    assert (out / "bytes").stat().st_mode & 0o777 == 0o644
    assert {p.name for p in out.iterdir()} == {"a", "bytes", "copy"}, "no file is left half written"


def test_our_own_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"{MARK}, older\n")
    emit(tmp_path, {"Dockerfile": f"{MARK}\n"}, MARK, ["Dockerfile"])
    assert (tmp_path / "Dockerfile").read_text() == f"{MARK}\n"


def test_somebodys_file_stays_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python\n")
    with pytest.raises(BuildError, match="was not written by shipway") as caught:
        emit(tmp_path, {"other": "x", "Dockerfile": MARK}, MARK, ["Dockerfile"])
    assert "-o DIR" in caught.value.hint
    assert {p.name for p in tmp_path.iterdir()} == {"Dockerfile"}


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match="cannot write to"):
        emit(tmp_path / "file", {"x": ""}, MARK, [])
