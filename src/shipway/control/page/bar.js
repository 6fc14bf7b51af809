// The bar on top: which deployment, which view, who is here; and the line below it when something is amiss.

import { h } from "./dom.js";
import { Away, Lost } from "./session.js";
import { time } from "./words.js";

export function address(place, view, item) {
  const parts = [place.name, place.environment, view, item].filter((part) => part !== undefined);
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

export function bar(context) {
  const { place, views, who, leave } = context;
  return [
    h(
      "div",
      { class: "top" },
      h("a", { class: "brand", href: "#/" }, "shipway", h("span", { class: "quiet wide" }, " control")),
      context.deployments && chooser(context),
      who &&
        h(
          "p",
          { class: "who" },
          h("span", { class: "wide" }, who.name, " "),
          h(
            "span",
            { class: "role", title: `Signed in as ${who.name}, role ${who.role}` },
            h("span", { class: "unseen" }, "role "),
            who.role,
          ),
          h("button", { class: "plain", onclick: leave }, "Sign out"),
        ),
    ),
    place.name &&
      place.environment &&
      h(
        "nav",
        { "aria-label": "Views" },
        Object.entries(views).map(([name, view]) =>
          h(
            "a",
            { href: address(place, name), "aria-current": name === place.view ? "page" : null },
            view.label,
          ),
        ),
      ),
  ];
}

function chooser({ deployments, place }) {
  const here = place.name ? address(place, "fleet") : "#/";
  const options = deployments.map((each) => ({
    to: address(each, "fleet"),
    words: `${each.name} · ${each.environment}`,
  }));
  if (!options.some(({ to }) => to === here))
    options.unshift({
      to: here,
      words: place.name ? `${place.name} · ${place.environment}` : "Choose a deployment",
    });
  return h(
    "label",
    { class: "chooser" },
    h("span", { class: "unseen" }, "Deployment"),
    h(
      "select",
      {
        value: here,
        onchange: (event) => {
          location.hash = event.target.value.replace(/fleet$/, place.view);
        },
      },
      options.map(({ to, words }) => h("option", { key: to, value: to }, words)),
    ),
  );
}

export function statusLine({ failure, since, data, refresh }) {
  if (!failure || failure instanceof Lost) return null;
  if (!(failure instanceof Away))
    return h("p", { class: "notice bad" }, failure.message, refusalHelp(failure));
  return h(
    "p",
    { class: "notice bad" },
    h("b", {}, "Control is out of reach"),
    " since ",
    time(since),
    `: ${failure.message}. `,
    data ? "Below is what it said last. " : null,
    "The page goes on trying. Agents keep the policy they have. ",
    h("button", { class: "plain", onclick: refresh }, "Try now"),
  );
}

function refusalHelp(failure) {
  return failure.status === 403 ? " Sign out, and in again with a token of role read or operate." : null;
}
