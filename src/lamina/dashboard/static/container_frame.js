// The head of every page about one container: its name, state and ports, what can be done, and the tabs.

import { get, path } from "./api.js";
import { actionsOf, nameOf, portsOf, stateOf } from "./container.js";
import { element, fill, link, place, refill } from "./dom.js";
import { keepLoaded } from "./events.js";
import { report } from "./messages.js";
import { tabs } from "./tabs.js";

const TABS = [
  ["logs", "Logs"], ["terminal", "Terminal"], ["stats", "Usage"], ["files", "Files"], ["changes", "Changes"],
  ["inspect", "Details"],
];

// Show the head of a page about the container that the page's parameters name, and return its details.
//
// The head follows the container's state. When the container is removed, the list of containers is shown.
export async function showFrame(page, tab) {
  const { id } = page.parameters;
  const summary = element("p", { class: "summary" });
  const actions = element("div", { class: "actions" });
  const details = await get(path`/containers/${id}/json`, {}, page.signal);
  page.title(nameOf(details));
  const shown = page.settings.readOnly ? TABS.filter(([name]) => name !== "terminal") : TABS;
  page.main.append(summary, actions, tabs(`Views of ${nameOf(details)}`, shown, tab, (name) => place("containers", id, name)));
  const load = async () => {
    const [container] = await get("/containers/json", { all: 1, filters: { id: [details.Id] } }, page.signal);
    if (!container) {
      location.hash = place("containers");
      return;
    }
    fill(summary, stateOf(container), container.Status, " · ", imageLink(container), " ", portsOf(container));
    refill(actions, page.settings.readOnly ? [] : actionsOf(container));
  };
  keepLoaded(["container"], load, page.signal).catch((error) => page.signal.aborted || report(error));
  return details;
}

function imageLink(container) {
  return link(container.Image, "images", container.ImageID, "layers");
}
