from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipway.errors import Finding, SpecError
from shipway.spec import keys
from shipway.spec.load import load

Findings = Callable[..., tuple[Finding, ...]]
Write = Callable[..., Path]

ENVIRONMENTS = """\
[model]
provider = "anthropic"
name = "claude-sonnet-5"
max_tokens = 100

[secrets]
KEY = "env"

[storage]

[config]
greeting = "short"
tone = "kind"

[env.prod.model]
max_tokens = 200
[env.prod.config]
greeting = "long"
[env.prod.secrets]
TOKEN = "file"
[env.prod.resources]
memory = "1Gi"
[env.empty]
"""


def test_two_lines_are_enough(write: Write) -> None:
    loaded = load(write())
    assert loaded.spec.name == "support"
    assert loaded.spec.api.auth is None
    assert (loaded.env, loaded.tenants) == (None, {})


def test_an_environment_is_laid_over_the_file_key_by_key(write: Write) -> None:
    path = write(ENVIRONMENTS)
    base, prod = load(path).spec, load(path, "prod").spec
    assert base.model is not None
    assert prod.model is not None
    assert (base.model.max_tokens, prod.model.max_tokens) == (100, 200)
    assert prod.model.name == "claude-sonnet-5"
    assert prod.config == {"greeting": "long", "tone": "kind"}
    assert prod.secrets == {"KEY": "env", "TOKEN": "file"}
    assert prod.resources.memory == 2**30
    assert load(path, "development").spec == base
    assert load(path, "empty").spec == base


def test_provenance_names_the_line_of_each_value(write: Write) -> None:
    loaded = load(write(ENVIRONMENTS), "prod", {"config.tone": "4", "resources.cpu": "2"})
    assert loaded.provenance["model.name"] == "agent.toml:5"
    assert loaded.provenance["model.max_tokens"] == "env.prod, agent.toml:18"
    assert loaded.provenance["model.timeout"] == "default"
    assert loaded.provenance["secrets.TOKEN"] == "env.prod, agent.toml:22"
    assert loaded.provenance["storage.size"] == "default"
    assert loaded.provenance["config.tone"] == loaded.provenance["resources.cpu"] == "command line"
    assert loaded.spec.config["tone"] == "4", "text where the file has text"
    assert loaded.spec.resources.cpu == 2000


def test_values_of_the_command_line_are_typed(write: Write) -> None:
    overrides = {"model.max_tokens": "300", "health.grace": "5m", "config.on": "true"}
    spec = load(write(ENVIRONMENTS.replace('tone = "kind"', "on = false")), None, overrides).spec
    assert spec.model is not None
    assert (spec.model.max_tokens, spec.health.grace, spec.config["on"]) == (300, 300.0, True)


@pytest.mark.parametrize(
    ("key", "value", "rule", "fix"),
    [
        ("image.base", "x", "unknown-key", "as in model.max_tokens=4096"),
        ("model.max_token", "1", "unknown-key", "write model.max_tokens=…"),
        ("model", "1", "unknown-key", "as in model.max_tokens=4096"),
        ("model.max_tokens", "many", "wrong-value", "max_tokens = 2048"),
    ],
)
def test_wrong_values_of_the_command_line(
    findings: Findings, key: str, value: str, rule: str, fix: str
) -> None:
    (finding,) = findings(ENVIRONMENTS, overrides={key: value})
    assert (finding.rule, finding.file, finding.line) == (rule, "command line", 0)
    assert fix in finding.fix


def test_an_unknown_environment_lists_those_there_are(findings: Findings) -> None:
    (finding,) = findings(ENVIRONMENTS, env="prd")
    assert finding.rule == "unknown-env"
    assert finding.message == "no environment `prd`; there is: prod, empty, development"
    assert finding.fix == "use `prod`"


def test_every_environment_is_validated_although_nobody_asks(findings: Findings) -> None:
    (finding,) = findings("[env.prod.model]\nmax_tokens = 1\n[env.qa.resources]\nreplicas = 1\n")[:1]
    assert (finding.rule, finding.line) == ("missing-key", 3)
    assert finding.message.startswith("[env.prod.model] has no `provider`")


def test_rules_across_keys_look_at_every_environment(findings: Findings) -> None:
    found = findings('[storage]\n[env.prod.resources]\nreplicas = 3\n[env.prod.api]\nkeys = "KEYS"\n')
    assert [(f.rule, f.line) for f in found] == [
        ("replicas-sqlite", 5),
        ("undeclared-secret", 7),
    ]
    assert "`env.prod.api.keys`" in found[-1].message


