"""Where a policy comes from, and what keeps it when its source fails."""

from __future__ import annotations

import asyncio
import json
import os
import time

import pytest
from tests.loops import on_a_loop

from shipway_runtime import contract
from shipway_runtime.contract import Kill, Limits, Policy, Restricted, Restriction, encode
from shipway_runtime.errors import StartError
from shipway_runtime.policy import keeping, remote
from shipway_runtime.policy.rules import PolicyError
from shipway_runtime.policy.standing import Standing
from shipway_runtime.secrets.declared import Secrets


def stand(deployment, **environ: str) -> Standing:
    return Standing.open(deployment, Secrets({}, deployment.places.secrets, environ), environ)


def look(standing: Standing) -> Standing:
    standing.look(standing._file)
    return standing


LIMITED = {"settings": {"limits": {"requests": [60, 60]}}}


def test_the_first_source_that_there_is(deploy, tmp_path):
    deployment = deploy(**LIMITED)
    assert stand(deployment).base.source == "agent.toml"
    assert stand(deployment).effective.bounds.requests == ((60, 60),)
    variable = {"SHIPWAY_POLICY_JSON": '{"limits": {"requests": [5, 60]}}'}
    assert stand(deployment, **variable).effective.bounds.requests == ((5, 60),)
    (tmp_path / "policy.json").write_text('{"kill": {"all": true}}')
    standing = stand(deployment, **variable)
    assert standing.base.source == "file"
    assert standing.effective.kill.all
    assert standing.effective.bounds.requests == ()  # a policy is whole: nothing is added to it
    assert stand(deployment, SHIPWAY_CONTROL_URL="http://127.0.0.1:1", **variable).effective is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "policy.json"),
        ('{"kil": {}}', "kil: not a key of this format"),
        ('{"format": 99}', "format"),
        ('{"model": "gpt"}', r"model: 'gpt' is not among the declared fallbacks \(model.fallbacks\): none"),
        ('{"limits": {"requests": [0, 60]}}', "limits.requests: expected an amount that lets something"),
        ('{"limits": {"spend_usd": [NaN, 60]}}', "limits.spend_usd: expected an amount"),
        ('{"limits": {"tokens": [5, 0]}}', "limits.tokens: expected a period of 1 s to 366 days, saw 0"),
        ('{"limits": {"tokens": [' + "9" * 400 + ", 60]}}", "limits.tokens: expected an amount .* saw 999"),
        (
            '{"limits": {"spend_usd": [' + "9" * 400 + ", 60]}}",
            "limits.spend_usd.0.: expected a smaller number",
        ),
        ("[" * 100_000, "policy.json"),
        ('{"tenants": {"a": {"concurrency": 0}}}', "tenants.a.concurrency: expected at least 1, saw 0"),
        ('{"limits": {"spend_usd": [5, 60]}}', r"declares no \[model\]"),
    ],
)
def test_what_cannot_be_enforced_keeps_the_process_from_starting(deploy, tmp_path, text, message):
    (tmp_path / "policy.json").write_text(text)
    with pytest.raises(StartError, match=message):
        stand(deploy())


def test_spend_without_a_price(deploy):
    model = {"provider": "openai", "name": "big", "fallbacks": ["small"]}
    model["prices"] = {"big": {"input": 1, "output": 2}}
    deployment = deploy(settings={"model": model, "limits": {"spend_usd": [5, 86400]}})
    with pytest.raises(StartError, match=r"small has no price.*\[model.prices.small\]"):
        stand(deployment)


def test_a_file_that_is_named_has_to_be_there_outside_development(deploy, tmp_path):
    path = str(tmp_path / "policy.json")
    deployment = deploy({"SHIPWAY_ENV": "prod"})
    with pytest.raises(StartError, match="no policy there, and SHIPWAY_POLICY says so"):
        stand(deployment, SHIPWAY_POLICY=path)
    assert stand(deployment).base.source == "agent.toml"


def test_a_file_that_appears_changes_and_goes(deploy, tmp_path, caplog):
    caplog.set_level("INFO")
    path = tmp_path / "policy.json"
    standing = look(stand(deploy(**LIMITED)))
    assert standing.problem is None
    path.write_text('{"kill": {"all": true}}')
    assert look(standing).effective.kill.all
    path.write_text('{"kill": {"all"')  # half of it
    assert look(standing).effective.kill.all
    assert "the last good policy stands" in caplog.text
    assert standing.failures == {"file": 1}
    path.write_text('{"kill": {"all": false, "tools": ["git_reset"]}}')
    assert look(standing).effective.kill == Kill(tools=("git_reset",))
    assert "kill.all true -> false; kill.tools +git_reset" in caplog.text
    path.unlink()
    assert look(standing).effective.kill == Kill(tools=("git_reset",))
    assert "is gone" in standing.problem
    path.write_text('{"kill": {"tools": ["git_reset"]}}')
    assert look(standing).problem is None


