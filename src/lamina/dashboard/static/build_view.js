// The view of one build: drawings, its error, and each step with its reasons and its log.

import { Painter } from "./ansi.js";
import { drawStages, drawTimeline } from "./build_drawings.js";
import { reasons } from "./build_model.js";
import { duration } from "./build_times.js";
import { scrolling, section } from "./details.js";
import { append, element, fill } from "./dom.js";

const MOST_LINES = 5000; // of one log on the page

export class BuildView {
  constructor(model) {
    this.model = model;
    this.problem = element("div");
    this.stages = element("div");
    this.timeline = element("div");
    this.steps = element("ol", { class: "steps" });
    this.log = new LogView();
    this.lines = new Map();
    this.element = element("div", {}, this.problem, section("Stages", scrolling("Drawing of the stages", this.stages)),
      section("Timeline", scrolling("Drawing of the timeline", this.timeline)), section("Steps", this.steps),
      section("Messages", this.log.element));
  }

  // Show the model as it is now.
  draw() {
    const { model } = this;
    fill(this.stages, model.stages.length ? drawStages(model) : "No stage has begun.");
    fill(this.timeline, model.timeline().rows.length ? drawTimeline(model) : "No step has begun.");
    for (const step of model.steps.values()) {
      this.drawStep(step);
    }
    this.log.show(model.log);
    this.drawError(model.error);
  }

  drawError(error) {
    if (error && !this.problem.hasChildNodes()) {
      append(this.problem, element("div", { class: "failure", role: "alert" }, element("p", {}, error.message),
        error.excerpt && element("pre", { class: "view", tabindex: "0", "aria-label": "Lines of the Dockerfile" }, error.excerpt)));
    }
  }

  drawStep(step) {
    let line = this.lines.get(step.key);
    if (!line) {
      line = new StepLine(step);
      this.lines.set(step.key, line);
      this.steps.append(line.element);
    }
    line.draw();
  }
}

class StepLine {
  constructor(step) {
    this.step = step;
    this.outcome = "";
    this.summary = element("summary");
    this.why = element("div");
    this.log = new LogView();
    this.details = element("details", {}, this.summary, this.why, this.log.element);
    this.element = element("li", {}, this.details);
  }

  draw() {
    const { step } = this;
    if (this.outcome !== step.outcome) {
      this.outcome = step.outcome;
      const took = ["run", "cached", "failed"].includes(step.outcome) ? `, ${duration(step.seconds)}` : "";
      fill(this.summary, element("span", { class: `outcome ${step.outcome}` }, step.outcome), took, " · ",
        element("code", {}, step.instruction), step.line ? ` (line ${step.line})` : "");
      const sentences = reasons(step);
      fill(this.why, sentences.length ? [element("p", {}, "It ran because:"), element("ul", { class: "reasons" }, sentences.map((sentence) => element("li", {}, sentence)))] : []);
      this.details.open ||= step.outcome === "failed";
    }
    this.log.show(step.log);
  }
}

// The lines of a log, in the colours that they ask for. More is added at the end only.
class LogView {
  constructor() {
    this.element = element("pre", { class: "view log-part", tabindex: "0", "aria-label": "Log", hidden: true });
    this.painter = new Painter();
    this.taken = 0;
    this.lines = 0;
    this.rest = "";
  }

  show({ texts, dropped }) {
    const end = dropped + texts.length;
    if (this.taken === end) {
      return;
    }
    const lines = (this.rest + texts.slice(Math.max(0, this.taken - dropped)).join("")).split("\n");
    this.taken = end;
    this.rest = lines.pop();
    this.last?.remove();
    lines.forEach((line) => this.add(line));
    this.last = this.rest ? element("span", {}, this.rest) : null;
    append(this.element, this.last);
    this.element.hidden = !this.element.hasChildNodes();
  }

  add(line) {
    append(this.element, element("span", {}, this.painter.paint(line.replace(/\r$/, "")), "\n"));
    this.lines += 1;
    if (this.lines > MOST_LINES) {
      this.element.firstChild.remove();
    }
  }
}
