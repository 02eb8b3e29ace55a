// Makes text from outside harmless as the pages do that come from the server: what a reader would not see is shown as
// its number, a heap of marks is cut, and so is what is longer than a browser lays out.
const LONGEST = 200_000;
const LINE = 4_000;
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u180b-\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]/gu;

export function plain(text) {
  const some = text.length > LONGEST ? `${text.slice(0, LONGEST)} … (the rest is not shown here)` : text;
  const lines = some.split("\n").map((line) => (line.length > LINE ? `${line.slice(0, LINE)} … (cut)` : line));
  return lines.join("\n")
    .replace(UNSEEN, (c) => `⟨${c.codePointAt(0).toString(16).toUpperCase()}⟩`)
    .replace(/(\p{M}{8})\p{M}+/gu, "$1");
}
