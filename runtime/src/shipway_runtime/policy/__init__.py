"""Policy: what may change while the process runs: kill switches, limits, and which fallback is used.

    file, control, variable, agent.toml ──► base ─┐
                                                  ├─ meet ──► Effective ──► admission (turns), relay (tools)
    admin endpoint ──► restriction, with an end ──┘

The control thread looks at the sources and swaps one frozen value (`standing`); the main loop reads it at the
door (`admission`). Nothing here is imported by an agent.
"""
