"""`# shipway: ignore RULE: reason`: what it covers, and when it is wrong."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shipway.check.suppressions import Suppression, read_comments, read_names, settle
from shipway.errors import Finding

KNOWN = {"root-user", "signals"}


def finding(rule: str, line: int, file: str = "F") -> Finding:
    return Finding(rule, "seen", "fix", file, line, "warning")


def test_at_the_end_of_the_line_and_above_it() -> None:
    text = "a: 1  # shipway: ignore root-user: it is right\n# shipway: ignore signals: yes\n\n# more\nb: 2\n"
    said = list(read_comments("F", text))
    assert said == [
        Suppression("root-user", "it is right", "F", 1, 1, 1),
        Suppression("signals", "yes", "F", 2, 2, 5),
    ]
    settled = settle([finding("root-user", 1), finding("signals", 5)], said, KNOWN)
    assert settled.findings == ()
    assert [(one.finding.line, one.reason) for one in settled.suppressed] == [(1, "it is right"), (5, "yes")]


def test_it_covers_the_whole_of_what_stands_there_and_nothing_else() -> None:
    said = list(read_comments("F", "# shipway: ignore signals: x\nRUN a\n b\nRUN c\n", lambda _: (2, 3)))
    settled = settle([finding("signals", n) for n in (3, 4)] + [finding("root-user", 2)], said, KNOWN)
    assert [(f.rule, f.line) for f in settled.findings] == [("root-user", 2), ("signals", 4)]


def test_another_file_is_not_meant() -> None:
    said = list(read_comments("F", "# shipway: ignore signals: x\na\n"))
    assert [f.rule for f in settle([finding("signals", 2, "G")], said, KNOWN).findings] == [
        "ignore-unused",
        "signals",
    ]


def test_without_a_reason_it_counts_for_nothing() -> None:
    for text in ("a # shipway: ignore signals", "a # shipway: ignore signals:  "):
        settled = settle([finding("signals", 1)], read_comments("F", text), KNOWN)
        assert [(f.rule, f.severity) for f in settled.findings] == [
            ("ignore-reason", "error"),
            ("signals", "warning"),
        ]


def test_what_suppresses_nothing_is_a_finding() -> None:
    (unused,) = settle([], read_comments("F", "a # shipway: ignore signals: old"), KNOWN).findings
    assert (unused.rule, unused.severity, unused.line) == ("ignore-unused", "warning", 1)


def test_a_rule_that_is_not_there() -> None:
    (unknown,) = settle([], read_comments("F", "a # shipway: ignore root-usr: x"), KNOWN).findings
    assert unknown.rule == "ignore-unknown"
    assert "did you mean `root-user`?" in unknown.message


def test_what_the_builder_would_refuse_cannot_be_ignored() -> None:
    settled = settle(
        [finding("unknown-key", 1)], read_comments("F", "a # shipway: ignore unknown-key: x"), KNOWN
    )
    assert {f.rule for f in settled.findings} == {"ignore-unknown", "unknown-key"}


def test_other_comments_of_shipway_are_none() -> None:
    assert (
        list(read_comments("F", "# shipway: ignored\n# shipway: allow-secret x\n# ignore signals: y\n")) == []
    )


def test_labels_and_annotations() -> None:
    said = list(read_names("image:1", {"shipway.ignore/root-user": "why", "other": "x"}))
    assert said == [Suppression("root-user", "why", "image:1", 0, 0, 0)]
    assert settle([finding("root-user", 0, "image:1")], said, KNOWN).findings == ()


@given(st.text())
def test_any_text(text: str) -> None:
    settle([], read_comments("F", text), KNOWN)
