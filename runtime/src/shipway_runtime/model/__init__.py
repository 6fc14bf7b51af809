"""The model, as this process talks to it: where its API is, and what its answers come to on the wire.

    hosts ──► watching ◄── clients ◄── httpx, httpx2, aiohttp, once somebody has imported them
                 │  endings
                 ▼
              counts, the log, the check `model`

What SDKs and frameworks make of an answer is theirs; what it was is seen here, and told the same way to all.
"""
