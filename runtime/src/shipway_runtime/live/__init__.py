"""Live scores: what a function of the user's thinks of a sample of real turns, without a reference.

    turn ends ─► Notes ─► Scoring ──line of JSON──► a process of its own: `python -m shipway_runtime.live`
    main loop             control loop ◄──score───   evals.live:score
                             │
                             ├─► the turn's outcome, now with its score
                             └─► its text, for control, where the turn is worth reading

`sampling` says which turns, `sample` what the function gets, `scoring` keeps outcomes back until they have a
score or have waited long enough, `scorer` keeps the process running, `__main__` and `calling` are what runs
in it, `reading` makes what control gets.

A process of its own, because the function is what nobody tests under load: it asks a model, it computes, it
hangs. There it shares neither the interpreter's lock nor the memory with turns, it can be ended, and what its
requests to a model come to is not taken for the agent's.
"""
