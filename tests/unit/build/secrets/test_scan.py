"""Secrets are found wherever they stand, and nothing else is. The keys are made here, at random."""

import base64
import json
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.build.secrets.scan import scan_config, scan_file
from shipway.plan.image import Process
from shipway.secret_forms import is_random

ALPHANUMERIC = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
RANDOM = random.Random(7)


def some(length, alphabet=ALPHANUMERIC):
    return "".join(RANDOM.choices(alphabet, k=length))


def token(header=None, claims=None):
    parts = [header or {"alg": "HS256", "typ": "JWT"}, claims or {"iss": "https://id.corp", "sub": "u81"}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, some(43)])


def pem(kind="RSA ", newline="\n"):
    lines = [some(64, ALPHANUMERIC + "+/") for _ in range(4)]
    return newline.join([f"-----BEGIN {kind}PRIVATE KEY-----", *lines, f"-----END {kind}PRIVATE KEY-----"])


def kinds(name, text):
    found = scan_file(name, text.encode())
    assert all(finding.rule == "secret-in-file" for finding in found)
    return [finding.message.partition("(")[2].partition(")")[0] for finding in found]


FORMS = {
    "Anthropic": ("Anthropic key", "sk-ant-" + "api03-" + some(93, ALPHANUMERIC + "-_") + "AA"),
    "OpenAI project": ("OpenAI key", "sk-" + "proj-" + some(74, ALPHANUMERIC + "-_") + "x"),
    "OpenAI old": ("key of a model API", "sk-" + some(20) + "T3BlbkFJ" + some(20)),
    "OpenRouter": ("OpenRouter key", "sk-or-" + "v1-" + some(64, HEX)),
    "Google": ("Google API key", "AI" + "za" + some(35)),
    "Groq": ("Groq key", "gs" + "k_" + some(52)),
    "Hugging Face": ("Hugging Face token", "h" + "f_" + some(34, string.ascii_letters)),
    "LangSmith": ("LangSmith key", "lsv2" + "_pt_" + some(32, HEX) + "_" + some(10, HEX)),
    "AWS": ("AWS access key", "AK" + "IA" + some(16, string.ascii_uppercase + "234567")),
    "Azure": ("Azure storage key", "Account" + "Key=" + some(86) + "=="),
    "GitHub": ("GitHub token", "gh" + "p_" + some(36)),
    "GitHub fine-grained": ("GitHub token", "github" + "_pat_" + some(22) + "_" + some(59)),
    "GitLab": ("GitLab token", "gl" + "pat-" + some(20)),
    "Slack": ("Slack token", "xo" + "xb-" + some(12, string.digits) + "-" + some(24)),
    "Stripe": ("Stripe key", "sk" + "_live_" + some(24)),
    "SendGrid": ("SendGrid key", "S" + "G." + some(22) + "." + some(43)),
    "npm": ("npm token", "np" + "m_" + some(36)),
    "PyPI": ("PyPI token", "pypi-" + "AgEIcHlwaS5vcmc" + some(150, ALPHANUMERIC + "-_") + "x"),
    "JWT": ("JSON web token", token()),
    "URL": ("password in a URL", "postgres://app:" + some(12) + "@db.corp.internal:5432/app"),
    "bearer": ("authorization header", "Bearer " + some(40)),
}


