"""A rollout by Argo Rollouts and the Gateway API: what is written instead of a Deployment.

In: a stack and its RolloutPlan. Out: objects.

    steps.py      [rollout] -> steps: weights, pauses, analyses
    analysis.py   AnalysisTemplates that ask control, and the Job that runs the paired suite
    traffic.py    the canary's Service, the HTTPRoute whose weights Argo sets, who reaches control
    rollout.py    the Rollout, with the pod that a Deployment would have
"""
