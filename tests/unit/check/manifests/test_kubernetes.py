"""What rules say and do not say about Kubernetes' objects, beside the examples in the docs."""

from __future__ import annotations

import pytest
from tests.unit.check.manifests.conftest import Judge

DIGEST = "@sha256:" + "0a" * 32
BEST = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: support-agent}}
spec:
  replicas: 2
  template:
    metadata: {{labels: {{app: support}}}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 90
      securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}}
      initContainers:
        - name: mcp-git
          image: team/mcp-git{DIGEST}
          restartPolicy: Always
          securityContext: &confined
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {{drop: [ALL]}}
          resources: {{requests: {{cpu: 50m}}, limits: {{memory: 256Mi}}}}
      containers:
        - name: agent
          image: team/agent{DIGEST}
          securityContext: *confined
          ports: [{{name: api, containerPort: 8080}}, {{name: admin, containerPort: 8081}}]
          startupProbe: {{httpGet: {{path: /healthz, port: admin}}, periodSeconds: 2, failureThreshold: 60}}
          livenessProbe: {{httpGet: {{path: /healthz, port: admin}}, timeoutSeconds: 5}}
          readinessProbe: {{httpGet: {{path: /readyz, port: admin}}}}
          lifecycle: {{preStop: {{sleep: {{seconds: 5}}}}}}
          resources: {{requests: {{cpu: 100m, memory: 512Mi}}, limits: {{memory: 512Mi}}}}
          volumeMounts: [{{name: tmp, mountPath: /tmp}}]
      volumes: [{{name: tmp, emptyDir: {{}}}}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: support-agent}}
spec: {{maxUnavailable: 1, selector: {{matchLabels: {{app: support}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: support-agent}}
spec: {{selector: {{app: support}}, ports: [{{port: 80, targetPort: api}}]}}
"""


def test_the_best_that_people_write_by_hand(judge: Judge) -> None:
    assert judge(BEST) == []


def test_a_port_by_name_and_by_number_is_one_question(judge: Judge) -> None:
    text = BEST.replace("path: /readyz, port: admin", "path: /healthz, port: 8081")
    assert judge(text) == [("probes-same", 27)]


def pod(container: str = "", spec: str = "", kind: str = "Deployment", name: str = "agent") -> str:
    return (
        f"apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n  template:\n    spec:\n"
        f"{spec}      containers:\n        - name: {name}\n          image: team/{name}:1\n{container}"
    )


def rules(found: list[tuple[str, int]]) -> set[str]:
    return {rule for rule, _ in found}


def test_a_database_is_not_judged_as_an_agent(judge: Judge) -> None:
    text = pod(name="postgres", kind="StatefulSet").replace("team/postgres:1", "postgres:17")
    assert rules(judge(text)) == {"manifest-digest"}


def test_a_worker_that_nobody_calls_needs_no_probes(judge: Judge) -> None:
    assert "probes-missing" not in rules(judge(pod()))
    assert "probes-missing" in rules(judge(pod("          ports: [{containerPort: 80}]\n")))


def test_a_job_needs_no_probes_and_no_grace(judge: Judge) -> None:
    found = rules(judge(pod("          ports: [{containerPort: 80}]\n", kind="Job")))
    assert not found & {"probes-missing", "grace-default", "disruption-budget"}


def test_a_patch_is_not_told_what_its_base_may_have(judge: Judge) -> None:
    patch = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: agent}
spec:
  replicas: 3
  template:
    spec:
      containers:
        - name: agent
          env: [{name: LOG_LEVEL, value: debug}]
"""
    assert judge(patch) == []


@pytest.mark.parametrize("said", ["patches: [{path: 1.yaml}]", "patchesStrategicMerge: [./1.yaml]"])
def test_a_patch_that_names_an_image_is_known_by_its_kustomization(judge: Judge, said: str) -> None:
    kustomization = f"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n{said}\n"
    assert "pod-security" in rules(judge(pod()))
    assert rules(judge(pod(), kustomization)) == {"manifest-digest"}


def test_a_patch_answers_for_what_it_says(judge: Judge) -> None:
    patch = pod("          securityContext: {runAsUser: 0, privileged: true}\n").replace(
        "          image: team/agent:1\n", ""
    )
    assert rules(judge(patch)) == {"manifest-root", "privileged"}


@pytest.mark.parametrize(
    ("image", "rule"),
    [
        ("team/agent", "manifest-latest"),
        ("team/agent:main", "manifest-latest"),
        ("team/agent:main-latest", "manifest-latest"),
        ("localhost:5000/agent", "manifest-latest"),
        ("localhost:5000/agent:1", "manifest-digest"),
        ("team/agent:${VERSION}", ""),
        ("team/agent:1@sha256:0a", ""),
    ],
)
def test_names_of_images(judge: Judge, image: str, rule: str) -> None:
    found = rules(judge(pod().replace("team/agent:1", image)))
    assert found & {"manifest-latest", "manifest-digest"} == ({rule} if rule else set())


def test_a_kustomization_gives_images_their_tags(judge: Judge) -> None:
    set_ = (
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        "images: [{name: team/agent, digest: 'sha256:0a'}]\n"
    )
    text = pod().replace("team/agent:1", "team/agent")
    assert "manifest-latest" in rules(judge(text))
    assert not rules(judge(text, set_)) & {"manifest-latest", "manifest-digest"}


def test_an_autoscaler_makes_replicas(judge: Judge) -> None:
    text = pod("          env: [{name: DB, value: 'sqlite:///data/a.db'}]\n")
    scaler = (
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: a}\n"
        "spec: {scaleTargetRef: {kind: Deployment, name: agent}, maxReplicas: 5}\n"
    )
    assert "replica-state" not in rules(judge(text))
    assert ("replica-state", 10) in judge(text, scaler)


def test_lists_are_read_object_by_object(judge: Judge) -> None:
    inner = pod().replace("\n", "\n    ")
    assert "service-token" in rules(judge(f"apiVersion: v1\nkind: List\nitems:\n  - {inner}\n"))


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        ("{httpGet: {path: /healthz, port: 80}}", False),
        ("{httpGet: {path: /healthz, port: 80}, timeoutSeconds: 2, failureThreshold: 1}", True),
        ("{httpGet: {path: /healthz, port: 80}, periodSeconds: 5, timeoutSeconds: 5}", True),
        ("{httpGet: {path: /healthz, port: 80}, periodSeconds: 30, failureThreshold: 1}", True),
        ("{httpGet: {path: /healthz, port: 80}, periodSeconds: 5, failureThreshold: 6}", False),
    ],
)
def test_how_long_liveness_waits(judge: Judge, probe: str, said: bool) -> None:
    found = rules(judge(pod(f"          livenessProbe: {probe}\n")))
    assert ("liveness-tight" in found) == said


