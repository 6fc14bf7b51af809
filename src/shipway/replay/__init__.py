"""The model API, recorded and replayed: agents run without a key, without cost and without a network.

    DIR/**/*.json, *.toml ──load──► Tape ──create_app──► ASGI app ──serve──► http://HOST:PORT
      exchange.py  script.py       tape.py  player.py     app.py              server.py

A provider is one file with the functions of `provider.Provider`, and one line in providers.py.
Uses only what the runtime depends on, so it fits a small image; this module imports nothing.
"""
