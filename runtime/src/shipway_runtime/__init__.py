"""What runs inside an agent's container. `contract` is what the tool and the runtime have agreed on."""

__version__ = "0.1.0"
