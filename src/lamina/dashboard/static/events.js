// One stream of the daemon's events for the whole page. Lists follow it, so that nothing needs to be asked for twice.

import { lines, since } from "./api.js";

const RETRY = { first: 500, most: 15000 }; // milliseconds after the stream broke

const listeners = new Set();
let running = false;

// Call `listener` with each event whose Type is one of `types`, until the signal aborts. After the stream was broken it
// is called with { Type: "missed" }, because events may have been lost.
export function listen(types, listener, signal) {
  const entry = { types: new Set([...types, "missed"]), listener };
  listeners.add(entry);
  signal.addEventListener("abort", () => listeners.delete(entry));
  if (!running) {
    running = true;
    follow();
  }
}

// Run `load` now and after each event of `types`, never twice at the same time, until the signal aborts.
export async function keepLoaded(types, load, signal) {
  let isLoading = true;
  let isStale = false;
  const reload = async () => {
    if (isLoading) {
      isStale = true;
      return;
    }
    isLoading = true;
    do {
      isStale = false;
      await load();
    } while (isStale && !signal.aborted);
    isLoading = false;
  };
  listen(types, () => reload().catch(() => { isLoading = false; }), signal);
  try {
    await load();
  } finally {
    isLoading = false;
  }
  if (isStale && !signal.aborted) {
    await reload();
  }
}

async function follow() {
  let pause = RETRY.first;
  let query = { since }; // what came with the page may be older than the stream
  for (;;) {
    try {
      for await (const event of lines("/events", query, null)) {
        pause = RETRY.first;
        tell(event);
      }
    } catch {
      // The daemon is down or restarts. It is tried again below.
    }
    query = {};
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 2, RETRY.most);
    tell({ Type: "missed", Action: "missed", Actor: { ID: "", Attributes: {} } });
  }
}

function tell(event) {
  for (const { types, listener } of [...listeners]) {
    if (types.has(event.Type)) {
      listener(event);
    }
  }
}
