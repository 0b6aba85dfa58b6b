// Builds: a form to start one, those under way, and the records of earlier ones.

import { get, path, send } from "../api.js";
import { duration } from "../build_times.js";
import { runningBuilds, startBuild } from "../build_runs.js";
import { section } from "../details.js";
import { button, element, field, fill, link, place } from "../dom.js";
import { keepLoaded } from "../events.js";
import { ago } from "../format.js";
import { parsePairs } from "../labels.js";
import { ask, attempt, tell } from "../messages.js";
import { Table } from "../table.js";
import { tabs } from "../tabs.js";
import { tarOfFiles } from "../tar.js";

const VIEWS = [["builds", "Builds"], ["cache", "Cache"]];
const MODE = 0o755; // a browser does not tell modes, and scripts must run

// Return the tabs of the pages about builds.
export function buildTabs(current) {
  return tabs("Views of builds", VIEWS, current, (name) => (name === "cache" ? place("builds", "cache") : place("builds")));
}

export async function show(page) {
  const running = element("div");
  const table = new Table({
    label: "builds",
    columns: page.settings.readOnly ? COLUMNS : [...COLUMNS, actions(page.signal, () => load())],
    key: (record) => record.Ref,
    text: (record) => `${titleOf(record)} ${record.Ref} ${outcomeOf(record)}`,
    empty: "No build has left a record yet.",
  });
  page.main.append(buildTabs("builds"));
  if (!page.settings.readOnly) {
    page.main.append(element("div", { class: "actions" }, button("Start a build", askToBuild, { class: "primary" })));
  }
  page.main.append(running, section("Earlier builds", table.element));
  fill(running, runningBuilds().map((run) => element("p", {}, link(`${run.title} is being built`, "builds", "live", run.key))));
  const load = async () => table.update(await get("/build/history", {}, page.signal));
  await keepLoaded(["builder", "image"], load, page.signal);
}

const COLUMNS = [
  { title: "Build", cell: (record) => link(titleOf(record), "builds", "records", record.Ref), sort: titleOf },
  { title: "Ended", cell: (record) => element("span", { class: `outcome ${outcomeOf(record)}` }, outcomeOf(record)), sort: outcomeOf },
  { title: "Took", cell: (record) => duration(secondsOf(record)), sort: secondsOf },
  { title: "Started", cell: (record) => ago((record.Started ?? 0) / 1e9), sort: (record) => record.Started ?? 0 },
];

function actions(signal, reload) {
  return {
    title: "Actions",
    cell: (record) => button("Forget", () => attempt(async () => {
      await send("DELETE", path`/build/history/${record.Ref}`, { signal });
      tell("The record is gone");
      await reload();
    }), { "aria-label": `Forget ${titleOf(record)}` }),
  };
}

// Return what people know a build by.
export function titleOf(record) {
  const { t: tag, context, remote } = record.Options ?? {};
  return tag || context || remote || record.Ref;
}

// Return how a build ended.
export function outcomeOf(record) {
  return !record.Error ? "completed" : record.Code === 1 ? "canceled" : "failed";
}

function secondsOf(record) {
  return Math.max(0, ((record.Completed ?? 0) - (record.Started ?? 0)) / 1e9);
}

async function askToBuild() {
  const text = { type: "text", autocomplete: "off", spellcheck: "false" };
  const folder = field("Folder of this computer", { type: "file", webkitdirectory: true, multiple: true });
  const remote = field("Or a git address", { ...text, placeholder: "https://example.com/app.git#branch:folder" });
  const tag = field("Name of the image", { ...text, placeholder: "app:latest" });
  const dockerfile = field("Dockerfile (empty for Dockerfile)", text);
  const target = field("Target stage (empty for the last)", text);
  const args = field("Build arguments, one NAME=VALUE a line", { rows: "2" }, "textarea");
  const fresh = field("Use no cache", { type: "checkbox" });
  const pull = field("Pull newer bases", { type: "checkbox" });
  const run = await ask({
    title: "Start a build",
    content: [folder, remote, tag, dockerfile, target, args, fresh, pull].map(({ label }) => label),
    action: "Build",
    run: async () => {
      const address = remote.control.value.trim();
      const context = address ? null : contextOf([...folder.control.files]);
      const query = {
        t: tag.control.value.trim(), dockerfile: dockerfile.control.value.trim(), target: target.control.value.trim(),
        remote: address, buildargs: parsePairs(args.control.value),
        nocache: fresh.control.checked ? 1 : "", pull: pull.control.checked ? 1 : "",
      };
      return startBuild(query.t || address || "A build", query, context);
    },
  });
  if (run) {
    location.hash = place("builds", "live", run.key);
  }
}

// Return the tar of a folder that was chosen. The folder's own name is not part of the paths.
function contextOf(files) {
  if (!files.length) {
    throw new Error("Choose a folder, or write a git address");
  }
  return tarOfFiles(files.map((file) => [file.webkitRelativePath.split("/").slice(1).join("/"), file]), MODE);
}
