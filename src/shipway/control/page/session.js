// Who is here, and the requests that this page makes. Out: JSON, or one of three failures: `Lost` (control wants a
// token), `Away` (nobody answers), `Refused` (control said no, and why).

import { setClock } from "./words.js";

export class Lost extends Error {}
export class Away extends Error {}
export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const PATIENCE_MS = 20000;
const CHANGE = { "content-type": "application/json", "x-shipway-page": "1" }; // which other sites cannot send

export async function send(method, path, { query, body, headers } = {}) {
  const search = new URLSearchParams(
    Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== null),
  );
  let answer;
  try {
    answer = await fetch(search.size ? `${path}?${search}` : path, {
      method,
      headers: { accept: "application/json", ...(method === "GET" ? {} : CHANGE), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch (error) {
    throw new Away(error.name === "TimeoutError" ? "it took longer than 20 s" : "nobody answers");
  }
  return read(answer);
}

async function read(answer) {
  setClock(answer.headers.get("date"));
  const text = await answer.text().catch(() => {
    throw new Away("the answer broke off");
  });
  const value = parse(text);
  if (answer.ok) return { value, etag: answer.headers.get("etag") };
  const { code, message } = value?.error ?? {};
  if (answer.status === 401) throw new Lost(message ?? "control wants a token");
  if (answer.status >= 500 || answer.status === 429) throw new Away(message ?? `it answers ${answer.status}`);
  throw new Refused(answer.status, code ?? "", message ?? `control answers ${answer.status}`);
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export async function get(path, query) {
  return (await send("GET", path, { query })).value;
}

// The session: {name, role}. The token goes into a cookie that this page cannot read.
export const session = {
  who: () => get("/session"),
  begin: async (token) => (await send("POST", "/session", { body: { token } })).value,
  end: () => send("DELETE", "/session"),
};

export function mayOperate(who) {
  return who?.role === "operate";
}
