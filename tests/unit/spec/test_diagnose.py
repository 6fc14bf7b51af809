from __future__ import annotations

from collections.abc import Callable

import pytest

from shipway.errors import Finding

Findings = Callable[..., tuple[Finding, ...]]


def _only(found: tuple[Finding, ...]) -> Finding:
    assert len(found) == 1, [str(finding) for finding in found]
    return found[0]


@pytest.mark.parametrize(
    ("text", "line", "message", "fix"),
    [
        (
            "[model]\nprovider = 'anthropic'\nname = 'x'\nmax_token = 3\n",
            6,
            "unknown key `model.max_token`; did you mean `max_tokens`?",
            "write `max_tokens`",
        ),
        (
            "timeout = '3s'\n",
            3,
            "unknown key `timeout`; `timeout` belongs in [model], [mcp.NAME] or [api]",
            "move it to [model], [mcp.NAME] or [api]",
        ),
        (
            "[image]\nentrypoint = 'a:b'\n",
            4,
            "unknown key `image.entrypoint`; `entrypoint` belongs in the top level, above the first table",
            "move it to the top level, above the first table",
        ),
        ("[models]\n", 3, "unknown key `models`; did you mean `model`?", "write `model`"),
        (
            "[health]\nfoo = 1\n",
            4,
            "unknown key `health.foo`",
            "remove it; [health] may hold when_model_down and grace",
        ),
        (
            "[env.prod.mcp.time]\nrun = 'x'\n",
            3,
            "`mcp` is the same in every environment",
            "keep [mcp] outside of [env.prod]; an environment may change model, config, resources, api, "
            "storage, health, policy, secrets and kubernetes",
        ),
        (
            "[secrets.CRM]\ntoken_url = 'https://x.example.com'\nclient_id = 'a'\nclient_secrt = 'CRM'\n"
            "identity_token = '/x'\n",
            6,
            "unknown key `secrets.CRM.client_secrt`; did you mean `client_secret`?",
            "write `client_secret`",
        ),
    ],
)
def test_unknown_keys(findings: Findings, text: str, line: int, message: str, fix: str) -> None:
    finding = _only(findings(text))
    assert (finding.rule, finding.file, finding.line) == ("unknown-key", "agent.toml", line)
    assert (finding.message, finding.fix) == (message, fix)


