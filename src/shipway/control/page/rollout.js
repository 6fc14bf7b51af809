// Rollout: how a revision comes to its users: where it is, what the gate says, and what people may order.

import { address } from "./bar.js";
import { h } from "./dom.js";
import { errors } from "./errors.js";
import { evidence, scale, verdict } from "./evidence.js";
import { empty, heading, mark } from "./marks.js";
import { awaited, orders } from "./orders.js";
import { Refused, get } from "./session.js";
import { evidence as amount, span, time } from "./words.js";

const BEFORE_S = 600; // shown of stable's time before the rollout

export const rollout = { label: "Rollout", load, show };

async function load({ name, environment }) {
  const deployment = { name, environment };
  const known = await get("/v1/rollout", deployment);
  if (!known.rollout) return { known };
  const since = known.rollout.begun - BEFORE_S;
  const [gate, failed] = await Promise.all([
    gateOf(known.rollout, deployment),
    get("/v1/errors", { ...deployment, since }),
  ]);
  return { known, gate, failed, soon: awaited(known) };
}

// The gate with its evidence over time; null while there is none.
async function gateOf(found, deployment) {
  if (!found.gate) return null;
  try {
    return await get(`/v1/gates/${encodeURIComponent(found.canary.revision)}`, deployment);
  } catch (failure) {
    if (failure instanceof Refused && failure.status === 404) return null;
    throw failure;
  }
}

function show({ known, gate, failed }, context) {
  const { rollout: found } = known;
  if (!found) return [heading("Rollout"), nothing()];
  return [
    heading("Rollout", h("p", { class: "lead" }, pair(found))),
    h(
      "section",
      { class: "verdict", "aria-label": "Where it is" },
      standing(found),
      found.why && h("p", { key: "why" }, found.why),
    ),
    silence(known),
    found.trouble &&
      h("p", { class: "notice warn-paper", key: "trouble" }, mark("warn", "Trouble, and tried again:"), " ", found.trouble),
    steps(found),
    split(found),
    orders({ known, context }),
    found.gate && judged(found, context.place),
    gate && evidence(gate, context),
    errors(
      failed,
      ["canary", "stable"].map((name) => ({ revision: found[name].revision, name })),
      context,
    ),
    health(found),
    trail(found),
  ];
}

function nothing() {
  return empty(
    "No rollout has been heard of.",
    "It begins with ",
    h("code", {}, "shipway deploy"),
    " of a second revision; then its steps, what the gate says, and the buttons are here. Of Argo Rollouts, ECS or Nomad the steps are there, and what is found is under Gates.",
  );
}

const pair = ({ canary, stable }) =>
  h("span", {}, h("code", {}, canary.revision), " over ", h("code", {}, stable.revision));

const PHASES = {
  starting: ["next", "Starting: the canary comes up, and nobody has it yet"],
  evaluating: ["next", "Evaluating: the paired suite asks both, and nobody has the canary yet"],
  stepping: ["next", "Stepping: PERCENT of new conversations go to the canary"],
  paused: ["warn", "Paused: PERCENT of new conversations go to the canary"],
  promoting: ["next", "Promoting: everybody goes to the canary"],
  aborting: ["bad", "Going back: everybody goes to stable"],
  promoted: ["good", "Promoted: the canary is stable now"],
  aborted: ["bad", "Rolled back: stable stays"],
};

function standing({ phase, since, percent }) {
  const [kind, words] = PHASES[phase];
  return h(
    "p",
    { key: "phase" },
    mark(kind, words.replace("PERCENT", `${percent}\u00a0%`)),
    h("span", { class: "quiet" }, " since ", time(since)),
  );
}

function silence({ away, seen }) {
  return (
    away &&
    h(
      "p",
      { class: "notice bad", role: "status", key: "silence" },
      h("b", {}, "The controller was not heard of"),
      " since ",
      time(seen),
      ". What is here is as it was then; the router goes on as it was told.",
    )
  );
}

// -- Steps and split -------------------------------------------------------------------------------------------

const STATES = { done: "good", now: "next", paused: "warn", stopped: "bad", later: "open" };

function steps(found) {
  const names = [...(found.suite ? ["Evals"] : []), ...found.steps.map(({ weight }) => `${weight}\u00a0%`)];
  const first = found.suite ? 1 : 0;
  return h(
    "section",
    { "aria-labelledby": "steps" },
    h("h2", { id: "steps" }, "Steps"),
    h(
      "ol",
      { class: "steps" },
      names.map((name, index) => {
        const state = stateOf(found, index);
        const current = state === "now" || state === "paused";
        return h(
          "li",
          { key: index, "aria-current": current ? "step" : null },
          h(
            "span",
            { class: `track ${state}` },
            h("i", { style: { "--share": String(filled(found, state)) } }),
          ),
          mark(STATES[state], name),
          h("small", {}, lasts(found, state, found.steps[index - first])),
        );
      }),
    ),
  );
}

