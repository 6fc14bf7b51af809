"""The model API, recorded and replayed: agents run without a key, without cost and without a network.

    DIR/**/*.json, *.toml ──load──► Tape ──Player──► Answerer ──create_app──► ASGI app ──serve──► http://HOST:PORT
      exchange.py  scripts/        tape.py  player.py traffic.py    app.py               server.py
                              following.py  misses.py

`apis/` has the providers: a file each with the functions of `provider.Provider`, and a line in providers.py.
`matching/` says what makes two requests the same, which recording is nearest, and tells a difference in
words. `scripts/` is what people write in place of a model. `recording/` has an Answerer that asks the real
API and stores what it says: no file has what secrecy.py finds, and parts.py keeps large texts apart. Uses
only what the runtime depends on, so it fits a small image; this module imports nothing.
"""
