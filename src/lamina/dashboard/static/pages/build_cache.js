// The cache of builds: what is in it, how large it is, and who else needs it.

import { get, send } from "../api.js";
import { askToPrune, figures } from "../details.js";
import { button, element } from "../dom.js";
import { keepLoaded } from "../events.js";
import { ago, short, size } from "../format.js";
import { attempt, tell } from "../messages.js";
import { Table } from "../table.js";
import { buildTabs } from "./builds.js";

const KINDS = { regular: "layer of a step", "exec.cachemount": "cache mount", "source.local": "files of a context" };

export async function show(page) {
  const table = new Table({
    label: "cache",
    columns: COLUMNS,
    key: (entry) => `${entry.Type} ${entry.ID}`,
    text: (entry) => `${entry.Description} ${entry.ID} ${kindOf(entry)} ${entry.KeptFor}`,
    empty: "The cache is empty.",
  });
  const totals = element("div");
  page.main.append(buildTabs("cache"), totals);
  if (!page.settings.readOnly) {
    page.main.append(element("div", { class: "actions" }, button("Empty the cache", () => attempt(async () => {
      await prune();
      await load();
    }))));
  }
  page.main.append(table.element);
  const load = async () => {
    const entries = await cache(page.signal);
    const free = entries.filter(canGo);
    totals.replaceChildren(figures([["In the cache", size(sum(entries))], ["Needed by nobody else", size(sum(free))]]));
    table.update(entries);
  };
  await keepLoaded(["builder", "image", "container"], load, page.signal);
}

async function cache(signal) {
  return (await get("/system/df", { type: "build-cache" }, signal)).BuildCache ?? [];
}

const COLUMNS = [
  { title: "Made by", cell: (entry) => entry.Description || short(entry.ID), sort: (entry) => entry.Description },
  { title: "Kind", cell: kindOf, sort: kindOf },
  { title: "Size", cell: (entry) => size(entry.Size), sort: (entry) => entry.Size },
  { title: "Last used", cell: (entry) => ago(Date.parse(entry.LastUsedAt) / 1000), sort: (entry) => entry.LastUsedAt },
  { title: "Why it is kept", cell: whyKept, sort: whyKept },
];

function kindOf(entry) {
  return KINDS[entry.Type] ?? entry.Type;
}

function whyKept(entry) {
  return entry.InUse ? "a build uses it now" : entry.KeptFor ? `needed by ${entry.KeptFor}` : "for later builds only";
}

function canGo(entry) {
  return !entry.InUse && !entry.KeptFor;
}

function sum(entries) {
  return entries.reduce((total, entry) => total + entry.Size, 0);
}

async function prune() {
  const plan = (await cache(null)).filter(canGo).map((entry) => ({ name: `${entry.Description || short(entry.ID)} (${kindOf(entry)})`, size: entry.Size }));
  if (!plan.length) {
    tell("Nothing in the cache can go");
    return;
  }
  await askToPrune({
    title: "Empty the cache?",
    plan,
    size,
    note: "Later builds run these steps again. What images need stays.",
    run: async () => {
      const { SpaceReclaimed: bytes } = await send("POST", "/build/prune", { query: { all: 1 } });
      tell(`${size(bytes)} freed`);
      return true;
    },
  });
}