@pytest.mark.parametrize(("kind", "secret"), FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("line", ['x = "{}"\n', "- see {}\n", '{{"a": ["{}"]}}', "{}"])
def test_a_key_is_found_by_its_own_form(kind, secret, line):
    assert kinds("agent.py", line.format(secret)) == [kind]


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_a_private_key_is_found(kind):
    assert kinds("notes.md", f"the key:\n\n{pem(kind)}") == ["private key"]
    account = json.dumps({"type": "service_account", "private_key": pem(kind)})
    assert kinds("account.json", account) == ["private key"]
    code = "KEY = (\n    '" + pem(kind, newline="\\n'\n    '") + "'\n)\n"
    assert kinds("a.py", code) == ["private key"]


@pytest.mark.parametrize(
    "line",
    [
        'API_KEY = "{}"',
        'api_key: str = "{}"',
        'client(password="{}")',
        '{{"client_secret": "{}"}}',
        "os.environ['DB_PASSWORD'] = '{}'",
        'os.getenv("CRM_TOKEN", "{}")',
        "const authToken = `{}`",
        'headers = {{"X-Api-Key": "{}"}}',
    ],
)
def test_a_random_value_of_a_telling_name_is_found_in_code(line):
    value = "9fQ2" + some(20) + "x7"
    assert kinds("agent.py", line.format(value)) == ["assigned to a name for secrets"]


@pytest.mark.parametrize(
    "line", ["DB_PASSWORD={}", "export API_KEY={}", "  password: {}", "secret: {} # crm"]
)
def test_a_value_without_quotes_is_found_where_values_have_none(line):
    text = line.format("9fQ2" + some(20) + "x7")
    assert kinds("settings.yaml", text) == ["assigned to a name for secrets"]
    assert kinds("Dockerfile", f"{text}\r\nx") == ["assigned to a name for secrets"]
    assert kinds("agent.py", text) == []


HARMLESS = [
    'api_key = os.environ["ANTHROPIC_API_KEY"]',
    'password = getenv("PASSWORD", "")',
    "token = await broker.fetch_token(audience)",
    'api_key="sk-ant-api03-' + "x" * 95 + '"',
    "ANTHROPIC_API_KEY=sk-ant-your-key-here",
    "OPENAI_API_KEY=<your-openai-api-key-0123456789>",
    "password: ${DB_PASSWORD_2024_PRIMARY}",
    'password = "{{ vault.password12345678 }}"',
    'password: "changeme1234567890abc"',
    'secret = "kubernetes/support-2024/anthropic-v2"',
    'token = "access_token_v2_2024_10_22"',
    'api_key = "test-fake-key-98af7c1d2b3e"',
    'model_key = "claude-sonnet-5-20260101"',
    "AWS_ACCESS_KEY_ID=" + "AKIA" + "IOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "postgres://postgres:postgres@db/app",
    "postgres://app:S3cr3tV4lue99@localhost:5432/app",
    "https://user:password@proxy.corp:3128",
    "https://{user}:{password}@proxy.corp",
    "redis://:$REDIS_PASSWORD@cache.corp/0",
    "https://corp.internal:8443/path@v2",
    'MARKER = "-----BEGIN PRIVATE KEY-----"',
    "-----BEGIN CERTIFICATE-----\n" + "MIIB" * 20,
    "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
    "tokens = 1200000000000\nmax_tokens: 4096",
    'pad_token = "<|endoftext_00_11_22|>"',
    "sha256 = 'sk-" + "a1" * 10 + "'",
    "token_sha256 = '" + "9f86d081884c7d659a2feaa0c55ad015" + "'",
    "Authorization: Bearer $TOKEN",
    '"NextToken": "9f4d9f69-275a-41fe-b58e-2b837bd9ba48"',
    'publicKeyToken="1fc8b3b9a1e18e3b"',
    '"AWS::SecretsManager::Secret": "c85175a4ebcce361",',
    "Basic authentication is described below",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "a" * 43,
    "task-" + "ab12" * 10,
]


@pytest.mark.parametrize("text", HARMLESS)
@pytest.mark.parametrize("name", ["agent.py", "settings.yaml"])
def test_what_is_no_secret_passes(name, text):
    assert scan_file(name, text.encode()) == ()


def test_all_of_them_at_once_by_line_and_never_the_value():
    first, second = FORMS["GitHub"][1], FORMS["Anthropic"][1]
    text = f"import os\nA = '{first}'\n\nB = '{second}'; C = '{second}'\n"
    found = scan_file("support/agent.py", text.encode())
    assert [(f.file, f.line) for f in found] == [("support/agent.py", 2), ("support/agent.py", 4)]
    said = "".join(map(str, found))
    assert first[4:] not in said
    assert second[7:] not in said
    assert "[secrets]" in found[0].fix
    assert "replace it" in found[0].fix


def test_a_line_is_allowed_for_a_reason():
    secret = FORMS["Stripe"][1]
    line = f'KEY = "{secret}"  # shipway: allow-secret'
    assert scan_file("a.py", f"{line} revoked in May".encode()) == ()
    assert scan_file("a.js", f'KEY = "{secret}" // shipway: allow-secret: public in the shop'.encode()) == ()
    (found,) = scan_file("a.py", line.encode())
    assert "without a reason" in found.message
    (found,) = scan_file("a.html", f"{secret} <!-- shipway: allow-secret -->".encode())
    assert "without a reason" in found.message
    (found,) = scan_file("a.py", f"{line} revoked\nB = '{secret}'\n".encode())
    assert found.line == 2


def test_binary_files_have_none_and_utf16_is_read():
    secret = FORMS["Google"][1]
    assert scan_file("a.bin", b"\0" + secret.encode()) == ()
    assert len(scan_file("a.txt", f"key\r\n{secret}".encode("utf-16"))) == 1
    assert len(scan_file("a.txt", b"\xff\xff " + secret.encode() + b" \xe9")) == 1


@pytest.mark.slow
def test_a_long_line_is_read_to_its_end():
    secret = FORMS["GitHub"][1]
    long = "x = 1; " * 200_000
    (found,) = scan_file("bundle.js", f"a\n{long}'{secret}'; {long}".encode())
    assert found.line == 2
    many = f"'{secret}', " * 20_000
    assert len(scan_file("bundle.js", many.encode())) == 1


@given(st.binary(max_size=400))
def test_any_bytes_can_be_scanned(data):
    scan_file("a.txt", data)
    scan_file("a.txt", b"postgres://" + data + b" password=" + data + b" eyJ" + data + b".eyJ" + data)


@pytest.mark.slow
@given(st.text(alphabet=ALPHANUMERIC, min_size=24, max_size=48).filter(lambda text: len(set(text)) < 3))
def test_what_repeats_is_not_random(value):
    assert not is_random(value)


# -- The image's config ----------------------------------------------------------------------------------


def process(env=None, entrypoint=("/app/.venv/bin/python", "-m", "shipway_runtime")):
    return Process(entrypoint, "65532:65532", env or {"PATH": "/usr/bin:/bin"}, "/app", (8080,))


def test_config_without_secrets_passes():
    assert scan_config(process(), {"org.opencontainers.image.title": "support"}, '{"name":"support"}') == ()


def test_config_with_secrets_says_where():
    secret = FORMS["GitLab"][1]
    words = ("server", "--api-key", "9fQ2" + some(20) + "x7")
    found = scan_config(
        process({"GITLAB_TOKEN": secret}, ("server", f"--header=Authorization: Bearer {some(40)}1a2b")),
        {"com.corp.note": secret},
        json.dumps({"config": {"crm_password": "9fQ2" + some(20) + "x7"}}),
    )
    assert {f.rule for f in found} == {"secret-in-config"}
    said = "\n".join(map(str, found))
    for where in ("the variable GITLAB_TOKEN", "the label com.corp.note", "the entry point", "the manifest"):
        assert where in said
    assert secret not in said
    assert scan_config(process(entrypoint=words), {})
