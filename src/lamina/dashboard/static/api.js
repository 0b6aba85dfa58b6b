// The daemon's API: the Docker Engine API and lamina's extensions of it.

// What came with the page: whether it is read-only, a time, and answers that the daemon gave after that time.
const { readOnly, since, answers } = JSON.parse(document.getElementById("first-answers").textContent);

export const settings = { readOnly };
export { since };

window.addEventListener("hashchange", () => Object.keys(answers).forEach((target) => delete answers[target]));

// An answer of the daemon that is an error, with its sentence.
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Return a path whose variable parts are encoded: path`/containers/${id}/json`.
export function path(texts, ...parts) {
  return texts.map((text, index) => (index ? encodeURIComponent(parts[index - 1]) : "") + text).join("");
}

// Return the address of a GET, for links that download. Objects and lists in the query become JSON.
export function address(target, query = {}) {
  return `/api${target}${encodeQuery(query)}`;
}

// Return the JSON that a GET answers.
export async function get(target, query = {}, signal = null, headers = {}) {
  const first = `${target}${encodeQuery(query)}`;
  if (first in answers) {
    const answer = answers[first];
    delete answers[first];
    return answer;
  }
  const answer = await request("GET", target, { query, signal, headers });
  return answer.json();
}

// Return the answer of a GET as it is, for bodies that are no JSON.
export function getRaw(target, query = {}, signal = null, headers = {}) {
  return request("GET", target, { query, signal, headers });
}

// Send a change. Return the JSON of its answer, or null where it has none.
export async function send(method, target, { query = {}, body, headers = {}, signal = null } = {}) {
  const answer = await request(method, target, { query, body, headers, signal });
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

// Send a change whose answer comes line by line, such as a pull. Yield each line's value.
export async function* sendForLines(method, target, { query = {}, body, headers = {}, signal = null } = {}) {
  const answer = await request(method, target, { query, body, headers, signal });
  yield* parseLines(pieces(answer.body.getReader()));
}

// Yield the values of a GET that answers line by line without end, such as events.
export function lines(target, query, signal) {
  return parseLines(stream(target, query, signal));
}

// Yield the bytes of a GET that may answer without end, until it ends or the signal aborts it.
export async function* stream(target, query, signal) {
  const socket = openSocket(`/stream${target}${encodeQuery(query)}`);
  const waiting = [];
  let wake = () => {};
  let end = null;
  const finish = (error) => {
    end ??= { error };
    wake();
  };
  socket.addEventListener("message", (event) => {
    waiting.push(new Uint8Array(event.data));
    wake();
  });
  socket.addEventListener("close", (event) => finish(event.code === 1000 ? null : new ApiError(0, event.reason || "The connection was lost")));
  signal?.addEventListener("abort", () => {
    finish(null);
    closeQuietly(socket);
  });
  try {
    while (waiting.length || !end) {
      if (waiting.length) {
        yield waiting.shift();
      } else {
        await new Promise((resolve) => { wake = resolve; });
      }
    }
  } finally {
    closeQuietly(socket);
  }
  if (end.error) {
    throw end.error;
  }
}

// Return a WebSocket that speaks with the process of an exec, or with another WebSocket of the API.
export function connect(target, query = {}) {
  return openSocket(`/socket${target}${encodeQuery(query)}`);
}

function openSocket(target) {
  const socket = new WebSocket(`ws://${location.host}${target}`);
  socket.binaryType = "arraybuffer";
  return socket;
}

// Close a socket when it is open: browsers note an error for one that is closed before.
function closeQuietly(socket) {
  if (socket.readyState === WebSocket.CONNECTING) {
    socket.addEventListener("open", () => socket.close());
  } else {
    socket.close();
  }
}

async function request(method, target, { query, body, headers = {}, signal }) {
  const isJson = body !== undefined && !(body instanceof Blob);
  const answer = await fetch(`/api${target}${encodeQuery(query)}`, {
    method,
    signal,
    headers: { "X-Lamina-Dashboard": "1", ...(isJson ? { "Content-Type": "application/json" } : {}), ...headers },
    body: isJson ? JSON.stringify(body) : body,
  });
  if (!answer.ok && answer.status !== 304) {
    throw new ApiError(answer.status, await sentence(answer));
  }
  return answer;
}

async function sentence(answer) {
  const text = await answer.text();
  try {
    return JSON.parse(text).message ?? text;
  } catch {
    return text || `The daemon answered ${answer.status}`;
  }
}

function encodeQuery(query) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== "") {
      parameters.append(name, typeof value === "object" ? JSON.stringify(value) : value);
    }
  }
  const text = parameters.toString();
  return text && `?${text}`;
}

async function* pieces(reader) {
  for (;;) {
    const { value, done } = await reader.read();
    if (done) {
      return;
    }
    yield value;
  }
}

async function* parseLines(source) {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of source) {
    const parts = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = parts.pop();
    yield* parts.filter((part) => part.trim()).map((part) => JSON.parse(part));
  }
  if (rest.trim()) {
    yield JSON.parse(rest);
  }
}
