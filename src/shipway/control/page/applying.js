// What is about to change, why, and the button that does it; what somebody else did meanwhile; the question
// before everything stops.

import { inWords, keyOf } from "./changes.js";
import { h } from "./dom.js";
import { reasonField } from "./reason.js";
import { Lost, Refused, send } from "./session.js";
import { portion } from "./table.js";
import { count, time } from "./words.js";

const EVERYTHING = keyOf("kill", "all");

export function applyBar(parts) {
  const { draft, may } = parts;
  if (!may) return null;
  return [
    h(
      "div",
      { role: "status", class: "said", key: "said" },
      draft.said && h("p", { class: `notice ${draft.said.kind}` }, draft.said.words),
    ),
    draft.changes.size > 0 &&
      h(
        "section",
        { class: "apply", key: "apply", "aria-labelledby": "apply-title" },
        h(
          "div",
          { role: "status" },
          h("h2", { id: "apply-title" }, `${count(draft.changes.size, "change")} not applied yet`),
        ),
        listed(parts),
        draft.newer ? conflict(parts) : form(parts),
      ),
    question(parts),
  ];
}

function listed(parts) {
  const [first, more] = portion("changes not applied", [...parts.draft.changes], parts.redraw);
  return [
    h(
      "ul",
      { key: "changes" },
      first.map(([key, value]) => pending(parts, key, value)),
    ),
    more,
  ];
}

function pending({ draft, redraw }, key, value) {
  const words = inWords(key, value, draft.base.get(key));
  return h(
    "li",
    { key },
    h("span", {}, words),
    h(
      "button",
      {
        class: "plain",
        "aria-label": `Undo: ${words}`,
        onclick: () => {
          draft.toggle(key);
          redraw();
        },
      },
      "Undo",
    ),
  );
}

function form(parts) {
  const { draft, redraw } = parts;
  return h(
    "form",
    {
      key: "form",
      onsubmit: (event) => {
        event.preventDefault();
        if (draft.changes.get(EVERYTHING)) document.getElementById("everything").showModal();
        else apply(parts);
      },
    },
    reasonField(draft, { id: "reason", read: "the history", example: "INC-7: tool loops" }),
    h(
      "div",
      { class: "buttons" },
      h("button", { class: draft.changes.get(EVERYTHING) ? "danger" : "primary" }, "Apply"),
      h(
        "button",
        {
          type: "button",
          onclick: () => {
            draft.discard();
            redraw();
          },
        },
        "Discard",
      ),
    ),
  );
}

function conflict(parts) {
  const { draft, redraw } = parts;
  const { newer, theirs } = draft;
  return h(
    "div",
    { class: "conflict", key: "conflict", role: "alert" },
    h(
      "p",
      {},
      h("b", {}, `${newer.by} changed the policy meanwhile`),
      " (version ",
      newer.version,
      ", ",
      time(newer.at),
      "): ",
      newer.reason,
    ),
    h(
      "ul",
      {},
      theirs.map(({ key, value, before, both }) =>
        h(
          "li",
          { key },
          h("span", {}, inWords(key, value, before), both ? h("b", {}, ", which you change too") : null),
        ),
      ),
    ),
    h("p", {}, "Nothing of yours is applied. Yours can go on top of theirs, or go away."),
    h(
      "div",
      { class: "buttons" },
      h(
        "button",
        {
          class: "primary",
          onclick: () => {
            draft.rebase();
            redraw();
          },
        },
        `Put mine on top of version ${newer.version}`,
      ),
      h(
        "button",
        {
          onclick: () => {
            draft.discard();
            redraw();
          },
        },
        "Discard mine",
      ),
    ),
  );
}

function question(parts) {
  const {
    context: { place },
    replicas,
  } = parts;
  const close = () => document.getElementById("everything").close();
  return h(
    "dialog",
    {
      id: "everything",
      key: "everything",
      "aria-labelledby": "everything-title",
      "aria-describedby": "everything-means",
    },
    h("h2", { id: "everything-title" }, `Stop everything in ${place.name} · ${place.environment}?`),
    h(
      "div",
      { id: "everything-means" },
      h(
        "p",
        {},
        `Within two seconds no turn begins any more, of any tenant, at ${count(replicas.filter(({ away }) => !away).length, "replica")}. Callers get 503 `,
        h("code", {}, "agent_disabled"),
        ".",
      ),
      h(
        "p",
        {},
        "Turns that run already finish. Replicas stay up and ready. It stays so until somebody lets turns begin again, here or with ",
        h("code", {}, "shipway policy"),
        ".",
      ),
    ),
    h(
      "div",
      { class: "buttons" },
      h("button", { autofocus: true, onclick: close }, "Cancel"),
      h(
        "button",
        {
          class: "danger",
          onclick: () => {
            close();
            apply(parts);
          },
        },
        "Stop everything",
      ),
    ),
  );
}

async function apply({ draft, context, redraw }) {
  const { name, environment } = context.place;
  const body = { policy: draft.policy, reason: draft.reason.trim() };
  try {
    const { value } = await send("PUT", "/v1/policy", {
      query: { name, environment },
      body,
      headers: { "if-match": draft.seen.etag },
    });
    draft.discard();
    draft.reason = "";
    draft.follow(value);
    draft.said = {
      kind: "",
      words: `Version ${value.version} is in force. Replicas follow within two seconds, and say so within ten.`,
    };
  } catch (failure) {
    if (failure instanceof Refused && failure.status === 412)
      draft.said = null; // the refresh finds who was first
    else if (!(failure instanceof Lost))
      draft.said = { kind: "bad", words: `Nothing has changed: ${failure.message}.` };
  }
  redraw();
  context.refresh();
}
