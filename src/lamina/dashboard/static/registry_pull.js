// Pulls from the pages of registries: progress layer by layer, and how it ended.

import { sendForLines } from "./api.js";
import { button, element, fill } from "./dom.js";
import { showStep } from "./image_actions.js";
import { headerFor } from "./logins.js";
import { attempt, tell } from "./messages.js";

// Return a button that pulls `name` (an image with its registry) at a tag, and the place where its progress shows.
export function pullButton(registry, name, tag, signal) {
  const progress = element("div", { role: "status" });
  const action = () => attempt(() => pull(registry, name, tag, progress, signal));
  return [button("Pull", action, { "aria-label": `Pull ${name}:${tag}` }), progress];
}

async function pull(registry, name, tag, progress, signal) {
  const steps = element("ul", { class: "progress", "aria-label": "Progress" });
  const rows = new Map();
  fill(progress, steps);
  const query = { fromImage: name, tag };
  for await (const line of sendForLines("POST", "/images/create", { query, headers: headerFor(registry), signal })) {
    if (line.error) {
      throw new Error(line.error);
    }
    showStep(steps, rows, line);
  }
  fill(progress, "Pulled");
  tell(`${name}:${tag} is here now`);
}
