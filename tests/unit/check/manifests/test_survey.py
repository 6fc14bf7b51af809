"""Files and directories: what is found, what cannot be read, what is answered for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.package_index import write_tree

from shipway.check.manifests.files import find
from shipway.check.manifests.survey import check_named
from shipway.check.rules import RULES
from shipway.check.suppressions import settle

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  containers:
    - name: agent
      image: a:1
"""
ROOT = POD + "      securityContext: {runAsUser: 0}\n"


def said(path: Path) -> list[str]:
    checked = check_named(path)
    settled = settle(checked.findings, checked.suppressions, {rule.name for rule in RULES})
    return [
        f"{f.file.rpartition('/')[2]}:{f.line} {f.rule}" for f in settled.findings if f.severity == "error"
    ]


def test_what_a_project_keeps_manifests_in(tmp_path: Path) -> None:
    files = {
        **dict.fromkeys(("compose.prod.yaml", "deploy/k8s/a.yml", "k8s/b.yaml", "src/c.yaml"), POD),
        "values.yaml": "replicas: 2\n",
        "deploy/node_modules/x.yaml": POD,
        "ecs/task.json": '{"containerDefinitions": []}',
        "deploy/broken.yaml": "kind: [",
        "deploy/bytes.yaml": POD,
    }
    write_tree(tmp_path, files)
    (tmp_path / "deploy/bytes.yaml").write_bytes(b"\xff\xfe\x00")
    found = [str(path.relative_to(tmp_path)) for path in find(tmp_path)]
    assert found == [
        "compose.prod.yaml",
        "deploy/broken.yaml",
        "deploy/k8s/a.yml",
        "ecs/task.json",
        "k8s/b.yaml",
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "a: [", "neither YAML nor JSON"),
        ("a.yaml", "a: 1\n", "nothing in it is a manifest"),
        ("a.yaml", "", "nothing in it is a manifest"),
        ("a.yaml", "&a [*a]", "a part of itself"),
    ],
)
def test_a_file_that_is_no_manifest(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    (finding,) = check_named(tmp_path / name).findings
    assert finding.rule == "manifest-syntax"
    assert message in finding.message
    assert finding.file == str(tmp_path / name)


def test_what_is_not_there(tmp_path: Path) -> None:
    (finding,) = check_named(tmp_path / "nowhere.yaml").findings
    assert "No such file" in finding.message
    (finding,) = check_named(tmp_path).findings
    assert "no manifest" in finding.message
    (tmp_path / "values.yaml").write_text("a: 1\n")
    assert len(check_named(tmp_path).findings) == 1


def test_templates_of_helm_are_said_once_and_the_rest_is_read(tmp_path: Path) -> None:
    template = "{{- if .Values.on }}\nkind: Pod\n{{- end }}\n"
    files = {
        "chart/templates/a.yaml": template,
        "chart/templates/b.yaml": template,
        "chart/Chart.yaml": "name: a\n",
    }
    write_tree(tmp_path, {**files, "root.yaml": ROOT})
    findings = check_named(tmp_path).findings
    assert [f.severity for f in findings if f.rule == "manifest-unread"] == ["note"]
    assert any(f.rule == "manifest-root" for f in findings)


def test_braces_of_others_are_no_template(tmp_path: Path) -> None:
    rule = "apiVersion: v1\nkind: PrometheusRule\nspec:\n  text: |\n    {{ $labels.pod }} {{ if 1 }}\n"
    (tmp_path / "rules.yaml").write_text(f"{rule}---\n{ROOT}")
    assert said(tmp_path / "rules.yaml") == ["rules.yaml:14 manifest-root"]


def test_jobs_of_nomad_are_said_not_to_be_read(tmp_path: Path) -> None:
    (tmp_path / "agent.nomad.hcl").write_text('job "agent" {}\n')
    (finding,) = check_named(tmp_path / "agent.nomad.hcl").findings
    assert (finding.rule, finding.severity) == ("manifest-unread", "note")


@pytest.mark.parametrize(
    "text",
    [
        ROOT.replace("runAsUser: 0}", "runAsUser: 0} # shipway: ignore manifest-root: it is a sandbox"),
        ROOT.replace("    - name", "    # shipway: ignore manifest-root: it is a sandbox\n    - name"),
        "# shipway: ignore manifest-root: it is a sandbox\n" + ROOT,
        ROOT.replace("{name: a}", "{name: a, annotations: {shipway.ignore/manifest-root: it is a sandbox}}"),
    ],
)
def test_a_comment_is_about_all_that_begins_there(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert said(tmp_path / "a.yaml") == []


def test_a_comment_on_another_container_is_not(tmp_path: Path) -> None:
    other = "    # shipway: ignore manifest-root: it is a sandbox\n    - {name: b, image: 'b:1'}\n"
    (tmp_path / "a.yaml").write_text(ROOT + other)
    assert said(tmp_path / "a.yaml") == ["a.yaml:8 manifest-root"]


def test_the_drain_of_the_agent_toml_above(tmp_path: Path) -> None:
    spec = 'name = "a"\nentrypoint = "a:a"\n[health]\ngrace = "90s"\n[env.prod.health]\ngrace = "50s"\n'
    grace = "  terminationGracePeriodSeconds: "
    files = {"deploy/a.yaml": f"{POD}{grace}60\n", "deploy/b.yaml": f"{POD}{grace}40\n"}
    write_tree(tmp_path, {"agent.toml": spec, **files})
    assert said(tmp_path / "deploy/a.yaml") == []
    assert said(tmp_path / "deploy") == ["b.yaml:8 grace-short"]


LINES = """\
apiVersion: v1
kind: Deployment
kind: ConfigMap
kind: List
spec:
  template:
    spec:
      containers:
        - name: a
          image: 'a:1'
          env: [{name: 1}, 2]
          livenessProbe: {httpGet: 3}
          resources: [x]
          command: {a: b}
---
items: [1]
services:
  a: {image: x, network_mode: 'service:b'}
  b: {network_mode: 'service:a', ports: 3}
  a: {network_mode: 'service:a', environment: [[1]]}
containerDefinitions: [{}, 1, [2]]
data: [1]
metadata: {annotations: [1]}
  replicas: -.inf
x: &a
- *a
<<: *a
{{ x }}
? [a]: b
""".splitlines()


@given(st.one_of(st.text(), st.lists(st.sampled_from(LINES)).map("\n".join)))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_is_answered(tmp_path: Path, text: str) -> None:
    file = tmp_path / "any.yaml"
    file.write_text(text, encoding="utf-8", errors="replace")
    for finding in check_named(file).findings:
        assert finding.message
        assert "Traceback" not in finding.message
