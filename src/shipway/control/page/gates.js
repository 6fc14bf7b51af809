// Gates: is the new revision worse? The verdict in words, then the evidence that it stands on.

import { address } from "./bar.js";
import { h } from "./dom.js";
import { evidence, metrics, scale, verdict } from "./evidence.js";
import { empty, heading, mark } from "./marks.js";
import { get } from "./session.js";
import { percent, time, whole } from "./words.js";

export const gates = { label: "Gates", load, show };

const ALARM = 1000; // evidence from which the split of conversations is known to be wrong

async function load({ name, environment, item }) {
  if (item !== undefined)
    return { gate: await get(`/v1/gates/${encodeURIComponent(item)}`, { name, environment }) };
  return { gates: await get("/v1/gates", { name, environment }) };
}

function show(data, context) {
  return data.gate ? detail(data.gate, context) : list(data.gates, context);
}

function list(all, { place }) {
  if (!all.length)
    return [
      heading("Gates"),
      empty(
        "No revision is being judged.",
        "A gate begins with a rollout, or by ",
        h("code", {}, "PUT /v1/gates/REVISION"),
        " with the stable revision, its share and the metrics. It then judges every conversation as it closes.",
      ),
    ];
  return [
    heading("Gates"),
    all.map((gate) =>
      h(
        "article",
        { key: gate.canary, class: "gate" },
        h(
          "header",
          {},
          h(
            "h2",
            {},
            h("a", { href: address(place, "gates", gate.canary) }, h("code", {}, gate.canary)),
            " against ",
            h("code", {}, gate.stable),
          ),
          verdict(gate.judgement),
          over(gate),
        ),
        h("p", {}, gate.judgement.words),
        scale(gate.judgement),
      ),
    ),
  ];
}

function over({ ended }) {
  return ended !== null && ended !== undefined && h("span", { class: "quiet" }, "ended ", time(ended));
}

function detail(gate, context) {
  const { judgement } = gate;
  return [
    h("p", { class: "quiet" }, h("a", { href: address(context.place, "gates") }, "All gates")),
    heading(h("span", {}, h("code", {}, gate.canary), " against ", h("code", {}, gate.stable)), over(gate)),
    h(
      "section",
      { class: "verdict", "aria-label": "Verdict" },
      verdict(judgement),
      h("p", {}, judgement.words),
    ),
    alarms(gate),
    forecast(gate),
    evidence(gate, context),
    metrics(gate, context),
    changes(gate),
  ];
}

// What the verdict's own words do not say already.
function alarms({ judgement, share }) {
  const found = [
    judgement.ratio >= ALARM &&
      judgement.why !== "ratio" && [
        "The split is wrong",
        `${whole(judgement.canary)} of ${whole(judgement.canary + judgement.stable)} conversations went to the canary, where ${percent(share)} was asked for. Find out why before you trust any comparison.`,
      ],
    judgement.why !== "incident" &&
      judgement.metrics.some(({ degraded }) => degraded) && [
        "Both revisions degrade",
        `By ${judgement.metrics
          .filter(({ degraded }) => degraded)
          .map(({ metric }) => metric)
          .join(
            " and ",
          )}, both are worse than stable was at first: something that they share. Neither going on nor going back mends it.`,
      ],
  ].filter(Boolean);
  return (
    found.length > 0 &&
    h(
      "section",
      { "aria-label": "Alarms" },
      found.map(([title, words]) =>
        h("p", { class: "notice warn-paper", key: title }, mark("warn", title), " ", words),
      ),
    )
  );
}

function forecast({ forecast: said }) {
  const words = typeof said === "string" ? said : said?.words;
  return (
    words &&
    h(
      "section",
      { "aria-labelledby": "forecast" },
      h("h2", { id: "forecast" }, "Forecast"),
      h("p", {}, words),
    )
  );
}

const HAPPENED = { begin: "begun", share: "share set", end: "ended" };

function changes({ changes: all = [] }) {
  return (
    all.length > 0 &&
    h(
      "section",
      { "aria-labelledby": "changes" },
      h("h2", { id: "changes" }, "What was done to it"),
      h(
        "ul",
        {},
        all.map(({ kind, document, by, at }) =>
          h(
            "li",
            { key: `${kind} ${at}` },
            time(at),
            " ",
            HAPPENED[kind] ?? kind,
            " by ",
            by,
            typeof document === "number" ? `, ${percent(document)} of new conversations` : null,
          ),
        ),
      ),
    )
  );
}