@pytest.mark.parametrize(
    ("path", "said"),
    [("/health", False), ("/healthz", False), ("/livez", False), ("/readyz", True), ("/health/deep", True)],
)
def test_what_a_path_says_about_liveness(judge: Judge, path: str, said: bool) -> None:
    found = rules(judge(pod(f"          livenessProbe: {{httpGet: {{path: {path}, port: 80}}}}\n")))
    assert ("liveness-downstream" in found) == said


def test_the_drain_of_agent_toml_counts(judge: Judge) -> None:
    text = pod(spec="      terminationGracePeriodSeconds: 45\n")
    assert "grace-short" not in rules(judge(text))
    assert ("grace-short", 7) in judge(text, drain=60)
    assert "grace-short" not in rules(judge(text, drain=45))


def test_without_a_grace_period_the_default_is_measured(judge: Judge) -> None:
    assert "grace-short" in rules(judge(pod(), drain=60))
    assert "grace-default" not in rules(judge(pod(), drain=60)), "the error says it already"


@pytest.mark.parametrize("command", ['["sleep", "20"]', "[sh, -c, 'sleep 20']"])
def test_a_hook_that_sleeps_takes_its_time_from_the_grace(judge: Judge, command: str) -> None:
    hook = f"          lifecycle: {{preStop: {{exec: {{command: {command}}}}}}}\n"
    text = pod(hook, "      terminationGracePeriodSeconds: 70\n")
    assert "grace-short" in rules(judge(text, drain=60))
    assert "grace-short" not in rules(judge(text, drain=45))


@pytest.mark.parametrize(
    ("container", "said"),
    [
        ("          args: [stdio]\n", True),
        ("          args: ['--transport', 'stdio']\n", True),
        ("          env: [{name: MCP_TRANSPORT, value: stdio}]\n", True),
        ("          args: [mcp-server-time]\n", True),
        ("          args: [mcp-server-time, --port, '80']\n", False),
        ("          args: [mcp-proxy, --port, '80', --, mcp-server-time]\n", False),
        ("          args: ['--transport', 'streamable-http']\n", False),
        ("", False),
    ],
)
def test_servers_that_speak_stdio(judge: Judge, container: str, said: bool) -> None:
    assert ("stdio-server" in rules(judge(pod(container, name="mcp-time")))) == said


@pytest.mark.parametrize(("kind", "said"), [("Deployment", False), ("Job", True)])
def test_a_sibling_that_waits_before_it_stops(judge: Judge, kind: str, said: bool) -> None:
    hook = "lifecycle: {preStop: {exec: {command: [wait-for-agent]}}}"
    sibling = f"        - {{name: mcp-git, image: 'team/mcp-git:1', {hook}}}\n"
    assert ("sidecar-sibling" in rules(judge(pod(sibling, kind=kind)))) == said


