"""Servers that speak over stdin and stdout: kept running, and served over HTTP to any number of clients.

From the client inwards: `inside` (the HTTP face), `delivery` and `sessions` (one request, one client),
`audience`, `rounds`, `privates` (who hears what, who is asked what), `server` (one process after the other),
`opening`, `link` (JSON-RPC), `child` (the process), `watcher` and `remains` (nothing is left behind).
"""
