// One run beside another: what `--against` found, and which cases changed sides since the run before.

import { address } from "./bar.js";
import { h } from "./dom.js";
import { mark } from "./marks.js";
import { count, time } from "./words.js";

const KINDS = { pass: "good", fail: "bad", inconclusive: "open" };

export function previousOf(run, runs) {
  return runs.find(
    ({ source, finished, id }) => source === run.source && finished < run.finished && id !== run.id,
  );
}

export function comparison(run, previous, context) {
  if (!run.against && !previous) return null;
  return h(
    "section",
    { key: "comparison", "aria-labelledby": "comparison" },
    h("h2", { id: "comparison" }, "Compared"),
    run.against && [
      h(
        "p",
        {},
        mark(KINDS[run.against.verdict], `${run.against.verdict} against ${run.against.before}`),
        " ",
        run.against.words,
      ),
      h(
        "p",
        { class: "quiet" },
        `By ${count(run.against.cases, "case")} that both answered`,
        run.against.missing ? `, ${run.against.missing} missing` : null,
        run.against.stopped ? "; it stopped when it knew" : null,
        ".",
      ),
      ids("bad", "Worse", run.against.worse),
      ids("good", "Better", run.against.better),
    ],
    previous && sides(run, previous, context),
  );
}

function sides(run, previous, { place }) {
  const before = new Map(previous.results.map(({ id, status }) => [id, status]));
  const turned = (from, to) =>
    run.results.filter(({ id, status }) => before.get(id) === from && status === to).map(({ id }) => id);
  const [worse, better] = [turned("passed", "failed"), turned("failed", "passed")];
  const both = run.results.filter(({ id }) => before.has(id)).length;
  return [
    h(
      "p",
      {},
      "With ",
      h("a", { href: address(place, "evals", previous.id) }, "the run of ", time(previous.finished)),
      `: ${count(both, "case")} in common, `,
      worse.length || better.length
        ? `${worse.length} failed that had passed, ${better.length} passed that had failed.`
        : "none of which changed sides.",
    ),
    ids("bad", "Failed now", worse),
    ids("good", "Passed now", better),
  ];
}

function ids(kind, title, found) {
  return (
    found.length > 0 &&
    h(
      "p",
      { key: title },
      mark(kind, title),
      " ",
      found.slice(0, 50).map((id, index) => [index ? ", " : null, h("code", {}, id)]),
      found.length > 50 ? ` and ${found.length - 50} more` : null,
    )
  );
}
