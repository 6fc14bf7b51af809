"""The small server that a fleet shares: outcomes in; policy, verdicts and the page out."""
