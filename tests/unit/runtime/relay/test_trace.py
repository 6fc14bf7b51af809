"""Trace context between headers and `_meta`: what is valid goes on, what is not is dropped."""

import pytest

from shipway_runtime.relay.trace import into_headers, into_meta, trace_id

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
CARRIED = {"traceparent": PARENT, "tracestate": "congo=t61rcWkgMzE,rojo@x=1", "baggage": "user=a%20b;p;q=1"}


def test_headers_become_meta():
    assert into_meta(None, {**CARRIED, "accept": "*/*"}) == {"_meta": CARRIED}
    params = {"name": "echo", "_meta": {"progressToken": 1}}
    assert into_meta(params, CARRIED) == {"name": "echo", "_meta": {"progressToken": 1, **CARRIED}}
    assert params == {"name": "echo", "_meta": {"progressToken": 1}}


def test_meta_becomes_headers():
    assert into_headers({"_meta": CARRIED}, {"accept": "*/*"}) == {"accept": "*/*", **CARRIED}


def test_the_place_that_counts_first_gives_both_parent_and_state():
    own = {"_meta": {"traceparent": OTHER}}
    assert into_meta(own, CARRIED) == {"_meta": {"traceparent": OTHER, "baggage": CARRIED["baggage"]}}
    assert into_headers(own, CARRIED) == CARRIED


def test_what_says_nothing_of_traces_stays_as_it_is():
    for params in (None, {}, {"name": "echo"}, {"_meta": {"progressToken": 1}}, {"_meta": 7}):
        assert into_meta(params, {"accept": "*/*"}) is params
    assert into_headers(None, {"accept": "*/*"}) == {"accept": "*/*"}


@pytest.mark.parametrize(
    "parent",
    [
        *("", "00-1-2-3", PARENT.upper(), PARENT + "-more", PARENT + "\r\nx: y", f" {PARENT}"),
        *(f"ff{PARENT[2:]}", f"00-{'0' * 32}-b7ad6b7169203331-01", f"00-{TRACE}-{'0' * 16}-01"),
        *(None, 7, ["x"], PARENT * 1000),
    ],
)
def test_an_invalid_parent_takes_its_state_with_it(parent):
    carried = CARRIED | {"traceparent": parent}
    assert into_meta({"_meta": carried}, {}) == {"_meta": {"baggage": CARRIED["baggage"]}}
    assert into_headers({"_meta": carried}, {}) == {"baggage": CARRIED["baggage"]}
    assert trace_id({"_meta": carried}, {}) is None


def test_a_parent_of_a_later_version_may_say_more():
    assert into_meta(None, {"traceparent": f"01{PARENT[2:]}-more"})["_meta"]["traceparent"].endswith("more")


@pytest.mark.parametrize(
    "state",
    ["x", "X=1", "a=1,a=2", "a=1,b=ü", "a==", "a=" + "x" * 257, ",".join(f"k{i}=1" for i in range(33)), 1],
)
def test_an_invalid_state_goes_alone(state):
    assert into_headers({"_meta": {"traceparent": PARENT, "tracestate": state}}, {}) == {
        "traceparent": PARENT
    }


@pytest.mark.parametrize(
    "baggage",
    [
        "",
        "x",
        "a b=1",
        "a=1 2",
        'a="b"',
        "a=1\r\nx: y",
        "a=ü",
        "a=1;",
        "a=" + "x" * 9000,
        "a=" + " " * 8000 + '"',
        {},
    ],
)
def test_invalid_baggage_is_dropped(baggage):
    assert into_headers({"_meta": {"baggage": baggage}}, {"baggage": str(baggage)}) == {}
    assert into_meta({"_meta": {"baggage": baggage}}, {"baggage": "a=1"}) == {"_meta": {"baggage": "a=1"}}


def test_lists_may_have_spaces_and_empty_members():
    carried = {"traceparent": PARENT, "tracestate": "a=1 ,, b=2", "baggage": "a = 1 ; p , b=2,"}
    found = into_headers(None, carried)
    assert (found["tracestate"], found["baggage"]) == ("a=1,b=2", "a = 1 ; p,b=2")


def test_log_lines_name_the_trace_of_meta_or_headers():
    assert trace_id({"_meta": CARRIED}, {"traceparent": OTHER}) == TRACE
    assert trace_id(None, CARRIED) == TRACE
    assert trace_id(None, {}) is None
