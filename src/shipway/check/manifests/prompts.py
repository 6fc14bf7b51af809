"""Rules about prompts: they are code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shipway.check.rule import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipway.check.manifests.subject import Manifests

_NAME = re.compile(r"prompt|system|instruction|persona", re.I)
_INNER = re.compile(
    r"(?:^|[{,])[^\S\n]*[\"']?\w*(?:prompt|system_message|instructions?|persona)\w*[\"']?"
    r"[^\S\n]*[:=][^\S\n]*[|>]?[-+]?\s*(?P<text>.{100,})",
    re.IGNORECASE | re.MULTILINE,
)
WORDS = 20
"""So many words in a text are sentences, and no setting."""


def prompts_are_in_the_image(manifests: Manifests) -> Iterator[Seen]:
    """No prompt stands in a ConfigMap or in a variable.

    A prompt decides more about what an agent does than most of its code. Here it can be changed while the
    agent runs: no evals see the change, no canary meets it, no release knows of it, and going back to the
    last release does not bring the old one back.
    """
    fix = "put it into the image beside the code, so that it is tested and released with it"
    for file, line, name, text in _texts(manifests):
        inner = _INNER.search(text)
        if (_NAME.search(name) and _is_prose(text)) or (inner and _is_prose(inner["text"])):
            message = f"{name} holds a prompt, which changes what the agent does without a release"
            yield Seen(message, fix, line, file)


def _texts(manifests: Manifests) -> Iterator[tuple[str, int, str, str]]:
    for thing in manifests.of_kind("ConfigMap"):
        for name, value in thing.node["data"].pairs.items():
            yield thing.file, value.line, name, value.text
    for workload in manifests.workloads:
        for container in workload.containers:
            for variable in container.env:
                yield workload.file, variable.line, variable.name, variable.value or ""


def _is_prose(text: str) -> bool:
    """Whether it reads like sentences: words of letters, most of all."""
    words = text.split()
    plain = sum(word.strip(".,;:!?()\"'*#-").isalpha() for word in words)
    return len(words) >= WORDS and plain >= 0.7 * len(words)
