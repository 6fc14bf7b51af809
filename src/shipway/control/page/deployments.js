// Every deployment that control has heard of, where none is chosen.

import { address } from "./bar.js";
import { h } from "./dom.js";
import { empty, heading, mark } from "./marks.js";
import { get } from "./session.js";
import { table } from "./table.js";
import { count } from "./words.js";

export const overview = { label: "Deployments", load: () => get("/v1/deployments"), show };

function show(deployments, { redraw }) {
  if (!deployments.length) return [heading("Deployments"), nothing()];
  const columns = [
    {
      title: "Deployment",
      cell: (each) => h("a", { href: address(each, "fleet") }, `${each.name} · ${each.environment}`),
    },
    { title: "Readiness", cell: readiness },
    { title: "Revisions", kind: "number", cell: (each) => each.revisions.length ?? each.revisions },
  ];
  return [
    heading("Deployments"),
    table({
      caption: "Deployments",
      columns,
      rows: deployments,
      key: ({ name, environment }) => `${name} ${environment}`,
      redraw,
    }),
  ];
}

function readiness({ replicas, ready }) {
  if (!replicas) return mark("off", "no replicas");
  if (ready === replicas) return mark("good", `${count(replicas, "replica")}, all ready`);
  return mark(ready ? "warn" : "bad", `${ready} of ${count(replicas, "replica")} ready`);
}

function nothing() {
  return empty(
    "No agent has reported yet.",
    "Give one ",
    h("code", {}, "SHIPWAY_CONTROL_URL"),
    " and ",
    h("code", {}, "SHIPWAY_CONTROL_TOKEN"),
    " (a token of role report), and it appears here within seconds of its start. Every stack that shipway renders has both.",
  );
}
