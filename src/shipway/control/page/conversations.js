// Conversations that failed: which, how, and what was said where storing it was allowed.

import { h } from "./dom.js";
import { empty, heading, mark } from "./marks.js";
import { get } from "./session.js";
import { count, dollars, latency, percent, time } from "./words.js";

export const conversations = { label: "Conversations", load, show };

const AT_ONCE = 50;
const lists = new Map(); // place -> {found: who and which -> conversation, more: whether there are older ones}

const idOf = ({ name, environment, item }) => `${name} ${environment} ${item ?? ""}`;

async function load(place) {
  const found = await ask(place);
  const list = lists.get(idOf(place)) ?? { found: new Map(), more: found.length === AT_ONCE };
  lists.set(idOf(place), list);
  keep(list, found);
  return list;
}

const ask = ({ name, environment, item }, before) =>
  get("/v1/conversations", { name, environment, revision: item, limit: AT_ONCE, before });

// One that has failed again takes the place of what it was.
function keep(list, found) {
  for (const each of found) list.found.set(JSON.stringify([each.tenant, each.conversation]), each);
}

async function keepOlder(place, oldest) {
  const list = lists.get(idOf(place));
  const found = await ask(place, oldest);
  list.more = found.length === AT_ONCE;
  keep(list, found);
}

function show({ found, more }, { place, refresh }) {
  const all = [...found.values()].sort((one, other) => other.id - one.id);
  const title = heading(
    "Failed conversations",
    place.item && h("p", {}, "of revision ", h("code", {}, place.item)),
  );
  if (!all.length)
    return [
      title,
      empty(
        "No conversation has failed.",
        "Those with a turn that ended in an error, or had a live score below 50 %, are listed here. Their text is shown where the caller let it be stored and the agent has ",
        h("code", {}, "[evals] live"),
        ".",
      ),
    ];
  return [
    title,
    all.map((each) => one(each)),
    more &&
      h("button", { onclick: () => keepOlder(place, all.at(-1).id).then(refresh, refresh) }, "Show older"),
  ];
}

function one(each) {
  const failed = each.turns.filter(({ status }) => status === "error");
  const poor = each.turns.filter(({ score }) => score !== null && score < POOR);
  const turns = count(each.turns.length, "turn");
  const why = failed.length
    ? `${failed.length} of ${turns} failed`
    : `${poor.length} of ${turns} scored below ${percent(POOR)}`;
  const error = failed.map(({ text }) => text?.error).find(Boolean);
  return h(
    "details",
    { key: `${each.tenant} ${each.conversation}`, class: "case" },
    h(
      "summary",
      {},
      h(
        "span",
        { class: "brief" },
        h("span", {}, time((failed.at(-1) ?? poor.at(-1))?.finished ?? each.first_seen)),
        mark(failed.length ? "bad" : "warn", why),
        h("code", {}, each.conversation),
        h(
          "span",
          { class: "quiet" },
          each.tenant ? `tenant ${each.tenant}, ` : null,
          each.revision,
          error ? `, ${error}` : null,
        ),
      ),
    ),
    each.turns.map((turn) => h("div", { key: turn.turn, class: "turn" }, figuresOf(turn), said(turn.text))),
  );
}

const POOR = 0.5; // as control lists them
const STATUS = { ok: "good", error: "bad", denied: "warn", cancelled: "off" };

function figuresOf(turn) {
  return h(
    "p",
    {},
    h("b", {}, `Turn ${turn.turn}`),
    " ",
    mark(STATUS[turn.status] ?? "open", turn.status),
    " ",
    h(
      "span",
      { class: "quiet" },
      time(turn.started),
      `, ${latency(turn.latency_s)}, ${dollars(turn.cost)}`,
      turn.score === null ? null : `, live score ${percent(turn.score)}`,
      turn.tool_errors ? `, ${turn.tool_errors} of ${count(turn.tool_calls, "tool call")} failed` : null,
    ),
  );
}

function said(text) {
  if (!text) return h("p", { class: "quiet" }, "Its text was not stored.");
  return [
    text.left_out > 0 && h("p", { class: "quiet" }, `${count(text.left_out, "earlier message")} left out`),
    text.messages.map(({ role, content }, index) =>
      h("div", { key: `message ${index}` }, h("p", { class: "quiet" }, role), h("blockquote", {}, content)),
    ),
    text.tool_calls.map((call, index) =>
      h(
        "div",
        { key: `call ${index}` },
        h(
          "p",
          { class: "quiet" },
          "called ",
          h("code", {}, call.server ? `${call.server}/${call.name}` : call.name),
          call.error ? ", which failed" : null,
        ),
        h(
          "blockquote",
          { class: "code" },
          call.arguments,
          call.output === null ? null : `\n→ ${call.output}`,
        ),
      ),
    ),
    h("p", { class: "quiet" }, "answer"),
    h("blockquote", {}, text.answer || "none"),
    text.error && h("p", { class: "error" }, text.error),
  ];
}
