"""Servers that speak HTTP themselves: what the relay forwards, keeps up and refuses on the way.

`proxy` is the road of one request: `admission`, then `upstream` with its `credentials`, then `answers`.
`wire` is the way to a sidecar, half as dear as the HTTP client's own.
Legacy sessions outlive the server by `resumption` and `standing`; `probe` asks whether it is there.
"""
