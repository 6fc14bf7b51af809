// What people may order a rollout to do: pause, resume, promote, abort; each asks for a reason, and who and why is
// kept. An order waits at control until the rollout's controller has heard it.

import { h } from "./dom.js";
import { reasonField } from "./reason.js";
import { Lost, mayOperate, send } from "./session.js";
import { now, time } from "./words.js";

const DECIDED = ["promoting", "aborting", "promoted", "aborted"];

const ORDERS = {
  pause: {
    label: "Pause",
    question: "Pause the rollout",
    means: "The split stays as it is until somebody resumes, promotes or aborts. A canary that is found worse, or is gone, goes back all the same.",
  },
  resume: {
    label: "Resume",
    question: "Resume the rollout",
    means: "It goes on where it was paused. Who resumes has overruled what the gate wanted looked at in this step.",
  },
  promote: {
    label: "Promote",
    question: "Promote the canary now",
    means: "Every conversation goes to the canary, also those that have begun, and the steps that are left are skipped. Stable ends.",
  },
  abort: {
    label: "Abort",
    question: "Abort the rollout",
    means: "Every conversation goes back to stable at once, also those that have begun with the canary. The canary ends.",
    danger: true,
  },
};

const FOLLOWED_S = 20; // after an order, until what it does can be seen

// said: what the last order came to, and `of` which rollout. asked: how often, so that each question is a new form.
const draft = { what: null, reason: "", said: null, of: null, asked: 0, given: -Infinity };

// Whether something is about to change because somebody has ordered it.
export const awaited = ({ orders: all }) => all.length > 0 || now() - draft.given < FOLLOWED_S;

export function orders(parts) {
  const { known, context } = parts;
  const { rollout } = known;
  if (DECIDED.includes(rollout.phase)) return null;
  const said = draft.of === idOf(rollout) || draft.said?.kind === "bad" ? draft.said : null;
  return h(
    "section",
    { "aria-labelledby": "orders" },
    h("h2", { id: "orders" }, "Orders"),
    h("div", { role: "status", key: "said" }, said && h("p", { class: `notice ${said.kind}` }, said.words)),
    waiting(known),
    mayOperate(context.who) ? [buttons(parts), question(parts)] : readers(context),
  );
}

const idOf = ({ canary, begun }) => `${canary.revision} ${begun}`;

function readers({ who }) {
  return h(
    "p",
    { class: "quiet", key: "readers" },
    "Your role is ",
    h("b", {}, who?.role),
    ". To pause, resume, promote or abort, sign in with a token of role operate.",
  );
}

function waiting({ orders: all }) {
  return (
    all.length > 0 &&
    h(
      "ul",
      { key: "waiting", class: "waiting" },
      all.map(({ number, what, by, at, reason }) =>
        h(
          "li",
          { key: number },
          h("b", {}, ORDERS[what]?.label ?? what),
          `, by ${by}, `,
          time(at),
          `: ${reason}`,
          h("span", { class: "quiet" }, "; the controller has not heard it yet"),
        ),
      ),
    )
  );
}

function buttons({ known, context }) {
  const paused = known.rollout.phase === "paused";
  const fitting = [paused ? "resume" : "pause", "promote", "abort"];
  const starting = known.rollout.course === "starting";
  return h(
    "div",
    { class: "buttons", key: "buttons" },
    fitting.map((what) =>
      h(
        "button",
        {
          key: what,
          class: ORDERS[what].danger ? "danger" : "",
          disabled: what === "promote" && starting,
          title: what === "promote" && starting ? "The canary is not ready yet" : null,
          onclick: () => ask(what, context),
        },
        ORDERS[what].label,
      ),
    ),
  );
}

function ask(what, context) {
  Object.assign(draft, { what, said: null, asked: draft.asked + 1 });
  context.redraw();
  document.getElementById("order").showModal();
}

function question(parts) {
  const { what } = draft;
  const { label, question: words, means, danger } = ORDERS[what ?? "pause"];
  const { canary } = parts.known.rollout;
  const close = () => document.getElementById("order").close();
  return h(
    "dialog",
    { id: "order", key: "order", "aria-labelledby": "order-title", "aria-describedby": "order-means" },
    h(
      "form",
      {
        key: draft.asked,
        onsubmit: (event) => {
          event.preventDefault();
          close();
          give(parts);
        },
      },
      h("h2", { id: "order-title" }, `${words}: `, h("code", {}, canary.revision), "?"),
      h("p", { id: "order-means" }, means),
      reasonField(draft, { id: "order-reason", read: "the audit trail", example: "INC-7: answers are short" }),
      h(
        "div",
        { class: "buttons" },
        h("button", { type: "button", onclick: close }, "Cancel"),
        h("button", { class: danger ? "danger" : "primary" }, label),
      ),
    ),
  );
}

async function give({ known, context }) {
  const { name, environment } = context.place;
  const { what, reason } = draft;
  const body = { what, reason: reason.trim(), canary: known.rollout.canary.revision };
  draft.of = idOf(known.rollout);
  try {
    await send("POST", "/v1/rollout/orders", { query: { name, environment }, body });
    draft.reason = "";
    draft.given = now();
    draft.said = { kind: "", words: `${ORDERS[what].label} is ordered. The controller hears it within seconds.` };
  } catch (failure) {
    if (failure instanceof Lost) draft.said = { kind: "bad", words: "Nothing was ordered: the session has ended." };
    else draft.said = { kind: "bad", words: `Nothing was ordered: ${failure.message}.` };
  }
  context.redraw();
  context.refresh();
}
