// Conversations that failed: which, how, and what was said where storing it was allowed.

import { h } from "./dom.js";
import { empty, heading, mark } from "./marks.js";
import { get } from "./session.js";
import { count, dollars, latency, percent, time } from "./words.js";

export const conversations = { label: "Conversations", load, show };

const AT_ONCE = 50;
const older = new Map(); // place -> conversations below those that are always loaded

const idOf = ({ name, environment, item }) => `${name} ${environment} ${item ?? ""}`;
const ask = ({ name, environment, item }, before) => get("/v1/conversations", { name, environment, revision: item, limit: AT_ONCE, before });

async function load(place) {
  return { place, found: await ask(place) };
}

function show({ place, found }, { redraw }) {
  const seen = new Set(found.map(({ id }) => id));
  const all = [...found, ...(older.get(idOf(place)) ?? []).filter(({ id }) => !seen.has(id))];
  const title = heading("Failed conversations", place.item && h("p", {}, "of revision ", h("code", {}, place.item)));
  if (!all.length) return [title, empty("No conversation has failed.", "Those with a turn that ended in an error, or had a live score below 50 %, are listed here. Their text is shown where the caller let it be stored and the agent has ", h("code", {}, "[evals] live"), ".")];
  return [title, all.map((each) => one(each)), found.length >= AT_ONCE && h("button", { onclick: async () => {
    const more = await ask(place, all.at(-1).id);
    older.set(idOf(place), [...(older.get(idOf(place)) ?? []), ...more]);
    redraw();
  } }, "Show older")];
}

function one(each) {
  const failed = each.turns.filter(({ status }) => status === "error");
  const poor = each.turns.filter(({ score }) => score !== null && score < POOR);
  const turns = count(each.turns.length, "turn");
  const why = failed.length ? `${failed.length} of ${turns} failed` : `${poor.length} of ${turns} scored below ${percent(POOR)}`;
  const error = failed.map(({ text }) => text?.error).find(Boolean);
  return h("details", { key: each.id, class: "case" },
    h("summary", {}, h("span", { class: "brief" },
      h("span", {}, time((failed.at(-1) ?? poor.at(-1))?.finished ?? each.first_seen)),
      mark(failed.length ? "bad" : "warn", why),
      h("code", {}, each.conversation),
      h("span", { class: "quiet" }, each.tenant ? `tenant ${each.tenant}, ` : null, each.revision, error ? `, ${error}` : null))),
    each.turns.map((turn) => h("div", { key: turn.turn, class: "turn" }, figuresOf(turn), said(turn.text))));
}

const POOR = 0.5; // as control lists them
const STATUS = { ok: "good", error: "bad", denied: "warn", cancelled: "off" };

function figuresOf(turn) {
  return h("p", {}, h("b", {}, `Turn ${turn.turn}`), " ", mark(STATUS[turn.status] ?? "open", turn.status), " ",
    h("span", { class: "quiet" }, time(turn.started), `, ${latency(turn.latency_s)}, ${dollars(turn.cost)}`, turn.score === null ? null : `, live score ${percent(turn.score)}`, turn.tool_errors ? `, ${turn.tool_errors} of ${count(turn.tool_calls, "tool call")} failed` : null));
}

function said(text) {
  if (!text) return h("p", { class: "quiet" }, "Its text was not stored.");
  return [
    text.left_out > 0 && h("p", { class: "quiet" }, `${count(text.left_out, "earlier message")} left out`),
    text.messages.map(({ role, content }, index) => h("div", { key: `message ${index}` }, h("p", { class: "quiet" }, role), h("blockquote", {}, content))),
    text.tool_calls.map((call, index) => h("div", { key: `call ${index}` }, h("p", { class: "quiet" }, "called ", h("code", {}, call.server ? `${call.server}/${call.name}` : call.name), call.error ? ", which failed" : null),
      h("blockquote", { class: "code" }, call.arguments, call.output === null ? null : `\n→ ${call.output}`))),
    h("p", { class: "quiet" }, "answer"), h("blockquote", {}, text.answer || "none"),
    text.error && h("p", { class: "error" }, text.error),
  ];
}
