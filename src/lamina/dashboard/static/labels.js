// Names and values as people type them: a line each, with an equals sign between.

// Return an object of lines such as "tier=db". Throw for a line without a name.
export function parsePairs(text) {
  return Object.fromEntries(text.split("\n").filter((line) => line.trim()).map((line) => {
    const [name, ...rest] = line.trim().split("=");
    if (!name) {
      throw new Error(`“${line}” has no name in front of the equals sign`);
    }
    return [name, rest.join("=")];
  }));
}
