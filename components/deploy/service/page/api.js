// Talks to the service. Addresses are relative: the page works behind any path.

import { text } from "./texts.js";

/** A problem whose message is for people; `status` is the answer's, 0 when there was none. */
export class Problem extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export function setKey(key) {
  sessionStorage.setItem("key", key);
}

export function hasKey() {
  return Boolean(sessionStorage.getItem("key"));
}

/** The model of the moment. */
export function describe() {
  return call("api/model");
}

/** The answer of an operation. A picture, a text, candidates, a box (as shares of its sides), a seed go along if given. */
export function ask(operation, { picture, question, choices = [], part, seed }) {
  const form = new FormData();
  if (picture) form.append("image", picture.blob, "picture");
  if (operation.text) form.append(operation.text, question);
  for (const choice of choices) form.append("candidates", choice);
  if (part) form.append("box", boxOf(part, picture.sent));
  if (seed) form.append("seed", seed);
  return call(`api/${operation.route}`, { method: "POST", body: form });
}

/** Corners in pixels of the picture as it is sent. */
function boxOf(part, { width, height }) {
  return [part.x0 * width, part.y0 * height, part.x1 * width, part.y1 * height].map((corner) => corner.toFixed(2)).join(",");
}

async function call(path, options = {}) {
  const key = sessionStorage.getItem("key");
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch {
    throw new Problem(text("offline"), 0);
  }
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  const known = { 413: text("tooLarge"), 429: text("busy"), 504: text("late") };
  throw new Problem(known[response.status] ?? body.error ?? `HTTP ${response.status}`, response.status);
}
