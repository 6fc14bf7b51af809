from __future__ import annotations

from collections.abc import Callable

import pytest

from shipway.errors import Finding

Findings = Callable[..., tuple[Finding, ...]]
SECRETS = '[secrets]\nDATABASE_URL = "env"\nCRM_TOKEN = "file"\n'  # lines 3 to 5
MODEL = '[model]\nprovider = "anthropic"\nname = "claude-sonnet-5"\n'
SERVICE = SECRETS + '[mcp.t]\nurl = "https://t.example.com"\n'  # lines 3 to 7
CRM = '{ token_url = "https://x.example.com", client_id = "a", client_secret = "KEY" }'
BROKER = f'[secrets]\nKEY = "env"\nCRM = {CRM}\n'  # lines 3 to 5

JWT = '[api]\nauth = "jwt"\njwks = "https://x/jwks"\naudience = "a"\ntenant_claim = "org"\n'

WRONG = [
    # text, rule, line, part of the message, part of the fix
    (
        SECRETS + '[api]\nauth = "none"\nkeys = "CRM_TOKN"\n',
        "undeclared-secret",
        8,
        "`api.keys` names the secret `CRM_TOKN`, which [secrets] does not declare; did you mean `CRM_TOKEN`?",
        "write `CRM_TOKEN`",
    ),
    (
        '[mcp.t]\nurl = "https://t.example.com"\nauth = "OTHER"\n',
        "undeclared-secret",
        5,
        "`mcp.t.auth` names the secret `OTHER`",
        'add OTHER = "env" to [secrets]',
    ),
    (
        '[mcp.t]\nrun = "pypi:t"\nsecrets = ["A", "B"]\n[secrets]\nA = "env"\n',
        "undeclared-secret",
        5,
        "`mcp.t.secrets[1]` names the secret `B`",
        'add B = "env"',
    ),
    ('[image]\nbase = "https://r.example.com/x"\n', "image-base", 4, "expected `minimal`", "without https"),
    (
        '[image]\nbase = "python:3.13-slim"\npackages = ["git"]\n',
        "base-packages",
        5,
        "`image.packages` is for the base `minimal`, and `image.base` is `python:3.13-slim`",
        "remove `packages`",
    ),
    ('[notify]\nwebhook = "HOOK"\n', "undeclared-secret", 4, "`notify.webhook`", 'add HOOK = "env"'),
    (
        '[storage]\nurl = { secret = "DB" }\n',
        "undeclared-secret",
        4,
        "`storage.url.secret`",
        'add DB = "env"',
    ),
    (
        '[secrets]\nC = { token_url = "https://x.example.com", client_id = "a", client_secret = "S" }\n',
        "undeclared-secret",
        4,
        "`secrets.C.client_secret` names the secret `S`",
        'add S = "env"',
    ),
    (
        '[secrets]\nC = { token_url = "https://x.example.com", client_id = "a" }\n',
        "secret-source",
        4,
        "asks a broker without client_secret or identity_token",
        "add client_secret",
    ),
    ("[secrets]\nC = {}\n", "secret-source", 4, "`secrets.C` is an empty table", 'write "env" or "file"'),
    (
        '[mcp.t]\nrun = "pypi:t"\nenv = { KEY = "ghp_abcdefghijklmnopqrstuvwx" }\n',
        "secret-value",
        5,
        "`mcp.t.env.KEY` holds what looks like a credential (not shown)",
        "declare a secret in [secrets]",
    ),
    (
        '[env.prod.config]\ndb = "postgres://u:pass@db.example.com/x"\n[config]\ndb = ""\n',
        "secret-value",
        4,
        "`env.prod.config.db` holds what looks like a credential",
        "replace a value that was committed",
    ),
    (
        '[secrets]\nU = { token_url = "https://a/t", client_id = "a", identity_token = "/t" }\n'
        '[services.db]\nimage = "postgres:17"\nenv_url = "U"\n',
        "variable-collision",
        7,
        "`services.db.env_url` sets U, which a secret from a broker sets too",
        "another name",
    ),
    (
        '[services.a]\nimage = "x"\nenv_url = "U"\n[services.b]\nimage = "x"\nenv_url = "U"\n',
        "variable-collision",
        8,
        "which [services.a] sets too",
        "another name",
    ),
    (
        '[services.a]\nimage = "x"\nenv_url = "SHIPWAY_ENV"\n',
        "variable-collision",
        5,
        "which shipway itself sets",
        "another name",
    ),
    ('[secrets]\nSHIPWAY_MODEL = "env"\n', "variable-collision", 4, "a setting of shipway's own", "rename"),
    (
        SECRETS + '[mcp.t]\nrun = "pypi:t"\nsecrets = ["CRM_TOKEN"]\nenv = { CRM_TOKEN = "x" }\n',
        "variable-collision",
        9,
        "`mcp.t.env.CRM_TOKEN` is set in `env`, and is one of",
        "remove one of the two",
    ),
    (
        MODEL + 'fallbacks = ["claude-haiku-5", "claude-sonnet-5"]\n',
        "model-fallbacks",
        6,
        "`model.fallbacks[1]`, claude-sonnet-5, is the model itself",
        "remove it",
    ),
    (MODEL + 'fallbacks = ["b", "b"]\n', "model-fallbacks", 6, "is twice the same", "remove it"),
    ('[api]\nauth = "keys"\n', "api-auth", 4, '`api.auth` is "keys", and no secret holds them', "API_KEYS"),
    (
        JWT.replace('jwks = "https://x/jwks"\n', ""),
        "api-auth",
        4,
        '`api.auth` is "jwt", and no key set is named',
        "add jwks =",
    ),
    (JWT.replace('audience = "a"\n', ""), "api-auth", 4, "made for another service would be taken", "aud"),
    (JWT.replace('tenant_claim = "org"\n', ""), "api-auth", 4, "and no claim names the tenant", '"sub"'),
    (
        '[api]\nauth = "none"\n[tenants.acme.config]\n',
        "tenants-unnamed",
        5,
        '[tenants.acme] is never used: `api.auth` is "none", and no proxy',
        "add trusted_proxies",
    ),
    (
        '[api]\nauth = "none"\ntrusted_proxies = ["0.0.0.0/0"]\n',
        "wrong-value",
        5,
        '"0.0.0.0/0" would be everybody',
        "",
    ),
    (
        '[tenants."a b"]\n',
        "wrong-value",
        3,
        "expected the name of a tenant: letters, digits and . _ - @ | : +, at most 128",
        "rename it, for example to `a_b`",
    ),
    (
        "[storage]\n[resources]\nreplicas = 2\n",
        "replicas-sqlite",
        5,
        "`resources.replicas` is 2, and conversations are in SQLite",
        "remove [storage], or write replicas = 1",
    ),
    (
        '[image]\ninclude = ["data/**", "../other"]\n',
        "outside-project",
        4,
        '`image.include[1]` is "../other"; expected a path below',
        "relative path",
    ),
    ('prompts = "/etc"\n', "outside-project", 3, '`prompts` is "/etc"', "relative path"),
    ('prompts = "."\n', "outside-project", 3, '`prompts` is "."', "relative path"),
    (
        f'[config]\nsystem = "{"x" * 401}"\n',
        "prompt-in-config",
        4,
        "`config.system` is 401 characters long and looks like a prompt",
        "prompts/system.md",
    ),
    (
        '[config]\nsystem = "You are\\nkind"\n',
        "prompt-in-config",
        4,
        "has several lines",
        'ctx.prompt("system")',
    ),
    (
        '[config]\ntone = "a"\n[env.prod.config]\ntune = "b"\n',
        "config-default",
        6,
        "`env.prod.config.tune` has no default in [config]",
        "write `tone`",
    ),
    (
        '[config]\ntone = "a"\n[env.prod.config]\ntone = 3\n',
        "config-default",
        6,
        "`env.prod.config.tone` is a number, and its default in [config] is text",
        "write text",
    ),
    (
        '[policy]\ntokens = "0/day"\n',
        "policy-limit",
        4,
        "`policy.tokens` is 0, which refuses everyone",
        "remove",
    ),
    (
        '[policy]\nspend = "20USD/day"\n',
        "policy-price",
        4,
        "`policy.spend` limits what the model costs, and there is no [model]",
        "policy.requests",
    ),
    (
        MODEL + 'fallbacks = ["gpt-4.1"]\n[model.prices.claude-sonnet-5]\ninput = 3\noutput = 15\n'
        '[policy]\nspend = "20USD/day"\n',
        "policy-price",
        11,
        "`policy.spend` limits what the model costs, and gpt-4.1 has no price",
        'add [model.prices."gpt-4.1"] with input and output',
    ),
    (
        "[rollout]\nsteps = [{ weight = 50, hold = '1h' }, { weight = 20, hold = '1h' }, { weight = 100 }]\n",
        "rollout-steps",
        4,
        "the weights of `rollout.steps` do not rise: 50, 20 and 100",
        "rising weights",
    ),
    (
        '[rollout]\nsteps = [{ weight = 50, hold = "1h" }]\n',
        "rollout-steps",
        4,
        "does not end at 100: 50",
        "weight = 100",
    ),
    (
        "[rollout]\nsteps = [{ weight = 100 }]\ngates = { errors = {} }\n",
        "rollout-steps",
        5,
        "`rollout.gates.errors` compares users of both revisions, and the first step has nobody on stable",
        "begin with fewer",
    ),
    (
        "[evals]\n[rollout]\nsteps = [{ weight = 5 }, { weight = 100 }]\ngates = { evals = {} }\n",
        "rollout-steps",
        5,
        "`rollout.steps[0]` waits for nothing: it has no `hold`, and no gate decides",
        'write { weight = 5, hold = "1h" }',
    ),
    (
        "[rollout]\nsteps = [{ weight = 100 }]\ngates = { evals = {} }\n",
        "gate-unscored",
        5,
        "`rollout.gates.evals` compares answers to a suite, and there is no [evals]",
        "add [evals] suite",
    ),
    ("[rollout]\nsteps = []\n", "rollout-steps", 4, "does not end at 100: empty", "weight = 100"),
    (
        "[env.development.resources]\nreplicas = 1\n",
        "reserved-env",
        3,
        "[env.development] is what the file says",
        "move its keys out",
    ),
    # [mcp.NAME]
    (
        '[mcp.t]\ntimeout = "3s"\n',
        "mcp-source",
        3,
        "[mcp.t] has neither `run` nor `url`",
        'add run = "pypi:…"',
    ),
    (
        '[mcp.t]\nrun = "pypi:t"\nurl = "https://t.example.com"\n',
        "mcp-source",
        5,
        "[mcp.t] is inside and has both `run` and `url`",
        "remove `url`",
    ),
    (
        '[mcp.t]\nshape = "sidecar"\nurl = "https://t.example.com"\n',
        "mcp-source",
        4,
        "[mcp.t] has a `url`, and others run it; its shape cannot be sidecar",
        "remove `shape`",
    ),
    (
        '[mcp.t]\nrun = "mcp-server-time"\n',
        "mcp-run",
        4,
        '`mcp.t.run` is "mcp-server-time"; expected pypi:, npm:, image: or project: and a name',
        'run = "pypi:mcp-server-time"',
    ),
    ('[mcp.t]\nrun = "pipy:t"\n', "mcp-run", 4, '`mcp.t.run` is "pipy:t"', 'write run = "pypi:…"'),
    ('[mcp.t]\nrun = "pypi:"\n', "mcp-run", 4, '`mcp.t.run` is "pypi:"', 'write run = "pypi:…"'),
    (
        '[mcp.t]\nrun = "python -m server"\n',
        "mcp-run",
        4,
        '"python -m server"',
        'run = ["python", "-m", "server"]',
    ),
    (
        '[mcp.t]\nrun = ["npx", "-y", "@scope/server", "/data"]\n',
        "mcp-launcher",
        4,
        "`mcp.t.run` starts npx, which downloads the server at every start",
        'write run = "npm:@scope/server"',
    ),
    (
        '[mcp.t]\nrun = "uvx mcp-server-git --x"\n',
        "mcp-launcher",
        4,
        "starts uvx",
        'run = "pypi:mcp-server-git"',
    ),
    ('[mcp.t]\nrun = ["npm", "exec", "server"]\n', "mcp-launcher", 4, "starts npm", 'run = "npm:server"'),
    (
        '[mcp.t]\nrun = ["/usr/bin/npx"]\nargs = ["-y", "server"]\n',
        "mcp-launcher",
        4,
        "npx",
        'run = "npm:server"',
    ),
    (
        '[mcp.t]\nrun = "image:registry.example.com/t:1"\n',
        "mcp-image",
        4,
        "an image cannot run inside the agent's container",
        'write shape = "sidecar"',
    ),
    (
        '[mcp.t]\nrun = ["docker", "run", "-i", "t"]\n',
        "mcp-image",
        4,
        "starts a container over stdio",
        'write run = "image:…" and shape = "sidecar"',
    ),
    (
        '[mcp.t]\nrun = "pypi:t"\nresources = { cpu = "1" }\n',
        "mcp-inside",
        5,
        "[mcp.t] runs inside the agent's container, which cannot limit the CPU of one process",
        'write shape = "sidecar", or remove `cpu`',
    ),
    (
        '[mcp.t]\nrun = "pypi:t"\nresources = { memory = "16Mi" }\n',
        "mcp-memory",
        5,
        '`mcp.t.resources.memory` is "16Mi", and Python needs 32Mi to start an MCP server',
        'write memory = "128Mi"',
    ),
    (
        '[mcp.t]\nshape = "sidecar"\nrun = "npm:t"\nresources = { memory = "50MB" }\n',
        "mcp-memory",
        6,
        "Node needs 64Mi to start an MCP server",
        'write memory = "192Mi"',
    ),
    (
        '[mcp.t]\nurl = "https://t.example.com"\nresources = { memory = "1Gi" }\n',
        "mcp-source",
        5,
        "others run [mcp.t], so `resources` would have no effect",
        "remove `resources`",
    ),
    (
        '[mcp.t]\nrun = "pypi:t"\npackages = ["git"]\n',
        "mcp-inside",
        5,
        "cannot have packages of its own",
        'write shape = "sidecar", or use [image] packages',
    ),
    (
        '[mcp.t]\nurl = "https://t.example.com"\nargs = ["x"]\n',
        "mcp-source",
        5,
        "others run [mcp.t], so `args` would have no effect",
        "remove `args`",
    ),
    (
        SECRETS + '[mcp.t]\nrun = "pypi:t"\nauth = "CRM_TOKEN"\n',
        "mcp-source",
        8,
        "[mcp.t] is inside and asks for no credentials; `auth` has no effect",
        "remove `auth`; what the server itself needs is named in `secrets`",
    ),
    (
        SECRETS + '[mcp.t]\nshape = "sidecar"\nrun = "pypi:t"\nheaders = { X = "CRM_TOKEN" }\n',
        "mcp-source",
        9,
        "[mcp.t] is sidecar and asks for no credentials; `headers` has no effect",
        "remove `headers`",
    ),
    (
        '[mcp.t]\nurl = "https://t.example.com"\nheaders = { X-Api-Key = "OTHER" }\n',
        "undeclared-secret",
        5,
        "`mcp.t.headers.X-Api-Key` names the secret `OTHER`",
        'add OTHER = "env" to [secrets]',
    ),
    (
        SERVICE + 'auth = "CRM_TOKEN"\nheaders = { Authorization = "CRM_TOKEN" }\n',
        "mcp-header",
        9,
        "`mcp.t.headers.Authorization` sets a header that `auth` sets already",
        "remove it",
    ),
    *(
        (
            SERVICE + f'headers = {{ {header} = "CRM_TOKEN" }}\n',
            "mcp-header",
            8,
            f"`mcp.t.headers.{header}` sets a header that the relay sets itself",
            "another name",
        )
        for header in (
            "Host",
            "content-length",
            "Mcp-Session-Id",
            "MCP-Protocol-Version",
            "Proxy-Authorization",
        )
    ),
    (
        SERVICE + 'headers = { X-Key = "CRM_TOKEN", x-key = "CRM_TOKEN" }\n',
        "mcp-header",
        8,
        "`mcp.t.headers.x-key` sets a header that is there in other capitals already",
        "remove it",
    ),
    (
        BROKER + '[mcp.t]\nrun = "pypi:t"\nsecrets = ["CRM"]\n',
        "broker-token",
        8,
        "`mcp.t.secrets[0]` names `CRM`, a token from a broker, and would keep it past its end",
        "name a secret from the environment or a file",
    ),
    (
        BROKER + 'TWO = { token_url = "https://x.example.com", client_id = "a", client_secret = "CRM" }\n',
        "broker-token",
        6,
        "`secrets.TWO.client_secret` names `CRM`, a token from a broker",
        "name a secret from the environment or a file",
    ),
    (
        '[secrets]\nC = { token_url = "https://x.example.com", client_id = "a", client_secret = "C" }\n',
        "broker-token",
        4,
        "`secrets.C.client_secret` names `C`, a token from a broker",
        "name a secret from the environment or a file",
    ),
    ('[mcp.t]\nrun = "pypi:t"\nstorage = true\n', "mcp-storage", 5, "there is no [storage]", "add [storage]"),
]

