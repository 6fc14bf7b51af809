"""The gate: whether a revision is worse than another, from what conversations came to; pass, fail or
inconclusive.

In: outcomes of turns, in any order, and a plan (revisions, margins, alpha). Out: a `Judgement`, at any
moment, wrong about a revision that is no worse with probability alpha at most. No I/O and no clock: time is
an argument.

    conversations = Conversations()
    gate = Gate(GatePlan("r2", "r1", share=0.05, metrics={"errors": None}))
    for outcome in outcomes:
        conversations.add(outcome)
    for conversation in conversations.close(now):
        gate.see(conversation)
    print(gate.judge(now).words)

docs/reference/gate.md says what the figures mean and where the method is from.
"""

from shipway.gate.conversations import IDLE_S, Conversation, Conversations
from shipway.gate.gate import Gate
from shipway.gate.judgement import Arm, Evidence, Judgement, Point, Verdict
from shipway.gate.metrics import METRICS, Metric
from shipway.gate.paired import Paired
from shipway.gate.plan import Calibration, GatePlan

__all__ = [
    "IDLE_S",
    "METRICS",
    "Arm",
    "Calibration",
    "Conversation",
    "Conversations",
    "Evidence",
    "Gate",
    "GatePlan",
    "Judgement",
    "Metric",
    "Paired",
    "Point",
    "Verdict",
]
