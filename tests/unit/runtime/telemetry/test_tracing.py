"""OpenTelemetry: whole runtimes, and a collector that decodes what they send."""

from __future__ import annotations

import json

import pytest
from tests.otlp_collector import Collector, attributes

from shipway_runtime.config import read
from shipway_runtime.telemetry import names, tracing

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, ABOVE = bytes.fromhex(PARENT[3:35]), bytes.fromhex(PARENT[36:52])
AGENT = """
import logging
from opentelemetry import trace
from shipway_runtime.dialogue import ToolCall, ToolResult, Usage

async def agent(messages, ctx):
    with trace.get_tracer("theirs").start_as_current_span("chat claude-x"):
        logging.getLogger("theirs").info("inside")
    if messages[-1]["content"] == "canary-fail":
        raise LookupError("canary")
    yield Usage(100, 20, cached=60)
    yield ToolCall("call-1", "find", '{"canary": 1}')
    yield ToolResult("call-1", "canary")
    yield ToolCall("call-2", "send", "{}")
    yield ToolResult("call-2", "canary", error=True)
    yield "canary"
    here = trace.get_current_span().get_span_context()
    assert ctx.trace["traceparent"].split("-")[2] == trace.format_span_id(here.span_id)
"""
PLAIN = """
import sys
async def agent(messages, ctx):
    return " ".join(sorted(name for name in sys.modules if name.startswith("opentelemetry"))) or "none"
"""
SETTINGS = {
    "api": {"auth": "none"},
    "model": {"provider": "gemini", "name": "gemini-x"},
    "health": {"when_model_down": "degraded"},
}


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.close()


def env_of(collector, **more: str) -> dict[str, str]:
    found = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    return found | {"SHIPWAY_ENV": "prod", "SHIPWAY_REVISION": "r-7", **more}


def ask(running, text="canary-hi", **headers):
    body = {"input": text, "conversation": "c-1"}
    return running.api.post("/v1/responses", json=body, headers=headers)


def by_name(collector) -> dict:
    return {span.name: span for span in collector.spans()}


def text(running) -> str:
    return running.ask().json()["output"][0]["content"][0]["text"]


def test_a_turn_is_a_span_with_all_that_happened_below_it(start, collector):
    running = start(AGENT, settings=SETTINGS, env=env_of(collector))
    ask(running, traceparent=PARENT, tracestate="a=b")
    running.wait_for(lambda: len(collector.spans()) == 4, "spans")
    spans = by_name(collector)
    turn = spans["invoke_agent test"]
    assert (turn.trace_id, turn.parent_span_id, turn.trace_state) == (TRACE, ABOVE, "a=b")
    assert attributes(turn) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "test",
        "gen_ai.agent.version": "r-7",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "gemini-x",
        "gen_ai.conversation.id": "c-1",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.reasoning.output_tokens": 0,
        "shipway.revision": "r-7",
        "shipway.turn": 1,
        "shipway.status": "ok",
    }
    for name in ("chat claude-x", "execute_tool find", "execute_tool send"):
        assert (spans[name].trace_id, spans[name].parent_span_id) == (TRACE, turn.span_id)
    found, sent = spans["execute_tool find"], spans["execute_tool send"]
    assert attributes(found) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "find",
        "gen_ai.tool.call.id": "call-1",
        "gen_ai.tool.type": "function",
    }
    assert attributes(sent)["error.type"] == "tool_error"
    assert turn.start_time_unix_nano <= found.start_time_unix_nano <= found.end_time_unix_nano
    assert sent.end_time_unix_nano <= turn.end_time_unix_nano
    assert "OpenTelemetry: traces to otlp, metrics to otlp" in running.log()
    wanted = {"service.name": "test", "service.version": "r-7", "deployment.environment.name": "prod"}
    wanted |= {"shipway.revision": "r-7"}
    assert wanted.items() <= collector.resource().items()


def test_log_lines_name_the_innermost_span(start, collector):
    running = start(AGENT, settings=SETTINGS, env=env_of(collector))
    ask(running)
    running.wait_for(lambda: len(collector.spans()) == 4, "spans")
    spans = by_name(collector)
    lines = [json.loads(line) for line in running.log().splitlines() if line.startswith("{")]
    (inside,) = [line for line in lines if line["message"] == "inside"]
    (over,) = [line for line in lines if line["logger"] == "shipway.turn"]
    turn = spans["invoke_agent test"]
    assert inside["trace_id"] == over["trace_id"] == turn.trace_id.hex()
    assert inside["span_id"] == spans["chat claude-x"].span_id.hex()
    assert over["span_id"] == turn.span_id.hex()
    assert not turn.parent_span_id


def test_a_failure_is_named_and_nothing_that_was_said_is_recorded(start, collector):
    running = start(AGENT, settings=SETTINGS, env=env_of(collector))
    ask(running, "canary-fail")
    ask(running)
    running.terminate()
    assert running.exit_code() == 0, "what is left is sent"
    failed = next(s for s in collector.spans() if attributes(s).get("error.type") == "LookupError")
    assert (failed.name, failed.status.code) == ("invoke_agent test", 2)
    assert attributes(failed)["shipway.status"] == "error"
    assert collector.raw
    assert b"canary" not in b"".join(collector.raw)


