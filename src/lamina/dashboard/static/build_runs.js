// The builds that this window has started. They go on while other pages are looked at, and end with the window.

import { sendForLines } from "./api.js";
import { BuildModel } from "./build_model.js";
import { headerForBuilds } from "./logins.js";
import { tell } from "./messages.js";

const runs = new Map();

// Start a build and return it: its key, title and model, and `stop`. `context` is a tar, or null where the query names
// an address.
export function startBuild(title, query, context) {
  const stopping = new AbortController();
  const run = { key: String(runs.size + 1), title, model: new BuildModel(), changes: new EventTarget(), stop: () => stopping.abort() };
  runs.set(run.key, run);
  follow(run, query, context, stopping.signal);
  return run;
}

// Return the builds that have not ended, and the one with a key.
export const runningBuilds = () => [...runs.values()].filter((run) => !run.model.isDone);
export const runOf = (key) => runs.get(key);

async function follow(run, query, context, signal) {
  const { model } = run;
  const headers = { ...headerForBuilds(), ...(context ? { "Content-Type": "application/x-tar" } : {}) };
  try {
    const lines = sendForLines("POST", "/build", { query: { ...query, live: 1, explain: 1 }, body: context ?? undefined, headers, signal });
    for await (const line of lines) {
      model.take(line);
      run.changes.dispatchEvent(new Event("change"));
    }
  } catch (error) {
    model.error ??= { message: signal.aborted ? "The build was stopped." : error.message };
  }
  model.isDone = true;
  tell(model.error ? `${run.title} failed` : `${run.title} is built`);
  run.changes.dispatchEvent(new Event("change"));
}