@pytest.mark.parametrize(
    ("text", "line", "message", "fix"),
    [
        (
            "[image]\nsize = 300\n",
            4,
            '`image.size` is 300; expected a size such as "300MB", "512Mi" or "1Gi"',
            'for example: size = "300MB"',
        ),
        (
            "[resources]\nreplicas = '2'\n",
            4,
            '`resources.replicas` is "2"; expected a whole number of 1 or more',
            "write replicas = 2, without quotes",
        ),
        (
            "[resources]\nreplicas = 0\n",
            4,
            "`resources.replicas` is 0; expected a whole number of 1 or more",
            "for example: replicas = 1",
        ),
        (
            "[resources]\nreplicas = true\n",
            4,
            "`resources.replicas` is true; expected a whole number of 1 or more",
            "for example: replicas = 1",
        ),
        (
            "[resources]\ncpu = 1\n",
            4,
            '`resources.cpu` is 1; expected CPU in quotes, such as "100m" (a tenth of a core) or "2"',
            'for example: cpu = "100m"',
        ),
        (
            "[health]\nwhen_model_down = 'unredy'\n",
            4,
            '`health.when_model_down` is "unredy"; expected "unready" or "degraded"',
            'write when_model_down = "unready"',
        ),
        (
            "[model]\nname = 'x'\nprovider = 'antropic'\n",
            5,
            '`model.provider` is "antropic"; expected "anthropic", "openai", "gemini", '
            "or the URL of an endpoint that "
            "speaks one of them",
            'write provider = "anthropic"',
        ),
        (
            "[config]\nx = ['a', 3]\n",
            4,
            "`config.x` is a list; expected text, a number, true or false, or a list of texts or of numbers",
            'for example: greeting = "short"',
        ),
        (
            "[config]\nx = 2024-01-01\n",
            4,
            "`config.x` is a date or time; expected text, a number, true or false, "
            "or a list of texts or of numbers",
            'for example: greeting = "short"',
        ),
        (
            "[mcp.t]\nrun = 'pypi:x'\nargs = 'x'\n",
            5,
            '`mcp.t.args` is "x"; expected a list of texts: ["…"]',
            'for example: args = ["--repository", "/data/repo"]',
        ),
        (
            "[mcp.t]\nrun = 3\n",
            4,
            '`mcp.t.run` is 3; expected "pypi:…", "npm:…", "image:…", "project:module", or a '
            'command as a list: ["server", "--flag"]',
            'for example: run = "pypi:mcp-server-time==2026.10.19"',
        ),
        (
            "[mcp.t]\nrun = 'pypi:x'\noptional = 'true'\n",
            5,
            '`mcp.t.optional` is "true"; expected true or false',
            "write optional = true, without quotes",
        ),
        (
            "[mcp.My_Server]\nrun = 'pypi:x'\n",
            3,
            "`mcp.My_Server`: has capital letters and has an underscore; "
            "expected a DNS label: lower-case letters, digits and -, at most 40",
            "rename it, for example to `my-server`",
        ),
        (
            "[secrets]\n'my-key' = 'env'\n",
            4,
            "`secrets.my-key`: this name does not fit; expected the name of a "
            "secret: letters, digits and _, such as CRM_TOKEN",
            "rename it, for example to `my_key`",
        ),
        (
            "[mcp.t]\nurl = 'https://t.example.com'\nheaders = { 'X Key' = 'CRM_KEY' }\n",
            5,
            '`mcp.t.headers."X Key"`: this name does not fit; expected the name of an HTTP header: '
            "letters, digits and -, such as X-Api-Key",
            "rename it, for example to `X-Key`",
        ),
        (
            "[mcp.t]\nurl = 'https://t.example.com'\nheaders = { X-Key = 'a value' }\n",
            5,
            "`mcp.t.headers.X-Key` is no name of a secret (not shown: it may be the value); expected the "
            "name of a secret: letters, digits and _, such as CRM_TOKEN",
            'for example: headers = { X-Api-Key = "CRM_KEY" }',
        ),
        (
            "[secrets.C]\ntoken_url = 'https://x.example.com'\nclient_id = 'a'\nidentity_token = 'crm'\n",
            6,
            '`secrets.C.identity_token` is "crm"; expected an absolute path such as "/data"',
            'for example: identity_token = "/var/run/tokens/crm"',
        ),
        (
            "[secrets]\nX = 4\n",
            4,
            '`secrets.X` is 4; expected "env", "file", or a table that names a broker '
            "(token_url) or a store (kubernetes, ecs, nomad)",
            'for example: ANTHROPIC_API_KEY = "env"',
        ),
        (
            "[env.prod.secrets]\nX = { kubernetes = 3 }\n",
            4,
            "`env.prod.secrets.X.kubernetes` is 3; expected text in quotes",
            'for example: kubernetes = "support/anthropic"',
        ),
        (
            "[storage]\npath = 'data'\n",
            4,
            '`storage.path` is "data"; expected an absolute path such as "/data"',
            'write path = "/data"',
        ),
        (
            "[env.prod.health]\ngrace = 5\n",
            4,
            '`env.prod.health.grace` is 5; expected a duration such as "500ms", "60s", "5m" or "1h"',
            'for example: grace = "60s"',
        ),
        ("image = 3\n", 3, "`image` is 3; expected a table", ""),
        ("[[mcp]]\nrun = 'x'\n", 3, "`mcp` is a list; expected a table", ""),
    ],
)
def test_wrong_values(findings: Findings, text: str, line: int, message: str, fix: str) -> None:
    finding = _only(findings(text))
    assert (finding.rule, finding.line) == ("wrong-value", line)
    assert (finding.message, finding.fix) == (message, fix)


