// Numbers and times as people read them. Times come in seconds since the epoch, and are shown in the reader's zone.

import { h } from "./dom.js";

let ahead = 0; // seconds by which control's clock is ahead of this one

export function setClock(date) {
  const said = Date.parse(date ?? "");
  if (!Number.isNaN(said)) ahead = Math.abs(said - Date.now()) < 2000 ? 0 : (said - Date.now()) / 1000;
}

export function now() {
  return Date.now() / 1000 + ahead;
}

export const SAME_DAY = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});
export const OTHER_DAY = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

function clock(at) {
  const date = new Date(at * 1000);
  const today = date.toDateString() === new Date(now() * 1000).toDateString();
  return (today ? SAME_DAY : OTHER_DAY).format(date);
}

export function time(at) {
  if (at === null || at === undefined) return "never";
  const iso = new Date(at * 1000).toISOString();
  return h("time", { datetime: iso, title: iso }, clock(at));
}

const STEPS = [
  [60, 1, "s"],
  [3600, 60, "min"],
  [86400, 3600, "h"],
  [Infinity, 86400, "d"],
];

export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [, size, unit] = STEPS.find(([below]) => whole < below);
  return `${Math.floor(whole / size)}\u00a0${unit}`;
}

export function count(number, one, many = `${one}s`) {
  return `${whole(number)} ${number === 1 ? one : many}`;
}

export function whole(number) {
  return Number(number).toLocaleString("en", { maximumFractionDigits: 0 });
}

// A number with three significant digits, never in powers of ten.
export function short(number) {
  if (number === null || number === undefined || Number.isNaN(number)) return "–";
  return Number(number).toLocaleString("en", { maximumSignificantDigits: 3 });
}

// Evidence for or against: an e-value, of which the very large and the very small say no more.
export function evidence(amount) {
  if (amount > 1e6) return "> 1 million";
  return amount < 0.001 ? "< 0.001" : short(amount);
}

export function percent(part, digits) {
  if (part === null || part === undefined || Number.isNaN(part)) return "–";
  const number = part * 100;
  const most = digits ?? (number !== 0 && Math.abs(number) < 10 ? 1 : 0);
  return `${number.toLocaleString("en", { minimumFractionDigits: digits ?? 0, maximumFractionDigits: most })}\u00a0%`;
}

export function points(part) {
  const number = short(part * 100);
  return `${number} ${number === "1" ? "point" : "points"}`;
}

export function latency(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${short(seconds)} s`;
}

export function dollars(amount) {
  if (amount === null || amount === undefined) return "–";
  const digits = amount >= 100 ? 0 : amount >= 0.1 || amount === 0 ? 2 : 4;
  return `$${amount.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}
