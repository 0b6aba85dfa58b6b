// Tar archives: how files go into containers and builds, and come out of containers.

const BLOCK = 512;
const LIMITS = { name: [0, 100], mode: [100, 8], uid: [108, 8], gid: [116, 8], size: [124, 12], mtime: [136, 12], check: [148, 8], type: [156, 1], magic: [257, 8] };

// Return a tar with one file, as a Blob that does not hold the file's bytes twice.
export function tarOf(name, file) {
  return tarOfFiles([[name, file]], 0o644);
}

// Return a tar of pairs of a path and a file, all with the same mode.
export function tarOfFiles(files, mode) {
  const parts = files.map(([name, file]) => member(name, file, mode));
  return new Blob([...parts.flat(), new Uint8Array(2 * BLOCK)], { type: "application/x-tar" });
}

function member(name, file, mode) {
  const encoded = new TextEncoder().encode(name);
  const parts = [];
  if (encoded.length > LIMITS.name[1]) {
    const record = paxRecord("path", name);
    parts.push(header("PaxHeaders", record.length, "x", mode), record, padding(record.length));
  }
  return [...parts, header(encoded.slice(0, LIMITS.name[1]), file.size, "0", mode), file, padding(file.size)];
}

// Return the bytes of the first regular file in a tar, or null where there is none.
export function firstFile(bytes) {
  let offset = 0;
  while (offset + BLOCK <= bytes.length && bytes[offset]) {
    const length = parseInt(text(bytes, offset, LIMITS.size), 8) || 0;
    const type = text(bytes, offset, LIMITS.type);
    if (type === "0" || type === "") {
      return bytes.subarray(offset + BLOCK, offset + BLOCK + length);
    }
    offset += BLOCK + Math.ceil(length / BLOCK) * BLOCK;
  }
  return null;
}

function header(name, size, type, mode) {
  const block = new Uint8Array(BLOCK);
  const put = (field, value) => block.set(typeof value === "string" ? new TextEncoder().encode(value) : value, LIMITS[field][0]);
  const octal = (field, value) => put(field, value.toString(8).padStart(LIMITS[field][1] - 1, "0"));
  put("name", name);
  octal("mode", mode);
  octal("uid", 0);
  octal("gid", 0);
  octal("size", size);
  octal("mtime", Math.floor(Date.now() / 1000));
  put("check", "        ");
  put("type", type);
  put("magic", "ustar\u000000");
  octal("check", block.reduce((sum, byte) => sum + byte, 0));
  return block;
}

// Return an extended header's record, which begins with its own length in bytes (POSIX pax).
function paxRecord(key, value) {
  const rest = new TextEncoder().encode(` ${key}=${value}\n`);
  let length = rest.length;
  while (length !== rest.length + String(length).length) {
    length = rest.length + String(length).length;
  }
  return new Uint8Array([...new TextEncoder().encode(String(length)), ...rest]);
}

function padding(size) {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}

function text(bytes, offset, [start, length]) {
  return new TextDecoder().decode(bytes.subarray(offset + start, offset + start + length)).replace(/\0.*$/s, "").trim();
}
