// The streams of a container without a terminal: frames of eight bytes and a payload (Docker's stdcopy).

const HEAD = 8;

// Yield { stream, text } for each line that a log brings, "stdout" or "stderr". With `isTerminal` there are no frames.
export async function* logLines(source, isTerminal) {
  const buffers = { stdout: new LineBuffer(), stderr: new LineBuffer() };
  for await (const { stream, bytes } of isTerminal ? plain(source) : frames(source)) {
    for (const text of buffers[stream].add(bytes)) {
      yield { stream, text };
    }
  }
  for (const [stream, buffer] of Object.entries(buffers)) {
    if (buffer.rest) {
      yield { stream, text: buffer.rest };
    }
  }
}

class LineBuffer {
  constructor() {
    this.decoder = new TextDecoder();
    this.rest = "";
  }

  add(bytes) {
    const lines = (this.rest + this.decoder.decode(bytes, { stream: true })).split("\n");
    this.rest = lines.pop();
    return lines;
  }
}

async function* plain(source) {
  for await (const bytes of source) {
    yield { stream: "stdout", bytes };
  }
}

async function* frames(source) {
  let rest = new Uint8Array(0);
  for await (const piece of source) {
    rest = joined(rest, piece);
    while (rest.length >= HEAD) {
      const length = new DataView(rest.buffer, rest.byteOffset).getUint32(4);
      if (rest.length < HEAD + length) {
        break;
      }
      yield { stream: rest[0] === 2 ? "stderr" : "stdout", bytes: rest.subarray(HEAD, HEAD + length) };
      rest = rest.subarray(HEAD + length);
    }
  }
}

function joined(one, other) {
  const whole = new Uint8Array(one.length + other.length);
  whole.set(one);
  whole.set(other, one.length);
  return whole;
}
