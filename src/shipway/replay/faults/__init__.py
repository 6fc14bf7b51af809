"""What goes wrong with model APIs, made to go wrong on purpose.

    replays/*.toml ──[[fault]]──┐
    shipway replay fault KIND ──┼─► Rule ──Faulty──► kinds.py spoils the answer of another Answerer
    x-shipway-fault: KIND ──────┘  rules.py faulty.py

kinds.py is the table of what can go wrong. control.py lets a running replay be told, client.py tells it.
docs/reference/faults.md documents all of it.
"""