// Of the suite, where there is one, and of each step: done, now, paused, stopped or later.
export function stateOf(found, index) {
  const first = found.suite ? 1 : 0;
  const at = {
    starting: -1,
    evaluating: 0,
    promoting: Infinity,
    promoted: Infinity,
    aborting: found.step || found.gate ? first + found.step : 0,
    aborted: found.step || found.gate ? first + found.step : 0,
  }[found.course] ?? first + found.step;
  if (index !== at) return index < at ? "done" : "later";
  if (["aborting", "aborted"].includes(found.course)) return "stopped";
  return found.phase === "paused" ? "paused" : "now";
}

const holdOf = ({ steps: all, step, extended }) => (all[step].hold_s ?? 0) * (extended ? 2 : 1);

function filled(found, state) {
  if (state === "done") return 1;
  if (found.course !== "stepping" || state === "later") return 0;
  return holdOf(found) ? Math.min(1, found.held_s / holdOf(found)) : 0;
}

function lasts(found, state, step) {
  if (state === "done" || state === "stopped") return state === "done" ? "done" : "stopped here";
  if (!step) return state === "now" || state === "paused" ? "the paired suite asks both" : "before anybody has it";
  if (state === "later") return step.hold_s ? `for ${span(step.hold_s)}` : "";
  const held = span(found.held_s);
  const words = holdOf(found) ? `${held} of ${span(holdOf(found))}` : `${held}, until the gate has decided`;
  return found.extended ? `${words}, twice as long for want of data` : words;
}

function split({ percent, canary, stable }) {
  return h(
    "section",
    { "aria-labelledby": "split" },
    h("h2", { id: "split" }, "Split of new conversations"),
    h(
      "div",
      { class: "share split" },
      h("span", { class: "track" }, h("i", { style: { "--share": String(percent / 100) } })),
      h("span", {}, h("b", {}, `${percent}\u00a0%`), " ", h("code", {}, canary.revision)),
      h("span", { class: "quiet" }, `${100 - percent}\u00a0% `, h("code", {}, stable.revision)),
    ),
  );
}

// -- What is known of it ---------------------------------------------------------------------------------------

function judged({ gate, canary }, place) {
  return h(
    "section",
    { "aria-labelledby": "gate" },
    h("h2", { id: "gate" }, "Gate"),
    h(
      "p",
      {},
      h("a", { class: "bare", href: address(place, "gates", canary.revision) }, verdict(gate)),
    ),
    h("p", {}, gate.words),
    scale(gate),
    h(
      "dl",
      { class: "contents metrics" },
      gate.metrics.map(({ metric, harm, words }) =>
        h(
          "div",
          { key: metric },
          h("dt", {}, metric),
          h(
            "dd",
            {},
            scale({ evidence: harm, threshold: gate.threshold }, `evidence ${amount(harm)}`),
            h("small", {}, words.replace(`${metric}: `, "")),
          ),
        ),
      ),
    ),
  );
}

const HEALTH = { ready: ["good", "ready"], unready: ["warn", "not ready"], absent: ["bad", "not there"] };
const GONE = ["off", "has ended"];

function health({ canary, stable, phase }) {
  const over = ["promoted", "aborted"].includes(phase);
  const all = [
    ["Canary", canary],
    ["Stable", stable],
  ];
  return h(
    "section",
    { "aria-labelledby": "health" },
    h("h2", { id: "health" }, "Health"),
    h(
      "dl",
      { class: "contents" },
      all.map(([name, { revision, health: state, causes, since }]) =>
        h(
          "div",
          { key: name },
          h("dt", {}, name),
          h(
            "dd",
            {},
            h("code", {}, revision),
            " ",
            mark(...(over && state === "absent" ? GONE : HEALTH[state])),
            since && state !== "ready" ? [" since ", time(since)] : null,
            causes.map((cause) => h("p", { key: cause }, cause)),
          ),
        ),
      ),
    ),
  );
}

function trail({ trail: lines }) {
  return h(
    "section",
    { "aria-labelledby": "trail" },
    h("h2", { id: "trail" }, "What has happened"),
    h(
      "ol",
      { class: "trail", reversed: true },
      [...lines].reverse().map(({ at, who, words }) =>
        h("li", { key: `${at} ${words}` }, time(at), h("span", { class: "quiet" }, who), h("span", {}, words)),
      ),
    ),
  );
}
