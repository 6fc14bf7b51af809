// Policy: what is switched off, the limits, the fallback; who changed what, and why.

import { heading, mark } from "./marks.js";
import { h } from "./dom.js";
import { applyBar } from "./applying.js";
import { draftOf } from "./draft.js";
import { KINDS, keyOf } from "./changes.js";
import { history } from "./history.js";
import { limits } from "./limits.js";
import { get, mayOperate } from "./session.js";
import { portion } from "./table.js";
import { versionsOf } from "./versions.js";
import { count, time } from "./words.js";

export const policy = { label: "Policy", load, show };

const NONE = { version: 0, etag: '"0"', policy: {}, by: "", reason: "", at: null }; // as control has it, where nobody put one

async function load(place) {
  const { name, environment } = place;
  const [versions, fleet] = await Promise.all([versionsOf(place), get("/v1/fleet", { name, environment })]);
  const replicas = fleet.revisions.flatMap((revision) => revision.replicas);
  draftOf(place).follow(versions[0] ?? NONE);
  return { place, versions, current: versions[0] ?? NONE, replicas };
}

function show(data, context) {
  const draft = draftOf(context.place);
  const may = mayOperate(context.who);
  const parts = { ...data, draft, may, context, redraw: context.redraw };
  return [
    heading("Policy", h("p", { class: "lead" }, standing(data))),
    !may &&
      h(
        "p",
        { class: "notice" },
        "Your role is ",
        h("b", {}, context.who?.role),
        ": you see everything here. To change it, sign in with a token of role operate.",
      ),
    switches(parts),
    limits(parts),
    model(parts),
    applyBar(parts),
    history(parts),
  ];
}

function standing({ current, replicas }) {
  const present = replicas.filter(({ away }) => !away);
  const enforcing = present.filter((replica) => replica.policy === current.etag).length;
  const words = current.version
    ? [`version ${current.version} by ${current.by}, `, time(current.at)]
    : "nobody has set one yet";
  if (!present.length) return [h("span", {}, words), mark("off", "no replica to enforce it")];
  return [
    h("span", {}, words),
    enforcing === present.length
      ? mark(
          "good",
          `enforced by ${enforcing === 1 ? "the one replica" : `all ${count(enforcing, "replica")}`}`,
        )
      : mark("warn", `enforced by ${enforcing} of ${count(present.length, "replica")}`),
  ];
}

function switches(parts) {
  return h(
    "section",
    { "aria-labelledby": "switches" },
    h("h2", { id: "switches" }, "Kill switches"),
    h(
      "p",
      { class: "quiet" },
      "What runs already finishes; nothing new begins. Replicas follow within two seconds.",
    ),
    h(
      "ul",
      { class: "settings" },
      h(
        "li",
        { key: "all" },
        h("h3", {}, "Everything"),
        one(parts, keyOf("kill", "all"), "everything", "turns begin", "no turn begins"),
      ),
      Object.entries(KINDS).map(([kind, { title }]) =>
        h("li", { key: kind }, h("h3", {}, title), ofKind(parts, kind)),
      ),
    ),
  );
}

function ofKind(parts, kind) {
  const { draft, may } = parts;
  const names = known(parts, kind);
  const [first, more] = portion(KINDS[kind].title, names, parts.redraw);
  return h(
    "div",
    { class: "switches" },
    first.map((name) =>
      h(
        "div",
        { key: name },
        one(
          parts,
          keyOf("kill", kind, name),
          `${KINDS[kind].one} ${name}`,
          "allowed",
          "stopped",
          h("code", {}, name),
        ),
      ),
    ),
    more,
    !names.length && h("span", { class: "quiet" }, "none is stopped"),
    may &&
      h(
        "form",
        {
          class: "add",
          onsubmit: (event) => {
            event.preventDefault();
            const field = event.target.elements.name;
            if (field.value.trim()) draft.set(keyOf("kill", kind, field.value.trim()), true);
            field.value = "";
            parts.redraw();
          },
        },
        h("input", {
          name: "name",
          "aria-label": `Stop another ${KINDS[kind].one}: ${KINDS[kind].hint}`,
          placeholder: KINDS[kind].hint,
          autocomplete: "off",
          spellcheck: "false",
          maxlength: "200",
        }),
        h("button", {}, "Stop"),
      ),
  );
}

// Names that are stopped or about to be; of MCP servers, those whose health replicas tell as well.
function known({ draft, replicas }, kind) {
  const names = new Set();
  for (const key of [...draft.base.keys(), ...draft.changes.keys()]) {
    const [what, which, name] = JSON.parse(key);
    if (what === "kill" && which === kind) names.add(name);
  }
  const checks = kind === "servers" ? replicas.flatMap((replica) => Object.keys(replica.checks ?? {})) : [];
  for (const check of checks) if (check.startsWith("mcp:")) names.add(check.slice(4));
  return [...names].sort();
}

function one({ draft, may, redraw }, key, what, runs, stopped, ...name) {
  const now = draft.base.get(key) ?? false;
  const pending = draft.changes.has(key);
  const next = pending ? "Undo" : now ? "Allow again" : "Stop";
  return h(
    "div",
    { class: "switch" },
    name,
    pending
      ? mark("next", now ? `${stopped} → ${runs}` : `${runs} → ${stopped}`)
      : now
        ? mark("bad", stopped)
        : mark("good", runs),
    may &&
      h(
        "button",
        {
          "aria-label": pending ? `Undo the change to ${what}` : `${next}: ${what}`,
          onclick: () => {
            draft.toggle(key, now ? undefined : true);
            redraw();
          },
        },
        next,
      ),
  );
}

function model({ draft, may, redraw }) {
  const key = keyOf("model");
  const value = draft.value(key);
  const words = value
    ? ["Turns use ", h("code", {}, value), " where it is one of an agent's fallbacks."]
    : "Turns use the configured model.";
  return h(
    "section",
    { "aria-labelledby": "model" },
    h("h2", { id: "model" }, "Model"),
    h("p", { class: "quiet" }, words, draft.changes.has(key) ? " Not applied yet." : null),
    may &&
      h(
        "form",
        {
          class: "add",
          onsubmit: (event) => {
            event.preventDefault();
            draft.set(key, event.target.elements.name.value.trim() || undefined);
            redraw();
          },
        },
        h("input", {
          name: "name",
          value: value ?? "",
          "aria-label":
            "Fallback to use, as model.fallbacks in agent.toml names it; empty for the configured model",
          placeholder: "one of model.fallbacks",
          autocomplete: "off",
          spellcheck: "false",
          maxlength: "200",
        }),
        h("button", {}, "Use"),
      ),
  );
}