def test_one_server_beside_two_agents(judge: Judge) -> None:
    beside = "        - {name: mcp-docs, image: 'team/mcp-docs:1'}\n"
    found = judge(pod(beside), pod(beside, name="chat"))
    assert [entry for entry in found if entry[0] == "shared-sidecar"] == [("shared-sidecar", 10)] * 2


def test_a_secret_in_base64_is_one(judge: Judge) -> None:
    value = "cTdWZDJtS3g5M1pwTDR3UjhuVDVi"  # q7Vd2mKx93ZpL4wR8nT5b
    text = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ndata:\n  API_TOKEN: {value}\n"
    assert judge(text) == [("manifest-secret", 5)]
    assert judge(text.replace(value, "Y2hhbmdlbWU=")) == []  # changeme


def test_a_name_and_its_value_on_two_lines(judge: Judge) -> None:
    text = pod("          env:\n            - name: API_TOKEN\n              value: q7Vd2mKx93ZpL4wR8nT5b\n")
    assert "manifest-secret" in rules(judge(text))


PROMPT = (
    "You are the support agent of a shop. Answer in the language of the customer, in at most three sentences."
    " Never promise a refund, and ask a colleague where you are not sure."
)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (f"system: >\n    {PROMPT}", True),
        (f"config.yaml: |\n    model: x\n    system_prompt: {PROMPT}", True),
        (f'config.json: |\n    {{"model": "x", "prompt": "{PROMPT}"}}', True),
        ("prompt: short", False),
        ("prompt_path: /app/prompts/system.md", False),
        (f"motd: >\n    {PROMPT}", False),
    ],
)
def test_prompts_in_config_maps(judge: Judge, entry: str, said: bool) -> None:
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata:\n  {entry}\n"
    assert ("prompt-in-manifest" in rules(judge(text))) == said


def test_a_volume_that_cannot_be_in_two_places(judge: Judge) -> None:
    claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {accessModes: [%s]}\n"
    text = pod(spec="      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]\n")
    assert "volume-rollout" in rules(judge(text, claim % "ReadWriteOnce"))
    assert "volume-rollout" not in rules(judge(text, claim % "ReadWriteMany"))
    recreated = text.replace("  template:", "  strategy: {type: Recreate}\n  template:")
    assert "volume-rollout" not in rules(judge(recreated, claim % "ReadWriteOnce"))


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("[{setWeight: 100}]", "one step"),
        ("[{setWeight: 5}, {setWeight: 100}]", "no pause"),
        ("[{setWeight: 5}, {pause: {}}, {setWeight: 100}]", ""),
        ("[]", "one step"),
    ],
)
def test_the_steps_of_a_rollout(judge: Judge, steps: str, said: str) -> None:
    text = (
        "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: a}\n"
        f"spec: {{strategy: {{canary: {{steps: {steps}, analysis: {{templates: []}}}}}}}}\n"
    )
    assert ("rollout-single-step" in rules(judge(text))) == bool(said)
    assert "rollout-unjudged" not in rules(judge(text))


@pytest.mark.parametrize(
    ("container", "said"),
    [
        ("          args: [uvicorn, 'a:b']\n", True),
        ("          args: [sh, -c, 'exec uvicorn a:b --host 0.0.0.0']\n", False),
        ("          args: [uvicorn, 'a:b']\n          env: [{name: UVICORN_HOST, value: 0.0.0.0}]\n", False),
        ("          env: [{name: HOST, value: localhost}]\n", True),
        ("          args: [x, --host, 0.0.0.0]\n          env: [{name: HOST, value: 127.0.0.1}]\n", False),
        ("          env: [{name: MCP_TIME_HOST, value: localhost}]\n", False),
        ("", False),
    ],
)
def test_what_listens_on_loopback_and_is_probed(judge: Judge, container: str, said: bool) -> None:
    probe = "          readinessProbe: {httpGet: {path: /readyz, port: 80}}\n"
    assert ("manifest-loopback" in rules(judge(pod(container + probe)))) == said
    assert "manifest-loopback" not in rules(judge(pod(container))), "a sidecar may well listen there"


@pytest.mark.parametrize("kind", ["Deployment", "Pod", "CronJob"])
def test_the_network_of_the_machine(judge: Judge, kind: str) -> None:
    spec = "{hostNetwork: true, containers: [{name: a, image: 'a:1'}]}"
    nested = {"Pod": spec, "CronJob": f"{{jobTemplate: {{spec: {{template: {{spec: {spec}}}}}}}}}"}
    text = nested.get(kind, f"{{template: {{spec: {spec}}}}}")
    assert "privileged" in rules(
        judge(f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: a}}\nspec: {text}\n")
    )
