from __future__ import annotations

import dataclasses

import pytest

from shipway_runtime.context import Context, contexts_of
from shipway_runtime.contract import Model, Secret, TenantSettings
from shipway_runtime.secrets.declared import Secrets


@pytest.fixture
def context(tmp_path):
    (tmp_path / "prompts" / "sub").mkdir(parents=True)
    (tmp_path / "prompts" / "greet.md").write_text("Greet!")
    (tmp_path / "prompts" / "sub" / "bye.txt").write_text("Bye!")
    (tmp_path / "outside.md").write_text("no")
    secrets = Secrets({"A": Secret("env"), "B": Secret("env")}, tmp_path, {"A": "hunter22"})
    return Context("c", 1, None, None, {}, {}, None, tmp_path / "prompts", secrets)


@pytest.mark.parametrize(
    ("name", "text"),
    [("greet", "Greet!"), ("greet.md", "Greet!"), ("sub/bye", "Bye!"), ("sub/bye.txt", "Bye!")],
)
def test_prompts_by_name(context, name, text):
    assert context.prompt(name) == text


@pytest.mark.parametrize("name", ["nope", "../outside", "sub"])
def test_a_missing_prompt_lists_those_there_are(context, name):
    with pytest.raises(LookupError, match=rf'no prompt "{name}" in .*; there is greet.md, sub/bye.txt'):
        context.prompt(name)


def test_secrets_by_name(context):
    assert context.secret("A") == "hunter22"
    assert "hunter22" not in repr(context)
    with pytest.raises(LookupError, match=r"B: not in the environment"):
        context.secret("B")
    with pytest.raises(LookupError, match=r"C is not declared in .secrets.; declared: A, B"):
        context.secret("C")


def test_a_tenants_settings_are_laid_over_the_environments(context):
    context = dataclasses.replace(context, model=Model("openai", "small"), config={"a": 1, "b": 2})
    own = {"acme": TenantSettings(Model("openai", "large"), {"b": 3}), "globex": TenantSettings()}
    tenants = contexts_of(context, own)
    assert (tenants["acme"].model, tenants["acme"].config) == (Model("openai", "large"), {"a": 1, "b": 3})
    assert (tenants["globex"].model, tenants["globex"].config) == (context.model, context.config)


def test_the_current_context_is_that_of_the_running_turn(start):
    running = start(
        "import asyncio\n"
        "from shipway_runtime.context import current\n"
        "try:\n    current()\nexcept LookupError as error:\n    outside = str(error)\n"
        "async def deep():\n    return current().conversation\n"
        "def blocking(messages):\n    return current().conversation\n"
        "async def agent(messages):\n"
        "    in_thread = await asyncio.to_thread(blocking, messages)\n"
        "    return f'{await asyncio.create_task(deep())} {in_thread} {outside}'\n"
    )
    text = running.ask(conversation="c7").json()["output"][0]["content"][0]["text"]
    assert text.startswith("c7 c7 no turn is running here")
