// All that the daemon knows of a container.

import { showFrame } from "../container_frame.js";
import { jsonView } from "../json_view.js";

export async function show(page) {
  const details = await showFrame(page, "inspect");
  page.main.append(jsonView(details, `${details.Name.slice(1)}.json`));
}
