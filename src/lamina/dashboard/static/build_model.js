// A build as values: its stages and steps, from the messages of a live build or from a record.

const MOST_TEXT = 1 << 20; // characters of a log that are kept; the end counts

// The end of a log. `dropped` counts the texts in front of `texts` that are gone.
export class LogEnd {
  constructor(...texts) {
    Object.assign(this, { texts: [], dropped: 0, size: 0 });
    texts.filter(Boolean).forEach((text) => this.add(text));
  }

  add(text) {
    this.texts.push(text);
    this.size += text.length;
    if (this.size > MOST_TEXT && this.texts.length > 1) {
      const gone = this.texts.splice(0, Math.ceil(this.texts.length / 2));
      this.dropped += gone.length;
      this.size -= gone.reduce((sum, each) => sum + each.length, 0);
    }
  }
}

// Outcomes of a step: "waiting", "running", and those of the API: "cached", "run", "failed", "skipped".
export class BuildModel {
  constructor() {
    Object.assign(this, { stages: [], steps: new Map(), log: new LogEnd(), error: null, image: "", ref: "", isDone: false, status: "" });
    this.began = Date.now() / 1000;
  }

  // Take one line of the daemon's answer. Return the step that it is about, if any.
  take(line) {
    if (line.error) {
      this.error ??= { message: line.error };
    } else if (line.stream) {
      this.log.add(line.stream);
    } else if (line.status) {
      this.status = [line.id, line.status, line.progress].filter(Boolean).join(" ");
    } else if (line.aux) {
      return this.takeValue(line.aux);
    }
    return null;
  }

  takeValue({ Ref: ref, Plan: plan, Started: started, Log: log, Step: ended, Failed: failed, ID: image }) {
    this.ref = ref ?? this.ref;
    this.image = image ?? this.image;
    if (plan) {
      plan.Stages.forEach((stage) => this.plan(stage, plan.Platform));
    } else if (started) {
      return Object.assign(this.step(started), { outcome: "running", started: started.Time });
    } else if (log) {
      const step = this.step(log);
      step.log.add(log.Text);
      return step;
    } else if (ended) {
      return this.end(ended);
    } else if (failed) {
      this.error = { message: failed.Message, line: failed.Line, excerpt: failed.Excerpt };
    }
    return null;
  }

  plan({ Stage: number, Name: name, Instructions: instructions, Needs: needs = [], Skipped: isSkipped }, platform = "") {
    const stage = this.stage(number, name, platform);
    stage.needs = needs.map((need) => keyOf(platform, need));
    instructions.forEach((instruction, index) => Object.assign(
      this.step({ Stage: number, Number: index, Platform: platform }), { instruction, outcome: isSkipped ? "skipped" : "waiting" },
    ));
  }

  end(ended) {
    const stage = this.stage(ended.Stage, ended.StageName, ended.Platform);
    const step = this.step(ended);
    const { Instruction: instruction, Outcome: outcome, Seconds: seconds = 0, Started: started = 0, Line: line, Omitted: omitted = 0 } = ended;
    Object.assign(step, { instruction, outcome, seconds, started, line, omitted, differences: ended.Differences ?? [] });
    if (ended.Needs) {
      stage.needs = ended.Needs.map((need) => keyOf(ended.Platform, need));
    }
    return step;
  }

  stage(number, name = "", platform = "") {
    const key = keyOf(platform, number);
    let stage = this.stages.find((each) => each.key === key);
    if (!stage) {
      const title = [platform, name || (number === undefined ? "" : `stage ${number}`)].filter(Boolean).join(" ");
      stage = { key, number, title, needs: [], steps: [] };
      this.stages.push(stage);
    }
    return stage;
  }

  step({ Stage: number, Number: index, Platform: platform = "" }) {
    const key = `${keyOf(platform, number)}.${index}`;
    if (!this.steps.has(key)) {
      const stage = this.stage(number, "", platform);
      const step = { key, stage, index, instruction: "", outcome: "waiting", started: 0, seconds: 0, log: new LogEnd(), differences: [], omitted: 0 };
      this.steps.set(key, step);
      stage.steps.push(step);
    }
    return this.steps.get(key);
  }

  // Return the steps that began, with their begin and end in seconds from the first begin, and the whole time.
  timeline() {
    const steps = [...this.steps.values()].filter((step) => step.started);
    const first = Math.min(...steps.map((step) => step.started), this.began);
    const now = Date.now() / 1000;
    const rows = steps.map((step) => {
      const begin = step.started - first;
      return { step, begin, end: step.outcome === "running" ? Math.max(begin, now - first) : begin + step.seconds };
    });
    return { rows, total: Math.max(0.001, ...rows.map((row) => row.end)) };
  }
}

function keyOf(platform = "", number) {
  return `${platform}/${number}`;
}

// Return the model of a build's record.
export function modelOf(record) {
  const model = new BuildModel();
  model.began = (record.Started ?? 0) / 1e9;
  model.isDone = true;
  model.ref = record.Ref;
  model.image = record.Response?.["containerimage.digest"] ?? "";
  model.log = new LogEnd(record.Log);
  model.error = record.Error ? { message: record.Error, excerpt: record.Excerpt } : null;
  const vertices = record.Vertices ?? [];
  if (record.Steps?.length) {
    record.Steps.forEach((step) => model.end(step));
    const begun = [...model.steps.values()].filter((step) => step.started);
    begun.forEach((step, index) => step.log.add(vertices[index]?.Log ?? ""));
  } else {
    vertices.forEach((vertex, index) => addVertex(model, vertex, index));
  }
  return model;
}

// Add a step of a build over BuildKit's protocol, which tells of vertices without stages.
function addVertex(model, vertex, index) {
  const step = model.step({ Stage: undefined, Number: index });
  const outcome = vertex.Error ? "failed" : vertex.Cached ? "cached" : vertex.Started ? "run" : "skipped";
  const started = (vertex.Started ?? 0) / 1e9;
  const seconds = vertex.Completed ? Math.max(0, vertex.Completed / 1e9 - started) : 0;
  Object.assign(step, { instruction: vertex.Name, outcome, started, seconds, log: new LogEnd(vertex.Log, vertex.Error) });
}

const SENTENCES = {
  new: "no earlier step is like it",
  lost: "the image of the earlier step is gone",
  "no-cache": "the build asked for no cache",
};

// Return why a step had to run, as a sentence for each difference from the nearest earlier step.
export function reasons(step) {
  const sentences = step.differences.map(({ Kind: kind, Name: name = "", Before: before, After: after }) => {
    const what = `${kind} ${name}`.trim();
    return SENTENCES[kind] ?? (!before ? `${what} is new: ${after}` : !after ? `${what} is gone: it was ${before}` : `${what} was ${before}, is ${after}`);
  });
  return step.omitted ? [...sentences, `and ${step.omitted} more differences`] : sentences;
}
