from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from shipway.replay.exchange import Exchange, Request, Response, write
from shipway.replay.recording.directory import Directory
from shipway.replay.tape import Recording, load


def asking(text: str) -> Request:
    return Request("POST", "/v1/messages", {"messages": [{"role": "user", "content": text}]})


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.json"))


def old(directory: Path, file: str, key: str) -> Recording:
    exchange = Exchange(asking("old"), Response(200, {}, {}))
    (directory / file).write_text(write(exchange)[0])
    return replace(recorded(directory, file), key=key)


def recorded(directory: Path, file: str) -> Recording:
    return next(recording for recording in load(directory).recordings if recording.file == file)


def test_names_follow_the_order_of_requests_and_go_on_after_what_is_there(tmp_path: Path) -> None:
    directory = Directory(tmp_path, [old(tmp_path, "07-mine.json", "other")])
    places = [directory.reserve(asking(text)) for text in ("one", "two")]
    for place in reversed(places):
        directory.store(place, "key", "{}", {})
    assert names(tmp_path) == ["07-mine.json", "08-one-1.json", "09-two-1.json"]


def test_a_name_that_nothing_was_stored_under_is_given_again(tmp_path: Path) -> None:
    directory = Directory(tmp_path, [])
    directory.release(directory.reserve(asking("one")))
    directory.store(directory.reserve(asking("one")), "key", "{}", {})
    assert names(tmp_path) == ["001-one-1.json"]


def test_a_file_that_somebody_else_made_is_never_overwritten(tmp_path: Path) -> None:
    directory = Directory(tmp_path, [])
    place = directory.reserve(asking("one"))
    (tmp_path / "001-one-1.json").write_text("mine")
    directory.store(place, "key", "{}", {})
    assert names(tmp_path) == ["001-one-1-again-2.json", "001-one-1.json"]
    assert (tmp_path / "001-one-1.json").read_text() == "mine"


def test_the_first_of_a_run_replaces_the_older_ones_of_its_request(tmp_path: Path) -> None:
    recordings = [old(tmp_path, "b/2.json", "key") for _ in [(tmp_path / "b").mkdir()]]
    recordings = [old(tmp_path, "1.json", "key"), *recordings, old(tmp_path, "3.json", "other")]
    directory = Directory(tmp_path, recordings)
    first, second, third = (
        directory.store(directory.reserve(asking("x")), "key", "{}", {}) for _ in range(3)
    )
    assert (first.file, first.removed) == ("1.json", ("1.json", "b/2.json"))
    assert (second.file, second.removed) == ("b/2.json", ())
    assert (third.file, third.removed) == ("6-x-1.json", ())


def test_parts_that_nothing_refers_to_any_more_are_swept(tmp_path: Path) -> None:
    def exchange(text: str) -> tuple[str, dict[str, bytes]]:
        return write(Exchange(asking(text * 4_000), Response(200, {}, {})))

    directory = Directory(tmp_path, [])
    directory.store(directory.reserve(asking("x")), "key", *exchange("old text "))
    (tmp_path / "parts" / "my-notes.txt").write_text("mine")
    again = Directory(tmp_path, [replace(recorded(tmp_path, "001-x-1.json"), key="key")])
    again.store(again.reserve(asking("x")), "key", *exchange("new text "))
    assert len(again.sweep()) == 1
    assert len(list((tmp_path / "parts").iterdir())) == 2
    assert load(tmp_path).recordings[0].exchange.request.body["messages"][0]["content"].startswith("new text")


def test_many_at_once_do_not_collide(tmp_path: Path) -> None:
    directory = Directory(tmp_path, [])

    def one(number: int) -> None:
        directory.store(directory.reserve(asking("same")), f"key {number}", "{}", {"0" * 32 + ".txt": b"x"})

    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(tmp_path)) == 20
    assert not list(tmp_path.rglob("*.new"))
