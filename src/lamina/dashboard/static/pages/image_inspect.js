// All that the daemon knows of an image.

import { short } from "../format.js";
import { showFrame } from "../image_frame.js";
import { jsonView } from "../json_view.js";

export async function show(page) {
  const image = await showFrame(page, "inspect");
  page.main.append(jsonView(image, `${short(image.Id)}.json`));
}
