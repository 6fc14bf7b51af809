"""The model API, recorded and replayed: agents run without a key, without cost and without a network.

    DIR/**/*.json, *.toml ──load──► Tape ──Player──► Answerer ──create_app──► ASGI app ──serve──► http://HOST:PORT
      exchange.py  script.py       tape.py  player.py traffic.py    app.py               server.py

`apis/` has the providers: a file each with the functions of `provider.Provider`, and a line in providers.py.
`matching/` says what makes two requests the same, and which recording is nearest. Uses only what the runtime
depends on, so it fits a small image; this module imports nothing.
"""
