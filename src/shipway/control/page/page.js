// The page: which view of which deployment, drawn anew every few seconds from control's JSON.
// In: the address, #/NAME/ENVIRONMENT/VIEW/ITEM. Out: the bar, the status line and the main part of the document.

import { bar, statusLine } from "./bar.js";
import { conversations } from "./conversations.js";
import { overview } from "./deployments.js";
import { h, patch } from "./dom.js";
import { evals } from "./evals.js";
import { fleet } from "./fleet.js";
import { gates } from "./gates.js";
import { askForToken } from "./login.js";
import { policy } from "./policy.js";
import { rollout } from "./rollout.js";
import { Away, Lost, get, session } from "./session.js";
import { now } from "./words.js";

const VIEWS = { fleet, rollout, policy, evals, gates, conversations };
const EVERY_MS = 5000;
const SOON_MS = 1000; // while something is about to change that somebody waits for
const LONGEST_MS = 30000;

const state = { who: null, deployments: null, data: null, failure: null, since: null, place: readPlace() };
let turn = 0;
let timer;
let wait = EVERY_MS;
let moved = false;

function readPlace() {
  const [name, environment, view, item] = location.hash.replace(/^#\/?/, "").split("/").map(decode);
  return { name, environment, view: Object.hasOwn(VIEWS, view ?? "") ? view : "fleet", item };
}

function decode(part) {
  try {
    return part && decodeURIComponent(part);
  } catch {
    return part;
  }
}

function current() {
  return state.place.name && state.place.environment ? VIEWS[state.place.view] : overview;
}

async function refresh() {
  clearTimeout(timer);
  const mine = ++turn;
  try {
    const who = state.who ?? (await session.who());
    const [deployments, data] = await Promise.all([get("/v1/deployments"), current().load(state.place)]);
    if (mine !== turn) return;
    Object.assign(state, { who, deployments, data, failure: null, since: null });
    wait = data.soon ? SOON_MS : EVERY_MS;
    if (!state.place.name && deployments.length === 1) open(deployments[0]);
  } catch (error) {
    if (mine !== turn) return;
    fail(error);
  }
  draw();
  if (!document.hidden && !(state.failure instanceof Lost)) timer = setTimeout(refresh, wait);
}

function fail(error) {
  state.failure = error;
  state.since ??= now();
  if (error instanceof Away) wait = Math.min(wait * 1.5, LONGEST_MS);
  else if (error instanceof Lost)
    askForToken(state.who ? "The session has ended. Sign in to go on." : "", begin);
  else if (!("status" in error)) throw error;
}

function begin(who) {
  state.who = who;
  refresh();
}

async function leave() {
  await session.end().catch(() => {});
  Object.assign(state, { who: null, data: null, deployments: null });
  draw();
  refresh();
}

function open({ name, environment }) {
  location.replace(`#/${encodeURIComponent(name)}/${encodeURIComponent(environment)}/fleet`);
}

function draw() {
  const main = document.getElementById("main");
  const room = getComputedStyle(main);
  const width = Math.floor(main.clientWidth - parseFloat(room.paddingLeft) - parseFloat(room.paddingRight));
  const context = { ...state, width, views: VIEWS, refresh, redraw: draw, leave };
  patch(document.getElementById("bar"), bar(context));
  patch(document.getElementById("status"), statusLine(context));
  main.setAttribute("aria-busy", String(state.data === null && state.failure === null));
  patch(main, body(context));
  document.title = title();
  if (moved && state.data !== null) {
    moved = false;
    main.querySelector("h1")?.focus();
  }
}

function body(context) {
  if (state.data !== null) return current().show(state.data, context);
  if (!state.who && state.failure instanceof Lost) return [];
  return h("p", { class: "empty" }, state.failure ? "Nothing to show yet." : "Loading …");
}

function title() {
  const { name, environment } = state.place;
  return name ? `${current().label} · ${name} · ${environment} · shipway` : "shipway control";
}

addEventListener("hashchange", () => {
  if (location.hash === "#main") return; // the link that skips the bar
  state.place = readPlace();
  state.data = null;
  moved = true;
  draw();
  refresh();
});
addEventListener("visibilitychange", () => !document.hidden && refresh());
addEventListener("online", refresh);
addEventListener("resize", draw);
refresh();