def test_durations_and_tokens_are_measured(start, collector):
    running = start(AGENT, settings=SETTINGS, env=env_of(collector))
    ask(running)
    ask(running, "canary-fail")
    running.terminate()
    assert running.exit_code() == 0
    metrics = collector.metrics()
    points = metrics["gen_ai.invoke_agent.duration"].histogram.data_points
    about = {"gen_ai.agent.name": "test", "gen_ai.request.model": "gemini-x"}
    about |= {"gen_ai.provider.name": "gcp.gemini"}
    assert sorted(map(attributes, points), key=len) == [about, about | {"error.type": "LookupError"}]
    assert [point.count for point in points] == [1, 1]
    tools = metrics["gen_ai.execute_tool.duration"].histogram.data_points
    assert {attributes(point)["gen_ai.tool.name"] for point in tools} == {"find", "send"}
    (tokens,) = metrics["gen_ai.client.inference.usage.input_tokens"].sum.data_points
    assert tokens.as_int == 100
    assert attributes(tokens)["gen_ai.operation.name"] == "chat"


def test_a_provider_of_the_agents_own_is_used_as_it_is(start, collector):
    source = f"""
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter("{collector.url}/v1/traces")))
trace.set_tracer_provider(provider)

async def agent(messages, ctx): return "hi"
"""
    nobody = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    running = start(source, env=nobody)
    running.ask()
    running.wait_for(collector.spans, "span")
    assert by_name(collector)["invoke_agent test"]
    assert collector.resource()["service.name"].startswith("unknown_service")
    running.terminate()
    assert running.exit_code() == 0
    assert "OpenTelemetry: the agent's own TracerProvider" in running.log()
    assert "127.0.0.1', port=9" not in running.log(), "nothing was added to it"


def test_without_it_nothing_is_imported(start):
    assert text(start(PLAIN)) == "none"


@pytest.mark.parametrize(
    "variables",
    [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}],
)
def test_it_can_be_switched_off(start, variables):
    running = start(PLAIN, env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"} | variables)
    assert text(running) == "none"


def test_where_it_is_not_installed_the_log_says_what_to_add(start, tmp_path):
    (tmp_path / "opentelemetry.py").write_text(
        'raise ModuleNotFoundError("No module named \'opentelemetry\'", name="opentelemetry")'
    )
    running = start(
        PLAIN, env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "PYTHONPATH": str(tmp_path)}
    )
    assert text(running) == "none"
    assert (
        "OTEL_EXPORTER_OTLP_ENDPOINT asks for OpenTelemetry, and opentelemetry is not installed: no spans. "
        "Add opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http"
    ) in running.log()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            'OTEL_EXPORTER_OTLP_PROTOCOL is "http/json"; expected',
        ),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "add opentelemetry-exporter-otlp-proto-grpc to the project",
        ),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, 'OTEL_TRACES_EXPORTER: no exporter "zipkin" here'),
    ],
)
def test_what_cannot_be_done_is_said_and_the_agent_runs(variables, said, tmp_path, caplog):
    (tmp_path / "shipway.json").write_text('{"name": "a", "entrypoint": "a:a"}')
    deployment = read({"SHIPWAY_MANIFEST": str(tmp_path / "shipway.json")})
    end = tracing.start(deployment, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"} | variables)
    end()
    assert said in caplog.text
    assert "no spans" in caplog.text
    assert tracing.ids() == {}


def test_a_collector_that_hangs_holds_nobody_up(start):
    collector = Collector(hangs=True)
    try:
        running = start(PLAIN, env=env_of(collector, SHIPWAY_ENV="development"))
        running.ask()
        running.wait_for(lambda: collector.requests, "spans")
        assert running.ask().status_code == 200
        running.terminate()
        assert running.exit_code() == 0
        assert "the last spans and metrics did not leave within 3 s" in running.log()
    finally:
        collector.close()


def test_with_its_api_alone_a_request_is_passed_on(start):
    source = """
from opentelemetry import propagate

async def agent(messages, ctx):
    carrier = {}
    propagate.inject(carrier)
    return carrier.get("traceparent", "none")
"""
    running = start(source)
    assert text(running) == "none"
    answer = running.api.post("/v1/responses", json={"input": "hi"}, headers={"traceparent": PARENT})
    assert answer.json()["output"][0]["content"][0]["text"] == PARENT


@pytest.mark.parametrize(
    ("environ", "exporters"),
    [
        ({}, {}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "x"}, {"TRACES": ["otlp"], "METRICS": ["otlp"]}),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "x"}, {"TRACES": ["otlp"]}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_METRICS_EXPORTER": "none"}, {"TRACES": ["otlp"]}),
        ({"OTEL_TRACES_EXPORTER": "console, otlp"}, {"TRACES": ["console", "otlp"]}),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "TRUE"}, {}),
    ],
)
def test_the_standard_variables_say_what_is_wanted(environ, exporters):
    assert tracing.wanted(environ) == exporters


def test_attributes_are_those_of_the_conventions():
    from opentelemetry.semconv._incubating.attributes import deployment_attributes, gen_ai_attributes
    from opentelemetry.semconv.attributes import error_attributes, service_attributes

    modules = (deployment_attributes, gen_ai_attributes, error_attributes, service_attributes)
    known = {value for module in modules for value in vars(module).values() if isinstance(value, str)}
    new = {names.MODALITY}  # newer than the package
    ours = {value for value in vars(names).values() if isinstance(value, str) and "." in value}
    ours = {value for value in ours if value[:1].islower() and not value.startswith("shipway")}
    assert len(ours) > 15
    assert ours - known == new
