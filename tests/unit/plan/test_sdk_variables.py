"""Which variables lead SDKs to the replay, and which keys stand in."""

from __future__ import annotations

from shipway.plan.sdk_variables import BASE_URLS, KEYS, base_urls, placeholders
from shipway_runtime import contract


def test_the_first_variable_of_each_provider_is_the_one_that_the_runtime_reads() -> None:
    first: dict[str, str] = {}
    for variable, (provider, _) in BASE_URLS.items():
        first.setdefault(provider, variable)
    assert first == dict(contract.BASE_URL_VARIABLES)
    assert set(KEYS) == set(first)


def test_each_variable_has_the_path_that_its_readers_expect() -> None:
    urls = base_urls(8090)
    assert urls["ANTHROPIC_BASE_URL"] == urls["ANTHROPIC_API_URL"] == "http://127.0.0.1:8090"
    assert urls["OPENAI_BASE_URL"] == urls["OPENAI_API_BASE"] == "http://127.0.0.1:8090/v1"
    assert urls["GEMINI_API_BASE"] == f"{urls['GOOGLE_GEMINI_BASE_URL']}/v1beta"


def test_the_key_of_the_provider_is_there_and_of_others_what_is_declared() -> None:
    assert placeholders("anthropic", ()) == {"ANTHROPIC_API_KEY": "replayed"}
    assert set(placeholders("openai", ("GOOGLE_API_KEY", "CRM"))) == {"OPENAI_API_KEY", "GOOGLE_API_KEY"}
    assert placeholders("https://gateway.example.com", ()) == {}
