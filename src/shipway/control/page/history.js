// Who changed the policy, when, why, and what of it; and the way back to a version.

import { difference, inWords, settings } from "./changes.js";
import { h } from "./dom.js";
import { empty } from "./marks.js";
import { get } from "./session.js";
import { table } from "./table.js";
import { time, whole } from "./words.js";

const MOST = 12; // changes of one version, in words
const older = new Map(); // deployment -> versions below those that are always loaded

export function history(parts) {
  const { place, versions, redraw } = parts;
  const id = `${place.name} ${place.environment}`;
  const all = [...versions, ...(older.get(id) ?? [])];
  const oldest = all.at(-1)?.version ?? 1;
  return h("section", { "aria-labelledby": "history" },
    h("h2", { id: "history" }, "History"),
    all.length ? table({ caption: "Versions of the policy", columns: columns(parts, all), rows: all, key: ({ version }) => version, redraw, kind: "history" })
      : empty("Nobody has changed anything.", "What agent.toml says in [policy] counts, until a first version is applied here or with ", h("code", {}, "shipway policy set"), "."),
    oldest > 1 && h("button", { onclick: async () => {
      const more = await get("/v1/policy/versions", { name: place.name, environment: place.environment, before: oldest, limit: 100 });
      older.set(id, [...(older.get(id) ?? []), ...more]);
      redraw();
    } }, "Show older"));
}

function columns({ draft, may, redraw, current }, all) {
  const before = new Map(all.map((version, index) => [version.version, all[index + 1]?.policy ?? (version.version === 1 ? {} : null)]));
  return [
    { title: "Version", kind: "number", cell: ({ version }) => String(version) },
    { title: "When", kind: "number", cell: ({ at }) => time(at) },
    { title: "Who", cell: ({ by }) => by },
    { title: "What", kind: "prose", cell: ({ version, policy }) => said(before.get(version), policy) },
    { title: "Why", kind: "prose", cell: ({ reason }) => reason || h("span", { class: "quiet" }, "no reason given") },
    ...(may ? [{ title: "Way back", kind: "number", cell: ({ version, policy }) => version !== current.version &&
      h("button", { class: "plain", "aria-label": `Prepare to put version ${version} back`, onclick: () => { draft.restore(policy); draft.reason = `back to version ${version}`; redraw(); } }, "Put back") }] : []),
  ];
}

function said(before, policy) {
  if (before === null) return h("span", { class: "quiet" }, "shown with the next older ones");
  const changes = [...difference(before, policy)];
  const old = settings(before);
  if (!changes.length) return "nothing";
  const words = changes.slice(0, MOST).map(([key, value]) => inWords(key, value, old.get(key))).join("; ");
  return changes.length > MOST ? `${words}; and ${whole(changes.length - MOST)} more changes` : words;
}
