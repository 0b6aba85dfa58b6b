// One volume: where it is, who uses it, its labels and options.

import { figures, pairsTable, section } from "../details.js";
import { button, element, fill, place } from "../dom.js";
import { keepLoaded } from "../events.js";
import { remove, users, volumes } from "./volumes.js";

export async function show(page) {
  const { name } = page.parameters;
  page.title(name);
  const body = element("div");
  page.main.append(body);
  const load = async () => {
    const volume = (await volumes(page.signal)).find((each) => each.Name === name);
    if (!volume) {
      location.hash = place("volumes");
      return;
    }
    fill(body,
      !page.settings.readOnly && element("div", { class: "actions" },
        button("Remove", () => remove(volume), { class: "danger", "aria-label": `Remove ${name}` })),
      figures([
        ["Driver", volume.Driver],
        ["Created", volume.CreatedAt],
        ["Used by", volume.users.length ? users(volume) : "no container"],
        ["Folder", element("code", {}, volume.Mountpoint)],
      ]),
      section("Labels", pairsTable("Labels", volume.Labels)),
      section("Options", pairsTable("Options", volume.Options)));
  };
  await keepLoaded(["volume", "container"], load, page.signal);
}
