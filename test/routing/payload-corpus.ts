/** Payloads that a client may send to hurt whoever looks into them, as JSON texts. */

const nested = (open: string, inner: string, close: string, levels: number) =>
  `${open.repeat(levels)}${inner}${close.repeat(levels)}`;

/** By what is odd about each. */
export const hostilePayloads: Readonly<Record<string, string>> = {
  null: "null",
  "a number": "1e308",
  "a number beyond the largest": "1e999",
  "a number of 1,000 digits": "9".repeat(1_000),
  "minus zero": "-0",
  "a text of 1 MB": JSON.stringify("a".repeat(2 ** 20)),
  "a command of 1 MB": JSON.stringify({ command: `!${"a".repeat(2 ** 20)}` }),
  "a thousand fields": JSON.stringify(
    Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`f${i}`, i])),
  ),
  "127 lists, one in the other": nested("[", "1", "]", 127),
  "127 objects, one in the other": nested('{"command":', '"!x"', "}", 127),
  "a key twice, the last counts": '{"command":"!first","command":"plain"}',
  "own __proto__": '{"__proto__":{"command":"!ping","admin":true}}',
  "own __proto__ that is a text": '{"__proto__":"!ping"}',
  "own constructor": '{"constructor":{"prototype":{"command":"!ping"}}}',
  "own hasOwnProperty": '{"hasOwnProperty":1,"command":"!ping"}',
  "own toString and valueOf": '{"command":{"toString":"!x","valueOf":"!x"}}',
  "a list in place of the object": '["!ping"]',
  "a list in place of the text": '{"command":["!ping"]}',
  "an object in place of the text": '{"command":{"0":"!","length":1}}',
  "a lone high surrogate": '{"command":"!\\ud800"}',
  "a lone low surrogate as a key": '{"\\udc00":"!ping"}',
  "controls and marks": '{"command":"!\\u001b[2J\\u0000\\u202e\\u2028\\u009b31m"}',
  "an empty key": '{"":"!ping","a":{"":1}}',
  "keys with dots": '{"user.id":1,"user":{"id":2}}',
  "a key that is a number": '{"0":"!ping","items":{"0":1}}',
};
