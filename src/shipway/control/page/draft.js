// Changes to a policy that somebody has made on this page and not applied yet; one draft for each deployment.
// They are kept setting by setting, on top of the version that was seen: a newer one is noticed, and never overwritten.

import { changed, difference, settings } from "./changes.js";

const drafts = new Map();

export function draftOf({ name, environment }) {
  const id = `${name} ${environment}`;
  if (!drafts.has(id)) drafts.set(id, new Draft());
  return drafts.get(id);
}

class Draft {
  changes = new Map();
  reason = "";
  said = null; // what the last attempt came to: {kind, words}
  seen = null; // the version that the changes were made on
  base = new Map(); // its settings
  newer = null; // one that somebody else has put since

  value(key) {
    return this.changes.has(key) ? this.changes.get(key) : this.base.get(key);
  }

  // Without changes the newest version is what is seen; with them it is a conflict, until `rebase`.
  follow(newest) {
    if (this.seen === null || this.seen.etag === newest.etag || !this.changes.size) {
      this.see(newest);
    } else this.newer = newest;
  }

  see(version) {
    if (this.seen?.etag !== version.etag) this.base = settings(version.policy);
    this.seen = version;
    this.newer = null;
  }

  set(key, value) {
    this.said = null;
    if (JSON.stringify(value) === JSON.stringify(this.base.get(key))) this.changes.delete(key);
    else this.changes.set(key, value);
  }

  toggle(key, value) {
    if (this.changes.has(key)) this.changes.delete(key);
    else this.set(key, value);
  }

  // Towards an older version: what it takes to have its settings again.
  restore(policy) {
    this.changes = difference(this.seen.policy, policy);
    this.said = null;
  }

  // What somebody else changed meanwhile, and which of it is changed here too.
  get theirs() {
    return [...difference(this.seen.policy, this.newer.policy)].map(([key, value]) => ({
      key,
      value,
      before: this.base.get(key),
      both: this.changes.has(key),
    }));
  }

  rebase() {
    const mine = this.changes;
    this.see(this.newer);
    this.changes = new Map();
    for (const [key, value] of mine) this.set(key, value);
  }

  discard() {
    this.changes = new Map();
    this.said = null;
    if (this.newer) this.rebase();
  }

  get policy() {
    return changed(this.seen.policy, this.changes);
  }
}