def test_a_mistake_in_the_file_is_told_once(findings: Findings) -> None:
    found = findings(ENVIRONMENTS.replace("max_tokens = 100", 'max_tokens = "x"') + "[tenants.a.model]\n")
    assert [f.rule for f in found] == ["wrong-value"]


def test_all_findings_at_once(findings: Findings) -> None:
    found = findings(
        'colour = "red"\n[model]\nprovider = "anthropic"\n[mcp.time]\nrun = "npx time"\n'
        '[mcp.git]\nrun = "pypi:git"\ntimeout = 3\nauth = "NONE"\n[policy]\nrequests = "0/min"\n'
    )
    assert [f.rule for f in found] == [
        "unknown-key",
        "missing-key",
        "mcp-launcher",
        "wrong-value",
        "undeclared-secret",
        "mcp-source",
        "policy-limit",
    ]
    assert [f.line for f in found] == [3, 4, 7, 10, 11, 11, 13]


def test_no_rule_blames_what_follows_from_a_finding(findings: Findings) -> None:
    """A secret with a wrong source is declared; a server with a wrong `run` has one; [storage] is there."""
    found = findings(
        '[secrets]\nKEY = "enviroment"\n[api]\nkeys = "KEY"\n[mcp.time]\nrun = 3\n'
        '[mcp.git]\nrun = "pypi:git"\nstorage = true\n[storage]\nsize = 3\n'
    )
    assert [(f.rule, f.line) for f in found] == [("secret-value", 4), ("wrong-value", 8), ("wrong-value", 13)]


def test_tenants_are_merged_over_the_environment(write: Write) -> None:
    text = '[tenants.acme.model]\nname = "claude-opus-5"\n[tenants.acme.config]\ntone = "dry"\n'
    loaded = load(write(ENVIRONMENTS + text + '[tenants."7f-A@b.c"]\n'), "prod")
    acme = loaded.tenants["acme"]
    assert acme.model is not None
    assert (acme.model.name, acme.model.max_tokens) == ("claude-opus-5", 200)
    assert acme.config == {"greeting": "long", "tone": "dry"}
    assert loaded.provenance["tenants.acme.model.name"] == "tenants.acme, agent.toml:27"
    assert loaded.provenance["tenants.acme.model.max_tokens"] == "env.prod, agent.toml:18"
    assert loaded.provenance["tenants.acme.config.tone"] == "tenants.acme, agent.toml:29"
    assert "tenants.acme.config.greeting" not in loaded.provenance, "it is the environment's"
    assert not [name for name in loaded.provenance if "7f" in name]


def test_every_tenant_is_validated(findings: Findings) -> None:
    found = findings(ENVIRONMENTS + "[tenants.acme.config]\ntone = 3\n[tenants.b.model]\nfallbacks = 1\n")
    assert [(f.rule, f.line) for f in found] == [
        ("config-default", 27),
        ("wrong-value", 29),
    ]


def test_the_error_carries_the_findings_and_prints_them(write: Write) -> None:
    with pytest.raises(SpecError) as refused:
        load(write("colour = 1\n"))
    assert refused.value.exit_code == 2
    assert str(refused.value).startswith("agent.toml:3: unknown key `colour`")


# -- Whatever is written -----------------------------------------------------------------------------------

VALUES = [
    "1",
    "-1",
    "0.5",
    "true",
    '""',
    '"env"',
    '"x y"',
    "[]",
    '["a", 1]',
    "{}",
    "{ a = { b = 1 } }",
    "[{ a = 1 }]",
]
PATTERNS = [pattern for pattern in keys.known() if pattern[-1] != "*"] + [("secrets", "K"), ("config", "k")]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(st.sampled_from(PATTERNS), st.sampled_from(VALUES), max_size=4),
    st.sampled_from(["a", "A b"]),
)
def test_anything_else_is_a_finding_with_a_line(
    findings: Findings, values: dict[keys.Pattern, str], name: str
) -> None:
    """Any value at any key loads or is refused by findings; each names a line or what the file lacks."""
    keys_written = (".".join(json.dumps(name) if part == "*" else part for part in p) for p in values)
    lines = [f"{key} = {value}" for key, value in zip(keys_written, values.values(), strict=True)]
    try:
        tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError:
        return  # a key below another's value, or a list of tables
    for finding in findings("\n".join(lines), head=""):
        assert finding.rule in ("syntax", "missing-key") or finding.line > 0
        assert finding.message
