"""The model API, recorded and replayed. Uses only what the runtime depends on."""
