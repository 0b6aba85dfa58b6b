// A build that this window has started, as it happens.

import { runOf } from "../build_runs.js";
import { BuildView } from "../build_view.js";
import { button, element, fill, link, place } from "../dom.js";
import { buildTabs } from "./builds.js";

const TICK = 500; // milliseconds between drawings of steps that run

export function show(page) {
  const run = runOf(page.parameters.key);
  if (!run) {
    location.hash = place("builds");
    return;
  }
  page.title(run.title);
  const status = element("p", { class: "count", role: "status" });
  const actions = element("div", { class: "actions" });
  const view = new BuildView(run.model);
  page.main.append(buildTabs("builds"), status, actions, view.element);
  fill(actions, button("Stop the build", run.stop, { class: "danger" }));
  let isWaiting = false;
  const draw = () => {
    isWaiting = false;
    view.draw();
    describe(run.model, status, actions);
  };
  const change = () => {
    if (!isWaiting) {
      isWaiting = true;
      requestAnimationFrame(draw);
    }
  };
  run.changes.addEventListener("change", change, { signal: page.signal });
  const ticking = setInterval(() => (run.model.isDone ? clearInterval(ticking) : change()), TICK);
  page.signal.addEventListener("abort", () => clearInterval(ticking));
  draw();
}

function describe(model, status, actions) {
  const text = !model.isDone ? `Being built. ${model.status}` : model.error ? "The build has failed." : "The image is built.";
  if (status.textContent !== text) {
    fill(status, text);
  }
  if (model.isDone) {
    fill(actions, model.image && link("The image", "images", model.image, "layers"), " ",
      model.ref && link("The record", "builds", "records", model.ref));
  }
}