def test_a_swap_as_kubernetes_makes_it(deploy, tmp_path):
    for version, text in (("one", "{}"), ("two", '{"kill": {"all": true}}')):
        (tmp_path / version).mkdir()
        (tmp_path / version / "policy.json").write_text(text)
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "policy.json").symlink_to("..data/policy.json")
    standing = stand(deploy())
    assert not look(standing).effective.kill.all
    (tmp_path / "..new").symlink_to("two")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert look(standing).effective.kill.all


def test_a_second_write_with_the_same_time_stamp(deploy, tmp_path):
    path = tmp_path / "policy.json"
    path.write_text('{"kill": {"tools": ["a"]}}')
    before = path.stat()
    standing = look(stand(deploy()))
    path.write_text('{"kill": {"tools": ["b"]}}')
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert look(standing).effective.kill.tools == ("b",)


# -- Restrictions --------------------------------------------------------------------------------------------


def restricted(policy: Policy, for_s: float = 60.0, since: float | None = None) -> Restricted:
    return Restricted(Restriction(policy, for_s, "ann", "INC-7"), since or time.time(), "127.0.0.1")


def test_a_restriction_is_logged_kept_and_lifted(deploy, caplog):
    deployment = deploy(**LIMITED)
    standing = stand(deployment)
    assert standing.restrict(restricted(Policy(kill=Kill(tools=("t",)), limits=Limits(requests=(5, 60)))))
    assert standing.effective.bounds.requests == ((5, 60),)
    assert standing.kill().rule("t") == "tools"
    (line,) = (record for record in caplog.records if record.name == "shipway.policy")
    assert (line.by, line.peer, line.reason, line.source) == ("ann", "127.0.0.1", "INC-7", "admin")
    assert "kill.tools +t; limits.requests none -> 5/min" in line.getMessage()
    again = stand(deployment)
    assert again.effective.kill.tools == ("t",)
    assert again.lift(by="ann", reason="", peer="127.0.0.1")
    assert again.kill().rule("t") is None
    assert stand(deployment).restricted is None


@on_a_loop
async def test_a_restriction_ends_by_itself(deploy):
    deployment = deploy()
    standing = stand(deployment)
    standing.restrict(restricted(Policy(kill=Kill(all=True)), for_s=0.05))
    keeping_on = asyncio.create_task(standing.keep())
    async with asyncio.timeout(10):
        while standing.restricted:
            await asyncio.sleep(0.01)
    assert not standing.effective.kill.all
    keeping_on.cancel()
    assert stand(deployment).restricted is None


def test_one_of_an_earlier_release(deploy, caplog):
    kept = keeping.find(deploy())
    kept.keep_restriction(restricted(Policy(kill=Kill(tools=("t",)), model="gone")))
    assert stand(deploy()).effective.kill.tools == ("t",)
    assert "not all of it can hold here: the restriction: model: 'gone' is not among" in caplog.text


def test_one_that_ended_while_nothing_ran(deploy):
    deployment = deploy()
    keeping.find(deployment).keep_restriction(restricted(Policy(kill=Kill(all=True)), since=time.time() - 61))
    assert not stand(deployment).effective.kill.all
    assert keeping.find(deployment).restriction() is None


def test_one_that_cannot_be_read_says_what_to_do(deploy, tmp_path):
    (tmp_path / "data" / "shipway-policy").mkdir(parents=True)
    (tmp_path / "data" / "shipway-policy" / "restriction.json").write_text("{")
    with pytest.raises(StartError, match=r"what it restricts is not known: restore .* or remove it"):
        stand(deploy())


@pytest.mark.parametrize(
    ("kill", "message"),
    [
        (Kill(servers=("gti",)), "no MCP server 'gti' here; there is git"),
        (Kill(tools=("gti/reset",)), "names no MCP server of this agent; there is git"),
    ],
)
def test_a_restriction_of_a_server_that_is_not_here_is_a_typing_error(deploy, tmp_path, kill, message):
    deployment = deploy(mcp=[{"name": "git", "shape": "inside", "command": ["x"]}])
    standing = stand(deployment)
    with pytest.raises(PolicyError, match=message):
        standing.restrict(restricted(Policy(kill=kill)))
    assert standing.restricted is None
    (tmp_path / "policy.json").write_text(encode(Policy(kill=kill)))  # may be one for a whole fleet
    assert look(standing).base.policy.kill == kill


