from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.kubernetes import SMALL, container, objects, pod, stack

from shipway.errors import SpecError
from shipway.render.emit import Rendered
from shipway.render.kubernetes import render
from shipway.render.kubernetes.secrets import GOOGLE, IDENTITIES
from shipway_runtime.secrets.identity import VARIABLES


@pytest.fixture
def rendered(tmp_path: Path) -> Rendered:
    return render(stack(tmp_path))


def variables(rendered: Rendered, name: str, pod_name: str = "support") -> dict[str, Any]:
    found = container(rendered, name, pod_name)["env"]
    assert len({one["name"] for one in found}) == len(found)
    return {one["name"]: one.get("value") or one["valueFrom"]["secretKeyRef"] for one in found}


def volume(rendered: Rendered, name: str) -> list[Any]:
    (found,) = [volume for volume in pod(rendered)["volumes"] if volume["name"] == name]
    sources: list[Any] = found["projected"]["sources"]
    return sources


def test_a_secret_of_the_environment_is_a_reference_that_has_to_be_there(rendered: Rendered) -> None:
    found = variables(rendered, "agent")
    assert found["OPENAI_API_KEY"] == {"name": "shared", "key": "openai"}
    assert found["DATABASE_URL"] == {"name": "support-secrets", "key": "DATABASE_URL"}


def test_the_url_of_a_database_is_one_too(rendered: Rendered) -> None:
    assert variables(rendered, "agent")["REDIS_URL"] == {"name": "support-secrets", "key": "REDIS_URL"}


def test_the_admin_token_alone_may_be_missing(rendered: Rendered) -> None:
    (admin, *others) = volume(rendered, "secrets")
    name = "SHIPWAY_ADMIN_TOKEN"
    source = {"name": "support-secrets", "items": [{"key": name, "path": name}], "optional": True}
    assert admin == {"secret": source}
    everything = [one for one in objects(rendered) if one["kind"] == "Deployment"]
    assert str(everything).count("'optional'") == 1
    assert str(others).count("'optional'") == 0


def test_a_file_is_mounted_with_its_directory_and_rotates(rendered: Rendered) -> None:
    mounts = {mount["name"]: mount for mount in container(rendered, "agent")["volumeMounts"]}
    assert mounts["secrets"] == {"name": "secrets", "mountPath": "/run/secrets", "readOnly": True}
    assert not any("subPath" in mount for mount in mounts.values())
    files = [source["secret"] for source in volume(rendered, "secrets") if "secret" in source]
    assert {"name": "support-secrets", "items": [{"key": "GITHUB_TOKEN", "path": "GITHUB_TOKEN"}]} in files
    assert "GITHUB_TOKEN" not in variables(rendered, "agent")


def test_an_identity_is_a_path_to_a_token_for_its_provider(rendered: Rendered) -> None:
    path = "identity/ANTHROPIC_IDENTITY_TOKEN_FILE"
    assert variables(rendered, "agent")["ANTHROPIC_IDENTITY_TOKEN_FILE"] == f"/run/secrets/{path}"
    token = {"audience": "https://api.anthropic.com", "expirationSeconds": 600, "path": path}
    assert {"serviceAccountToken": token} in volume(rendered, "secrets")


def test_googles_document_is_a_file_out_of_a_secret(rendered: Rendered) -> None:
    path = f"identity/{GOOGLE}"
    assert variables(rendered, "agent")[GOOGLE] == f"/run/secrets/{path}"
    source = {"name": "support-secrets", "items": [{"key": GOOGLE, "path": path}]}
    assert {"secret": source} in volume(rendered, "secrets")


def test_every_identity_that_the_runtime_knows_is_known_here() -> None:
    assert {*IDENTITIES, GOOGLE} == VARIABLES


def test_a_brokers_token_is_where_agent_toml_says(rendered: Rendered) -> None:
    crm = {
        "audience": "https://login.example.com:8443/token",
        "expirationSeconds": 3600,
        "path": "tokens/crm",
    }
    assert {"serviceAccountToken": crm} in volume(rendered, "secrets")
    mounts = {mount["mountPath"]: mount["name"] for mount in container(rendered, "agent")["volumeMounts"]}
    (erp,) = volume(rendered, mounts["/var/tokens/erp"])
    assert erp["serviceAccountToken"]["path"] == "token"


def test_nothing_is_mounted_below_a_volume_that_is_read_only(rendered: Rendered) -> None:
    places = [Path(mount["mountPath"]) for mount in container(rendered, "agent")["volumeMounts"]]
    assert not [(a, b) for a in places for b in places if a in b.parents]
    assert not [place for place in places if str(place).startswith("/var/run")]


def test_a_server_finds_its_secrets_in_its_environment_and_no_others(rendered: Rendered) -> None:
    beside, apart = variables(rendered, "mcp-git"), variables(rendered, "mcp-crm", "support-mcp-crm")
    assert beside.pop("SHIPWAY_REVISION") == apart.pop("SHIPWAY_REVISION")  # the relay's: it keeps it
    assert beside == {"GITHUB_TOKEN": {"name": "support-secrets", "key": "GITHUB_TOKEN"}}
    assert apart == {"OPENAI_API_KEY": {"name": "shared", "key": "openai"}}


def test_a_small_agent_waits_for_what_it_shows_to_control_alone(tmp_path: Path) -> None:
    rendered = render(stack(tmp_path, SMALL))
    assert [one["name"] for one in pod(rendered)["volumes"]] == ["etc", "secrets", "tmp-agent"]
    waits = [one["secret"] for one in volume(rendered, "secrets") if not one["secret"].get("optional")]
    token = {"key": "SHIPWAY_CONTROL_TOKEN", "path": "SHIPWAY_CONTROL_TOKEN"}
    assert waits == [{"name": "support-control", "items": [token]}]


@pytest.mark.parametrize("place", ["Shared/key", "a/b/c", "/key", "a/"])
def test_what_can_be_no_secret_is_refused(tmp_path: Path, place: str) -> None:
    text = SMALL + f'[secrets]\nKEY = "env"\n[env.prod.secrets]\nKEY = {{ kubernetes = "{place}" }}\n'
    with pytest.raises(SpecError, match="the secret `KEY` is kept in") as caught:
        render(stack(tmp_path, text))
    assert 'kubernetes = "SECRET/KEY"' in str(caught.value)


def test_a_secret_without_a_key_has_that_of_its_name(tmp_path: Path) -> None:
    text = SMALL + '[secrets]\nKEY = "env"\n[env.prod.secrets]\nKEY = { kubernetes = "shared" }\n'
    found = variables(render(stack(tmp_path, text)), "agent")
    assert found["KEY"] == {"name": "shared", "key": "KEY"}


@pytest.mark.parametrize("path", ["/token", "/tmp/token", "/etc/shipway/token"])
def test_a_token_needs_a_directory_of_its_own(tmp_path: Path, path: str) -> None:
    broker = f'{{ token_url = "https://x.example.com", client_id = "a", identity_token = "{path}" }}'
    with pytest.raises(SpecError, match="a token is mounted with its directory, and others need that"):
        render(stack(tmp_path, SMALL + f"[secrets]\nCRM = {broker}\n"))
