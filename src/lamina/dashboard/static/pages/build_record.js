// The record of an earlier build.

import { get, path } from "../api.js";
import { modelOf } from "../build_model.js";
import { duration } from "../build_times.js";
import { BuildView } from "../build_view.js";
import { downloadButton, figures, pairsTable, section } from "../details.js";
import { element, link } from "../dom.js";
import { buildTabs, outcomeOf, titleOf } from "./builds.js";

export async function show(page) {
  const record = await get(path`/build/history/${page.parameters.ref}`, {}, page.signal);
  const model = modelOf(record);
  const view = new BuildView(model);
  page.title(titleOf(record));
  page.main.append(
    buildTabs("builds"),
    figures([
      ["Ended", element("span", { class: `outcome ${outcomeOf(record)}` }, outcomeOf(record))],
      ["Took", duration(Math.max(0, ((record.Completed ?? 0) - (record.Started ?? 0)) / 1e9))],
      ["Started", new Date((record.Started ?? 0) / 1e6).toLocaleString()],
      ["Image", model.image && link(model.image.slice(0, 19), "images", model.image, "layers")],
      ["Record", element("code", {}, record.Ref)],
    ]),
    element("div", { class: "actions" }, downloadButton("Download the record", `${record.Ref}.json`, JSON.stringify(record, null, 2))),
    view.element,
    section("What was asked for", pairsTable("What was asked for", record.Options, "Nothing but the defaults.")),
  );
  view.draw();
}
