"""Servers that speak HTTP themselves: what the relay forwards, keeps up and refuses on the way.

`proxy` is the road of one request: `admission`, then `upstream` with its `credentials`, then `answers`.
Legacy sessions outlive the server by `resumption` and `standing`; `probe` asks whether it is there.
"""