def test_without_storage_it_is_kept_where_this_user_alone_writes(deploy, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    deployment = deploy({"SHIPWAY_STORAGE": ""})
    kept = keeping.find(deployment)
    assert kept.directory.parent == tmp_path
    assert kept.keep_restriction(restricted(Policy()))
    assert kept.directory.stat().st_mode & 0o777 == 0o700
    kept.directory.chmod(0o777)
    with pytest.raises(StartError, match="expected a directory that this user alone can write to"):
        keeping.find(deployment)


def test_what_cannot_be_kept_still_holds(deploy, tmp_path, caplog):
    (tmp_path / "data").write_text("a file, where a directory should be")
    standing = stand(deploy())
    assert not standing.restrict(restricted(Policy(kill=Kill(all=True))))
    assert standing.effective.kill.all
    assert "will be forgotten at a restart" in caplog.text


# -- Control -------------------------------------------------------------------------------------------------


async def until(condition) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
def quickly(monkeypatch):
    monkeypatch.setattr(remote, "EVERY_S", 0.05)
    monkeypatch.setattr(remote, "LONGEST_PAUSE_S", 0.1)


async def following(deployment, control, **environ: str):
    standing = stand(deployment, SHIPWAY_CONTROL_URL=control.url, **environ)
    return standing, asyncio.create_task(standing.keep())


@on_a_loop
async def test_control_is_asked_with_a_name_a_token_and_what_is_known(deploy, control, quickly):
    standing, task = await following(deploy(), control, SHIPWAY_CONTROL_TOKEN="ct")
    assert await standing.probe() == "control has not answered yet"
    await until(lambda: len(control.asked) >= 2)
    query, headers, _ = control.asked[0]
    assert query == {"name": ["test"], "environment": ["development"]}
    assert headers["authorization"] == "Bearer ct"
    assert [status for _, _, status in control.asked][:2] == [200, 304]
    assert await standing.probe() is None
    control.policy = {"kill": {"all": True}}
    await until(lambda: standing.effective.kill.all)
    task.cancel()


@on_a_loop
async def test_control_that_fails_leaves_the_last_good_one(deploy, control, quickly):
    control.policy = {"kill": {"tools": ["t"]}}
    standing, task = await following(deploy(), control)
    await until(lambda: standing.effective)
    for policy, status in (({}, 500), ({"kil": 1}, 200), ({"model": "unknown"}, 200)):
        control.policy, control.policy_status = policy, status
        failures = standing.failures["control"]
        await until(lambda failures=failures: standing.failures["control"] > failures)
        assert standing.effective.kill.tools == ("t",)
        assert standing.problem
    task.cancel()
    # A restart while control is away: what was known last stands.
    control.close()
    again, task = await following(deploy(), control)
    await until(lambda: again.failures)
    assert again.effective.kill.tools == ("t",)
    assert await again.probe() is None
    task.cancel()


@on_a_loop
async def test_nothing_is_known_of_a_control_that_never_answered(deploy, control, quickly):
    control.policy_status = 404
    standing, task = await following(deploy(), control)
    await until(lambda: standing.failures)
    assert standing.effective is None
    assert "expected 200 or 304, saw 404" in await standing.probe()
    control.policy_status = 200
    await until(lambda: standing.effective)
    task.cancel()


@on_a_loop
async def test_while_nobody_has_put_a_policy_there_the_own_one_holds(deploy, control, quickly, tmp_path):
    control.has_policy = False
    file = tmp_path / "policy.json"
    standing, task = await following(deploy(**LIMITED), control)
    assert standing.effective is None  # until control has said that there is none
    await until(lambda: standing.etag)
    assert (standing.base.source, standing.etag) == ("agent.toml", contract.NO_POLICY)
    assert standing.effective.bounds.requests == ((60, 60),)
    assert standing.watched
    file.write_text('{"kill": {"tools": ["t"]}}')
    task.cancel()

    again, task = await following(deploy(**LIMITED), control)
    await until(lambda: again.base and again.base.source == "file")
    file.write_text('{"kill": {"tools": ["u"]}}')
    await until(lambda: again.effective.kill.tools == ("u",))
    control.policy, control.has_policy = {"kill": {"tools": ["v"]}}, True
    await until(lambda: again.base.source == "control")
    file.write_text('{"kill": {"tools": ["w"]}}')
    asked = len(control.asked)
    await until(lambda: len(control.asked) > asked + 5)
    assert again.effective.kill.tools == ("v",)
    task.cancel()


@on_a_loop
async def test_that_there_is_none_is_known_after_a_restart_without_control(deploy, control, quickly):
    control.has_policy = False
    standing, task = await following(deploy(**LIMITED), control)
    await until(lambda: standing.effective)
    task.cancel()
    control.close()
    again = stand(deploy(**LIMITED), SHIPWAY_CONTROL_URL=control.url)
    assert again.effective.bounds.requests == ((60, 60),)


@on_a_loop
async def test_an_own_policy_that_cannot_be_enforced_is_none(deploy, control, quickly, tmp_path):
    control.has_policy = False
    (tmp_path / "policy.json").write_text('{"model": "unknown"}')
    standing, task = await following(deploy(), control)
    await until(lambda: standing.problem)
    assert standing.effective is None
    (tmp_path / "policy.json").write_text("{}")
    await until(lambda: standing.effective)
    task.cancel()


def test_control_s_address_is_a_url(deploy):
    with pytest.raises(StartError, match=r'expected a URL such as .*, saw "control:8443"'):
        stand(deploy(), SHIPWAY_CONTROL_URL="control:8443")


def test_another_agent_s_last_good_policy_is_not_ours(deploy):
    kept = keeping.find(deploy())
    kept.keep_last_good(keeping.LastGood(Policy(), "http://other (other, prod)", None, 1.0))
    assert stand(deploy(), SHIPWAY_CONTROL_URL="http://127.0.0.1:1").effective is None
    assert json.loads((kept.directory / "control.json").read_text())["source"].startswith("http://other")