@pytest.mark.parametrize(
    ("name", "problem", "better"),
    [
        ("My_Agent", "has capital letters and has an underscore", "my-agent"),
        ("my agent", "has a space", "my-agent"),
        ("2fast", "does not begin with a letter", "fast"),
        ("agent-", "ends with -", "agent"),
        ("a" * 41, "is 41 characters long", "a" * 40),
        ("café", "has characters other than a-z, 0-9 and -", "caf"),
    ],
)
def test_what_is_wrong_with_a_name(findings: Findings, name: str, problem: str, better: str) -> None:
    finding = _only(findings(head=f'name = "{name}"\nentrypoint = "a:b"\n'))
    assert f"which {problem};" in finding.message
    assert finding.fix == f'write name = "{better}"'


def test_an_empty_name_says_so(findings: Findings) -> None:
    finding = _only(findings(head='name = ""\nentrypoint = "a:b"\n'))
    assert "which is empty and does not begin with a letter" not in finding.message
    assert "which is empty;" in finding.message


@pytest.mark.parametrize(
    ("entrypoint", "problem", "fix"),
    [
        ("src/support/agent.py", ", which names a file;", 'write entrypoint = "support.agent:agent"'),
        ("./agent.py:run", ", which names a file;", 'write entrypoint = "agent:run"'),
        ("support.agent", ", which has no `:`;", 'write entrypoint = "support.agent:agent"'),
        ("support:agent(1)", ";", 'write entrypoint = "support:agent"'),
    ],
)
def test_what_is_wrong_with_an_entry_point(
    findings: Findings, entrypoint: str, problem: str, fix: str
) -> None:
    finding = _only(findings(head=f'name = "a"\nentrypoint = "{entrypoint}"\n'))
    assert f'`entrypoint` is "{entrypoint}"{problem} expected "module:attribute"' in finding.message
    assert finding.fix == fix


def test_a_live_scorer_is_named_in_the_same_way(findings: Findings) -> None:
    finding = _only(findings('[evals]\nlive = "evals/live.py"\n'))
    assert '`evals.live` is "evals/live.py", which names a file;' in finding.message
    assert finding.fix == 'write live = "evals.live:score"'


def test_missing_keys(findings: Findings) -> None:
    name, entrypoint = findings(head="")
    assert (name.rule, name.line) == (entrypoint.rule, entrypoint.line) == ("missing-key", 0)
    assert name.message.startswith("agent.toml has no `name`, and needs it: a DNS label")
    assert entrypoint.fix == 'add, for example, entrypoint = "support.agent:agent"'
    server = _only(findings("[services.db]\nimage = 'postgres:17'\n"))
    assert (server.line, server.fix) == (3, 'add, for example, env_url = "CATALOG_URL"')
    step = _only(findings("[rollout]\nsteps = [{ weight = 5 },\n{ hold = '1h' }]\n"))
    assert (step.line, step.message[:35]) == (5, "`rollout.steps[1]` has no `weight`,")


SECRET = "sk-ant-api03-abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (f"[secrets]\nKEY = '{SECRET}'\n", "secret-value"),
        ("[secrets]\nKEY = 'hunter2'\n", "secret-value"),
        ("[env.prod.secrets]\nKEY = 'hunter2'\n", "secret-value"),
        (f"[api]\nkeys = '{SECRET}'\n", "wrong-value"),
        (f"[mcp.t]\nrun = 'pypi:x'\nsecrets = ['{SECRET}']\n", "wrong-value"),
        (f"[storage]\nurl = '{SECRET}'\n", "wrong-value"),
        (f"[resources]\nreplicas = '{SECRET}'\n", "wrong-value"),
    ],
)
def test_what_may_be_a_secret_is_never_printed(findings: Findings, text: str, rule: str) -> None:
    found = findings(text)
    assert found[0].rule == rule
    printed = "\n".join(map(str, found))
    assert SECRET not in printed
    assert "hunter2" not in printed