RIGHT = [
    SECRETS + '[mcp.t]\nurl = "https://t.example.com"\nauth = "CRM_TOKEN"\n',
    SERVICE + 'headers = { X-Api-Key = "CRM_TOKEN", Authorization = "DATABASE_URL" }\n',
    BROKER + '[mcp.t]\nurl = "https://t.example.com"\nauth = "CRM"\nheaders = { X-Token = "CRM" }\n',
    '[mcp.t]\nrun = ["python", "-m", "server"]\n',
    '[mcp.t]\nrun = "project:support.tools"\n[mcp.u]\nshape = "sidecar"\nrun = "pypi:u"\n',
    '[mcp.t]\nrun = "pypi:t"\nstorage = true\n[storage]\n',
    '[mcp.t]\nrun = "pypi:t"\nmessage_limit = "1MB"\n[mcp.t.resources]\nmemory = "128Mi"\n',
    '[mcp.t]\nshape = "sidecar"\nrun = "pypi:t"\nresources = { cpu = "50m", memory = "128Mi" }\n',
    '[mcp.t]\nurl = "https://t.example.com"\nmessage_limit = "64MB"\n',
    '[config]\ngreeting = "short"\nnumber = 1\n[env.prod.config]\nnumber = 2.5\n',
    f'[config]\nlong = "{"x" * 400}"\n',
    'prompts = "./prompts/"\n[image]\ninclude = ["data/**"]\n',
    '[services.db]\nimage = "postgres:17"\nenv_url = "DATABASE_URL"\n',
    SECRETS + '[services.db]\nimage = "postgres:17"\nenv_url = "DATABASE_URL"\n'
    '[storage]\nurl = { secret = "DATABASE_URL" }\n',
    '[api]\nauth = "none"\n',
    JWT + '[tenants."7f.A@b"]\n',
    '[api]\nauth = "none"\ntrusted_proxies = ["10.0.0.0/8"]\n[tenants.acme]\n',
    '[api]\nauth = "none"\n[tenants.acme]\n' + JWT.replace("[api]", "[env.prod.api]"),
    "[tenants.acme.config]\n",
    "[resources]\nreplicas = 1\n[storage]\n",
]


@pytest.mark.parametrize(("text", "rule", "line", "message", "fix"), WRONG)
def test_what_is_refused(findings: Findings, text: str, rule: str, line: int, message: str, fix: str) -> None:
    found = findings(text)
    assert [(f.rule, f.line) for f in found] == [(rule, line)], [str(f) for f in found]
    assert message in found[0].message
    assert fix in found[0].fix


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_accepted(findings: Findings, text: str) -> None:
    assert findings(text) == ()


def test_a_value_in_place_of_a_secrets_name_is_not_printed(findings: Findings) -> None:
    value = "a8f7e6d5c4b3a2918273645"
    (finding,) = findings(f'[mcp.t]\nurl = "https://t.example.com"\nauth = "{value}"\n')
    assert finding.rule == "undeclared-secret"
    assert value not in str(finding)
