"""Scripts, `replays/*.toml`: what a model would say, in a few lines, until there is a recording.

    text ──reading──► Script(replies, ignored) ──choose──► Chosen ──provider.synthesise──► the answer
                      replies.py                    ▲
    request ──conversation──► Asked ────────────────┘

docs/reference/scripts.md documents the keys. Nothing is remembered between requests: whatever a reply depends
on is in the request, so that conversations at once do not disturb each other.
"""
