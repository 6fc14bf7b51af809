// Versions of the policy. One that was read never changes, so only newer ones are asked for again.

import { get } from "./session.js";

const PATH = "/v1/policy/versions";
const PORTION = 100;
const known = new Map(); // deployment -> versions, newest first and without a gap

const idOf = ({ name, environment }) => `${name} ${environment}`;
const ask = ({ name, environment }, limit, before) => get(PATH, { name, environment, limit, before });

export async function versionsOf(place) {
  const kept = known.get(idOf(place)) ?? [];
  const [newest] = await ask(place, 1);
  if (newest && newest.etag === kept[0]?.etag) return kept;
  const found = newest ? await ask(place, PORTION) : [];
  const last = found.at(-1)?.version;
  const rest = kept.filter(({ version }) => version < last);
  known.set(idOf(place), rest[0]?.version === last - 1 ? [...found, ...rest] : found);
  return known.get(idOf(place));
}

export async function askForOlder(place) {
  const kept = known.get(idOf(place));
  known.set(idOf(place), [...kept, ...(await ask(place, PORTION, kept.at(-1).version))]);
}
