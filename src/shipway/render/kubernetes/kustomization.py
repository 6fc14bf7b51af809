"""What Kustomize reads: the base, its components, and the overlay.

In: a stack, and the names of the files. Out: kustomizations as values; the overlay as a text, for it has
suggestions in comments and is written once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipway.render import yaml
from shipway.render.kubernetes.config import POLICY, policy_name
from shipway.render.kubernetes.labels import labels, selector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shipway.plan.stack import StackPlan
    from shipway.render.kubernetes.pod import Part

_UNHASHED = {"disableNameSuffixHash": True}
_HEAD = """\
Yours: shipway wrote it once and does not write it again. `kubectl apply -k` takes this directory.
base/ is rewritten by each `shipway render kubernetes`; what differs from it belongs here.
"""
_CONTROL = """\
#   without this line and with the first patch, where another stack's control is the fleet's, or there is none
"""
_SUGGESTIONS = """\
#   - base/monitoring   # PodMonitor, PrometheusRule (both need the Prometheus Operator), Grafana dashboard
#   - base/egress       # the agent reaches DNS, 443, control, its MCP servers, what agent.toml names; no more

# patches:
{to_control}{rolled_out}#   - target: {{kind: {kind}, name: {name}}}
#     patch: |
#       - op: add       # a variable, such as what an SDK needs beside a token: no secret
#         path: /spec/template/spec/containers/0/env/-
#         value: {{name: OTEL_EXPORTER_OTLP_ENDPOINT, value: "http://collector.monitoring:4318"}}
#   - target: {{kind: NetworkPolicy, name: {name}}}
#     patch: |
#       - op: replace   # Prometheus is in another namespace than `monitoring`
#         path: /spec/ingress/1/from/0/namespaceSelector/matchLabels/kubernetes.io~1metadata.name
#         value: observability
"""
_TO_CONTROL = """\
{variable}#   - target: {{kind: NetworkPolicy, name: {host}}}
#     patch: |
#       - op: add       # people come to control's page by an Ingress, whose controller is in this namespace
#         path: /spec/ingress/0/from/-
#         value: {{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: ingress-nginx}}}}}}
"""
_MERGED = """\
#   - target: {{kind: Deployment, name: {name}}}
#     patch: |          # the agent asks another stack's control; with "" none
#       apiVersion: apps/v1
#       kind: Deployment
#       metadata: {{name: {name}}}
#       spec: {{template: {{spec: {{containers: [{{name: agent, env: [
#         {{name: SHIPWAY_CONTROL_URL, value: "https://control.example.com"}}]}}]}}}}}}
"""
_ADDED = """\
#   - target: {{kind: Rollout, name: {name}}}
#     patch: |          # of two variables of a name the last one counts
#       - op: add       # the agent asks another stack's control; with "" none
#         path: /spec/template/spec/containers/0/env/-
#         value: {{name: SHIPWAY_CONTROL_URL, value: "https://control.example.com"}}
#   - target: {{kind: AnalysisTemplate}}
#     patch: |
#       - op: replace   # Argo asks another stack's control, or this one in another namespace
#         path: /spec/args/0/value
#         value: "https://control.example.com"
"""
_ROLLED_OUT = """\
#   - target: {{kind: HTTPRoute, name: {name}}}
#     patch: |
#       - op: replace   # the Gateway is not called {name}, or is in another namespace
#         path: /spec/parentRefs/0
#         value: {{name: public, namespace: gateways}}
"""


def base(files: Iterable[str]) -> Part:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(files),
    }


def component(plan: StackPlan, name: str, files: Iterable[str], documents: Iterable[str]) -> Part:
    """Added to an overlay by name. Documents become ConfigMaps that Grafana's sidecar picks up."""
    own = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": sorted(files),
    }
    marks = labels(plan) | {"grafana_dashboard": "1"}
    namespace = {"namespace": plan.namespace} if plan.namespace else {}
    generated = {"name": f"{plan.name}-{name}", **namespace, "files": list(documents), **_options(marks)}
    return own | ({"configMapGenerator": [generated]} if generated["files"] else {})


def overlay(plan: StackPlan, kind: str) -> str:
    """The policy keeps its name, so that a change reaches running pods and rolls nothing out. `kind` is what
    the agent is: a Deployment, or a Rollout."""
    document = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        **({"namespace": plan.namespace} if plan.namespace else {}),
        "resources": ["base"],
        "configMapGenerator": [
            {"name": policy_name(plan), "files": [POLICY.name], **_options(selector(plan))},
        ],
        **({"components": ["base/control"]} if plan.control else {}),
    }
    control, names = plan.control, {"name": plan.name, "kind": kind}
    rolled = kind == "Rollout"
    variable = (_ADDED if rolled else _MERGED).format(**names)
    to_control = _TO_CONTROL.format(variable=variable, host=control.host) if control else ""
    rolled_out = _ROLLED_OUT.format(**names) if rolled else ""
    suggestions = _SUGGESTIONS.format(**names, to_control=to_control, rolled_out=rolled_out)
    return yaml.write([document], _HEAD) + (_CONTROL if control else "\n# components:\n") + suggestions


def _options(marks: Mapping[str, str]) -> Part:
    return {"options": {**_UNHASHED, "labels": dict(marks)}}
