// Who changed the policy, when, why, and what of it; and the way back to a version.

import { difference, inWords, settings } from "./changes.js";
import { h } from "./dom.js";
import { empty, mark } from "./marks.js";
import { reveal, table } from "./table.js";
import { askForOlder } from "./versions.js";
import { time, whole } from "./words.js";

const CAPTION = "Versions of the policy";
const MOST = 12; // changes of one version, in words

export function history(parts) {
  const { place, versions, context, redraw } = parts;
  return h(
    "section",
    { "aria-labelledby": "history" },
    h("h2", { id: "history" }, "History"),
    versions.length
      ? table({
          caption: CAPTION,
          columns: columns(parts, versions),
          rows: versions,
          key: ({ version }) => version,
          redraw,
          kind: "history",
        })
      : empty(
          "Nobody has changed anything.",
          "What agent.toml says in [policy] counts, until a first version is applied here or with ",
          h("code", {}, "shipway policy set"),
          ".",
        ),
    versions.length > 0 &&
      versions.at(-1).version > 1 &&
      h(
        "button",
        {
          onclick: () =>
            askForOlder(place)
              .then(() => reveal(CAPTION))
              .then(context.refresh, context.refresh),
        },
        "Show older",
      ),
  );
}

function columns({ draft, may, redraw, current }, all) {
  const before = new Map(
    all.map((version, index) => [
      version.version,
      all[index + 1]?.policy ?? (version.version === 1 ? {} : null),
    ]),
  );
  return [
    { title: "Version", kind: "number", cell: ({ version }) => String(version) },
    { title: "When", kind: "number", cell: ({ at }) => time(at) },
    { title: "Who", cell: ({ by }) => by },
    { title: "What", kind: "prose", cell: ({ version, policy }) => said(before.get(version), policy) },
    {
      title: "Why",
      kind: "prose",
      cell: ({ reason }) => reason || h("span", { class: "quiet" }, "no reason given"),
    },
    ...(may
      ? [
          {
            title: "Way back",
            kind: "number",
            cell: ({ version, policy }) =>
              version === current.version
                ? mark("good", "in force")
                : h(
                    "button",
                    {
                      class: "plain",
                      "aria-label": `Prepare to put version ${version} back`,
                      onclick: () => {
                        draft.restore(policy);
                        draft.reason = `back to version ${version}`;
                        redraw();
                      },
                    },
                    "Put back",
                  ),
          },
        ]
      : []),
  ];
}

function said(before, policy) {
  if (before === null) return h("span", { class: "quiet" }, "shown with the next older ones");
  const changes = [...difference(before, policy)];
  const old = settings(before);
  if (!changes.length) return "nothing";
  const words = changes
    .slice(0, MOST)
    .map(([key, value]) => inWords(key, value, old.get(key)))
    .join("; ");
  return changes.length > MOST ? `${words}; and ${whole(changes.length - MOST)} more changes` : words;
}
