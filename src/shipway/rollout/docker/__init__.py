"""Docker's engine, by its HTTP API: containers of a deployment as they should be."""
