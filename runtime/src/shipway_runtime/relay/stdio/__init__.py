"""Servers that speak over stdin and stdout: kept running, and served over HTTP to any number of clients.

From the client inwards: `inside` (the HTTP face), `delivery` and `sessions` (one request, one client);
`processes` (who is answered by which), `audience`, `listens`, `rounds`, `privates` (who hears what, and is
asked what); `server` (one process after the other), `opening`, `liveness`, `link` (JSON-RPC), `child` (one
process), `limits`; `watcher` and `remains` (nothing is left behind).
"""
