from __future__ import annotations

from collections.abc import Callable

import pytest

from shipway.errors import Finding

Findings = Callable[..., tuple[Finding, ...]]
MODEL = '[model]\nprovider = "anthropic"\nname = "a"\n'


@pytest.mark.parametrize(
    "text",
    [
        '[image]\nbase = "minimal"\nsize = "300MB"\npackages = ["git"]\nplatforms = ["linux/arm64"]\n',
        '[image]\nrepository = "registry.example.com/x"\ngroups = ["a"]\nextras = ["b"]\n',
        '[image]\ninclude = ["data/**"]\nmirror = "https://deb.example.com/debian"\n',
        MODEL + 'fallbacks = ["b"]\n',
        "[env.prod.resources]\nreplicas = 2\n",
        '[policy]\nrequests = "1/s"\n',
        '[api]\nauth = "none"\n',
        '[api]\nauth = "keys"\nkeys = "K"\n[secrets]\nK = "file"\n',
        '[api]\nauth = "jwt"\njwks = "https://x/jwks"\naudience = "a"\ntenant_claim = "org"\n',
        '[env.prod.secrets]\nX = { ecs = "arn" }\n[env.prod.kubernetes]\nnamespace = "x"\n',
        '[mcp.t]\nshape = "service"\nrun = "pypi:t"\n[mcp.u]\nshape = "sidecar"\nrun = "image:u"\n',
        '[evals]\nsuite = "evals/*.jsonl"\nscorer = "evals.score:score"\njudge = "m"\nrequired = 0.9\n',
        '[evals]\ncommand = "promptfoo eval"\n',
        '[evals]\nlive = "evals.live:score"\nsample = 0.2\n',
        '[notify]\nwebhook = "HOOK"\n[secrets]\nHOOK = "env"\n',
        "[config]\nx = 1\n[tenants.acme.config]\nx = 2\n",
    ],
)
def test_what_is_right_is_not_refused(findings: Findings, text: str) -> None:
    assert findings(text) == ()
