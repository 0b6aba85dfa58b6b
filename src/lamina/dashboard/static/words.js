// The words of a command as a shell splits them, with quotes and backslashes and nothing else.

// Return the words of a text. Throw for a quote that does not end.
export function words(text) {
  const list = [];
  let word = null;
  let quote = "";
  for (let index = 0; index < text.length; index += 1) {
    const letter = text[index];
    if (letter === "\\" && quote !== "'" && index + 1 < text.length) {
      index += 1;
      word = (word ?? "") + text[index];
    } else if (quote ? letter === quote : letter === "'" || letter === '"') {
      quote = quote ? "" : letter;
      word ??= "";
    } else if (!quote && /\s/.test(letter)) {
      list.push(...(word === null ? [] : [word]));
      word = null;
    } else {
      word = (word ?? "") + letter;
    }
  }
  if (quote) {
    throw new Error(`The quote ${quote} does not end.`);
  }
  return word === null ? list : [...list, word];
}
