/** Dead letters as lines of JSON, read piece by piece as the client takes them. */

import type { DeadLetterFilter } from "../storage/dead-letter-filter.ts";
import type { DeadLetterQueries } from "../storage/dead-letter-queries.ts";
import type { DeadLetter } from "../storage/dead-letter-row.ts";

/** Letters read at once: at most 1 MiB each, and some kilobytes as a rule. */
const pieceLetters = 8;

/** Every letter of `filter`, oldest first, a line each as `view` shows it. Those that come meanwhile are there too. */
export function exportStream(
  queries: Pick<DeadLetterQueries, "after">,
  filter: DeadLetterFilter,
  view: (letter: DeadLetter) => object,
): ReadableStream<Uint8Array> {
  let afterId = 0;
  return new ReadableStream(
    {
      pull: (controller) => {
        const letters = queries.after(filter, afterId, pieceLetters);
        const last = letters.at(-1);
        if (last === undefined) {
          controller.close();
          return;
        }
        afterId = last.id;
        const lines = letters.map((letter) => `${JSON.stringify(view(letter))}\n`);
        controller.enqueue(Buffer.from(lines.join("")));
      },
    },
    { highWaterMark: 0 },
  );
}
