"""Lines and events survive any way in which the bytes arrive."""

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway_runtime.relay.framing import EventSplitter, LineSplitter, TooLong, data_of, event, with_data


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(ends)]


TEXT = st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"").replace(b"\r", b""))


@given(st.lists(TEXT, max_size=8), st.lists(st.integers(min_value=0), max_size=12))
def test_lines(lines, places):
    splitter = LineSplitter(1000)
    data = b"".join(line + b"\n" for line in lines)
    seen = [line for chunk in cut(data, places) for line in splitter.feed(chunk)]
    assert [line.text for line in seen] == lines
    assert not any(line.cut for line in seen)
    assert splitter.end() == []


@given(st.lists(TEXT, max_size=8), st.lists(st.integers(min_value=0), max_size=12))
def test_long_lines_are_cut_and_the_next_is_whole(lines, places):
    splitter = LineSplitter(7)
    data = b"".join(line + b"\n" for line in lines)
    seen = [line for chunk in cut(data, places) for line in splitter.feed(chunk)]
    assert [(line.text, line.cut) for line in seen] == [(line[:7], len(line) > 7) for line in lines]


def test_the_last_line_may_lack_its_end():
    splitter = LineSplitter(100)
    assert [line.text for line in splitter.feed(b"one\r\ntw")] == [b"one"]
    assert [line.text for line in splitter.feed(b"o")] == []
    assert [line.text for line in splitter.end()] == [b"two"]


@given(
    st.lists(st.sampled_from(["{}", '{"id": 1}', "ü"]), max_size=6),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.lists(st.integers(min_value=0), max_size=12),
)
def test_events(texts, end, places):
    wire = [b"event: message" + end + b"data: " + text.encode() + end + end for text in texts]
    splitter = EventSplitter(1000)
    seen = [raw for chunk in cut(b"".join(wire), places) for raw in splitter.feed(chunk)]
    assert seen == wire
    assert [data_of(raw).decode() for raw in seen] == texts
    assert not splitter.numbered


PIECES = st.sampled_from(
    [b"data: {}", b"id: 7", b": ping", b"data:\xff", b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n", b"\r\r"]
)


def lines_of(raw: bytes) -> list[bytes]:
    return [line for line in raw.replace(b"\r", b"\n").split(b"\n") if line]


@given(st.lists(PIECES | st.binary(max_size=5), max_size=30), st.lists(st.integers(min_value=0), max_size=20))
def test_events_are_the_same_wherever_chunks_end_and_whatever_ends_lines(pieces, places):
    wire = b"".join(pieces) + b"\n\n: end\n\n"
    whole, parted = EventSplitter(1000), EventSplitter(1000)
    expected = [lines_of(raw) for raw in whole.feed(wire)]
    seen = [lines_of(raw) for chunk in cut(wire, places) for raw in parted.feed(chunk)]
    assert [lines for lines in seen if lines] == [lines for lines in expected if lines]
    assert [line for lines in seen for line in lines] == lines_of(wire)
    assert parted.numbered == whole.numbered


@given(st.lists(st.binary(max_size=30), max_size=30))
def test_no_more_than_the_limit_is_kept(chunks):
    splitter = EventSplitter(50)
    for chunk in chunks:
        with contextlib.suppress(TooLong):
            splitter.feed(chunk)
            assert len(splitter._rest) <= 50


@given(st.binary(max_size=60))
def test_an_event_of_anything_has_data_and_takes_other(raw):
    assert data_of(with_data(raw, data_of(raw).replace(b"\n", b" "))) == data_of(raw).replace(b"\n", b" ")


def test_an_event_of_several_lines_can_be_rewritten_and_keeps_its_id():
    (raw,) = (splitter := EventSplitter(1000)).feed(b"id: 7\nevent: message\ndata: {\ndata: }\n\n")
    assert splitter.numbered
    assert data_of(raw) == b"{\n}"
    assert with_data(raw, b"[]") == b"id: 7\r\nevent: message\r\ndata: []\r\n\r\n"


def test_a_comment_has_no_data():
    assert data_of(b": ping\r\n\r\n") == b""
    assert data_of(event(b"{}")) == b"{}"


def test_an_event_without_an_end_is_refused():
    splitter = EventSplitter(10)
    splitter.feed(b"data: 123")
    with pytest.raises(TooLong):
        splitter.feed(b"456")
