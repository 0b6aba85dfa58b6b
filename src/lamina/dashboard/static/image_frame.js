// The head of every page about one image: its names, what can be done, and the tabs.

import { get, path } from "./api.js";
import { button, element, fill, place, refill } from "./dom.js";
import { keepLoaded } from "./events.js";
import { ago, short, size } from "./format.js";
import { askRemoval, askTag } from "./image_actions.js";
import { report } from "./messages.js";
import { tabs } from "./tabs.js";

const TABS = [
  ["layers", "Layers"], ["files", "Files"], ["history", "History"], ["packages", "Packages"], ["compare", "Compare"],
  ["inspect", "Details"],
];

// Return the first name of an image's details, or the beginning of its ID.
export function titleOf(image) {
  return image.RepoTags?.[0] ?? short(image.Id);
}

// Return the names of an image of a list. Docker's clients show one without a name as "<none>:<none>".
export function namesOf(image) {
  return (image.RepoTags ?? []).filter((tag) => tag !== "<none>:<none>");
}

// Show the head of a page about the image that the page's parameters name, and return its details.
export async function showFrame(page, tab) {
  const { id } = page.parameters;
  const image = await get(path`/images/${id}/json`, {}, page.signal);
  const summary = element("p", { class: "summary" });
  const actions = element("div", { class: "actions" });
  page.title(titleOf(image));
  page.main.append(summary, actions, tabs(`Views of ${titleOf(image)}`, TABS, tab, (name) => place("images", id, name)));
  const load = async () => {
    const images = await get("/images/json", { all: 1 }, page.signal);
    const current = images.find((other) => other.Id === image.Id);
    if (!current) {
      location.hash = place("images");
      return;
    }
    fill(summary, `${namesOf(current).join(", ") || "no name"} · `, element("code", {}, short(current.Id)),
      ` · ${image.Os}/${image.Architecture} · ${size(current.Size)} · ${ago(current.Created)}`);
    refill(actions, page.settings.readOnly ? [] : actionsOf(id, current));
  };
  keepLoaded(["image"], load, page.signal).catch((error) => page.signal.aborted || report(error));
  return image;
}

function actionsOf(id, image) {
  return [
    element("a", { class: "button", href: place("images", id, "run") }, "Run"),
    button("Tag", () => askTag(image)),
    ...namesOf(image).map((tag) => button(`Remove ${tag}`, () => askRemoval(tag), { class: "danger" })),
    namesOf(image).length !== 1 && button("Remove the image", () => askRemoval(image.Id), { class: "danger" }),
  ];
}

