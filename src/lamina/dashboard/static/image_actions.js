// What changes images: names, removals with their plan, and pulls with their progress.

import { get, path, send, sendForLines } from "./api.js";
import { element, field, fill } from "./dom.js";
import { short, size } from "./format.js";
import { ask, attempt, tell } from "./messages.js";

// Ask for another name of an image.
export function askTag(image) {
  const name = field("New name, such as team/app:2", { type: "text", required: true, autocomplete: "off" });
  return ask({
    title: `Tag ${image.RepoTags?.[0] ?? short(image.Id)}`,
    content: name.label,
    action: "Tag",
    run: async () => {
      const { repository, tag } = splitName(name.control.value.trim());
      await send("POST", path`/images/${image.Id}/tag`, { query: { repo: repository, tag } });
      tell(`${name.control.value.trim()} is a name of the image`);
      return true;
    },
  });
}

// Show what a removal would do, and do it if the answer is yes.
export async function askRemoval(reference) {
  await attempt(async () => {
    const { plan, force, reason } = await planOf(reference);
    const untagged = plan.ImagesDeleted.filter((item) => item.Untagged);
    const deleted = plan.ImagesDeleted.filter((item) => item.Deleted);
    await ask({
      title: `Remove ${short(reference)}?`,
      content: [
        reason && element("p", { class: "problem" }, reason),
        untagged.length && element("p", {}, `Names that go: ${untagged.map((item) => item.Untagged).join(", ")}`),
        element("p", {}, deleted.length
          ? `${deleted.length} images and layers go, and ${size(plan.SpaceReclaimed)} of files are freed.`
          : "The image stays under its other names. Nothing is freed."),
      ],
      action: force ? "Remove in spite of it" : "Remove",
      isDangerous: true,
      run: async () => {
        await send("DELETE", path`/images/${reference}`, { query: { force: force ? 1 : 0 } });
        tell(`${short(reference)} removed`);
        return true;
      },
    });
  });
}

// Return the plan of a removal. Where it must be forced, the plan with force and the reason.
async function planOf(reference) {
  const target = path`/images/${reference}/removal`;
  try {
    return { plan: await get(target), force: false };
  } catch (error) {
    if (error.status !== 409) {
      throw error;
    }
    const plan = await get(target, { force: 1 }).catch(() => { throw error; });
    return { plan, force: true, reason: error.message };
  }
}

// Ask for an image to pull, and show how far it is.
export function askPull() {
  const name = field("Name, such as debian:stable-slim", { type: "text", required: true, autocomplete: "off" });
  const platform = field("Platform (empty for this machine's)", { type: "text", autocomplete: "off" });
  const steps = element("ul", { class: "progress", "aria-label": "Progress" });
  const stopped = new AbortController();
  const asked = ask({
    title: "Pull an image",
    content: [name.label, platform.label, steps],
    action: "Pull",
    run: () => pull(name.control.value.trim(), platform.control.value.trim(), steps, stopped.signal),
  });
  asked.then(() => stopped.abort());
  return asked;
}

async function pull(name, platform, steps, signal) {
  const rows = new Map();
  fill(steps);
  const { repository, tag } = splitName(name);
  const query = { fromImage: repository, tag: tag || "latest", platform };
  for await (const line of sendForLines("POST", "/images/create", { query, signal })) {
    if (line.error) {
      throw new Error(line.error);
    }
    showStep(steps, rows, line);
  }
  tell(`${name} pulled`);
  return true;
}

// Show a line of progress: one row for each layer, with a bar where the size is known.
export function showStep(steps, rows, line) {
  const key = line.id ?? line.status;
  if (!rows.has(key)) {
    rows.set(key, steps.appendChild(element("li")));
  }
  const { current, total } = line.progressDetail ?? {};
  const label = `${line.id ? `${line.id}: ` : ""}${line.status}`;
  fill(rows.get(key), label, total && [" ", element("progress", { max: total, value: current, "aria-label": label }), ` ${size(current)} of ${size(total)}`]);
}

// Return the repository and the tag, or digest, of a name.
export function splitName(name) {
  const at = name.indexOf("@");
  if (at >= 0) {
    return { repository: name.slice(0, at), tag: name.slice(at + 1) };
  }
  const colon = name.indexOf(":", name.lastIndexOf("/") + 1);
  return colon < 0 ? { repository: name, tag: "" } : { repository: name.slice(0, colon), tag: name.slice(colon + 1) };
}
