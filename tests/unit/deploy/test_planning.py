"""What a directory deploys, before any engine is asked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from shipway.deploy import planning
from shipway.errors import SpecError
from shipway_runtime import contract

SPEC = 'name = "support"\nentrypoint = "support:agent"\n[env.prod.api]\nauth = "none"\n'
RELEASE = contract.Release(
    shipway="1",
    name="support",
    source=contract.Source(None, dirty=False),
    images={"agent": "support@sha256:a", "mcp-git": "support-mcp-git@sha256:b"},
    prompts=None,
    tools=None,
    id="0123456789ab",
)


def write(directory: Path, spec: str = SPEC) -> Path:
    (directory / ".shipway").mkdir(exist_ok=True)
    (directory / "agent.toml").write_text(spec)
    (directory / ".shipway/release.json").write_text(contract.encode(RELEASE))
    return directory


def refusal(directory: Path, environment: str = "prod") -> str:
    with pytest.raises(SpecError) as refused:
        planning.read(directory, environment, None)
    return str(refused.value)


def test_images_are_those_of_the_release_and_of_others(tmp_path: Path) -> None:
    servers = '[mcp.git]\nshape = "sidecar"\nrun = "pypi:g"\n'
    servers += '[mcp.crm]\nshape = "service"\nrun = "image:r.example.com/crm:1"\n'
    subject = planning.read(write(tmp_path, SPEC + servers), "prod", None)
    assert subject.references == {
        "agent": "support@sha256:a",
        "mcp-git": "support-mcp-git@sha256:b",
        "mcp-crm": "r.example.com/crm:1",
    }
    assert subject.draft().revision.id.startswith("0123456789ab-")


def test_an_agent_that_anybody_could_call_is_not_deployed(tmp_path: Path) -> None:
    said = refusal(write(tmp_path, SPEC.replace('auth = "none"', "")))
    assert "nothing says who may call the agent in prod, and it would not start" in said
    assert 'write auth = "keys" or "jwt" in [api], or "none"' in said


def test_development_is_never_deployed(tmp_path: Path) -> None:
    assert "development is not deployed: its model is replayed" in refusal(write(tmp_path), "development")


def test_without_a_release_it_is_said_how_to_make_one(tmp_path: Path) -> None:
    (write(tmp_path) / ".shipway/release.json").unlink()
    assert "run `shipway build`," in refusal(tmp_path)


def test_a_release_from_before_a_sidecar_is_stale(tmp_path: Path) -> None:
    said = refusal(write(tmp_path, SPEC + '[mcp.new]\nshape = "sidecar"\nrun = "pypi:n"\n'))
    assert "has no image mcp-new: agent.toml has changed since it was built" in said


def test_what_one_machine_cannot_have_is_refused_at_once(tmp_path: Path) -> None:
    own = '[mcp.own]\nshape = "sidecar"\nrun = ["/usr/bin/own"]\n'
    broker = '[secrets]\nCRM = { token_url = "https://x", client_id = "a", identity_token = "/t" }\n'
    said = refusal(write(tmp_path, SPEC + own + broker))
    assert "own is a command of your own" in said
    assert "CRM wants an identity token of a platform" in said


def test_names_that_no_resolver_takes_are_refused(tmp_path: Path) -> None:
    long = "a" * 40
    servers = f'[mcp.{long}]\nshape = "service"\nrun = "image:r.example.com/crm:1"\n'
    subject = planning.read(write(tmp_path, SPEC + servers), "prod", None)
    with pytest.raises(SpecError, match="names of hosts have 63 at most"):
        subject.draft()


def test_one_agent_runs_whatever_is_asked(tmp_path: Path) -> None:
    spec = SPEC + "[resources]\nreplicas = 3\n"
    assert planning.remarks(planning.read(write(tmp_path, spec), "prod", None)) == [
        "one agent runs there, not 3: replicas are for other targets"
    ]


def test_a_release_of_other_prompts_is_said_unless_it_was_named(tmp_path: Path) -> None:
    write(tmp_path, SPEC.replace("[env", 'prompts = "prompts"\n[env', 1))
    (tmp_path / "support.py").write_text("async def agent(messages, ctx):\n    return 'x'\n")
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/system.md").write_text("Be brief.\n")
    said = "the prompts here are not those of release 0123456789ab: `shipway build` takes them in"
    assert planning.remarks(planning.read(tmp_path, "prod", None)) == [said]
    named = tmp_path / ".shipway/release.json"
    assert planning.remarks(planning.read(tmp_path, "prod", named)) == []


def test_two_revisions_with_one_sqlite_file_are_remarked(tmp_path: Path) -> None:
    spec = (
        SPEC
        + '[storage]\npath = "/data"\n[rollout]\nsteps = [{ weight = 5, hold = "1h" }, { weight = 100 }]\n'
    )
    (said,) = planning.remarks(planning.read(write(tmp_path, spec), "prod", None))
    assert said.startswith(
        "while a rollout goes on, two revisions share /data, with the conversations in SQLite"
    )


def test_storage_that_the_image_does_not_have_is_said(tmp_path: Path) -> None:
    subject = planning.read(write(tmp_path, SPEC + '[storage]\npath = "/data"\n'), "prod", None)
    assert planning.remarks(subject) == []  # what it was built with is not known
    for built, said in ((None, 1), ("/data", 0), ("/other", 1)):
        storage = contract.Storage(built) if built else None
        settings = dataclasses.replace(subject.stack.config.settings, storage=storage)
        contents = contract.Contents("support:agent", settings)
        release = dataclasses.replace(RELEASE, contents=contents)
        found = planning.remarks(dataclasses.replace(subject, release=release))
        assert sum("0123456789ab was built without [storage] /data" in line for line in found) == said
