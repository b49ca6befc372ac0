/** Where decisions are read: from the running conductor, and where none answers from its database. */

import { existsSync } from "node:fs";
import { decisionView } from "../../http/decision-view.ts";
import type { DecisionRecord } from "../../storage/decision-row.ts";
import type { StorageReader } from "../../storage/storage.ts";
import { askConductor, NobodyAnswersError } from "../client.ts";
import { CliError, type Invocation } from "../command.ts";
import { readDatabase, stateLocation } from "../database-place.ts";

/** As the server shows it. */
export type ShownDecision = { id: number } & Record<string, unknown>;

export interface DecisionSource {
  byId(id: number): Promise<ShownDecision>;
  /** The newest, of all plugins or of one; newest first. */
  newest(limit: number, plugin?: string): Promise<ShownDecision[]>;
}

const base = "/api/v1/scaling/decisions";

const serverSource = (invocation: Invocation): DecisionSource => ({
  byId: (id) => askConductor<ShownDecision>(invocation, `${base}/${id}`),
  newest: async (limit, plugin) => {
    const query = new URLSearchParams({ limit: String(limit), ...(plugin === undefined ? {} : { plugin }) });
    const page = await askConductor<{ decisions: ShownDecision[] }>(invocation, `${base}?${query}`);
    return page.decisions;
  },
});

/** What the server would show. */
const shown = (record: DecisionRecord): ShownDecision =>
  JSON.parse(JSON.stringify(decisionView(record))) as ShownDecision;

function readOne({ decisions }: StorageReader, id: number): ShownDecision {
  const found = decisions.byId(id);
  if (found === null) throw new CliError(`${id}: there is no such decision`);
  if (typeof found === "string")
    throw new CliError(`${id}: the decision is kept but cannot be read: ${found}`);
  return shown(found);
}

const fileSource = (path: string): DecisionSource => ({
  byId: async (id) => readDatabase(path, (reader) => readOne(reader, id)),
  newest: async (limit, plugin) =>
    readDatabase(path, ({ decisions }) => decisions.list({ limit, plugin }).decisions.map(shown)),
});

/**
 * Runs `read` on the running conductor; where nobody answers, on the database of the configuration, and says so on stderr.
 * Throws CliError where there is neither, StorageError where the database cannot be read.
 */
export async function withDecisions<Result>(
  invocation: Invocation,
  read: (source: DecisionSource) => Promise<Result>,
): Promise<Result> {
  try {
    return await read(serverSource(invocation));
  } catch (error) {
    if (!(error instanceof NobodyAnswersError)) throw error;
    const { path } = stateLocation(invocation);
    if (path === null || !existsSync(path)) throw error;
    invocation.terminal.err(`conductor: ${error.problem}; read from the database ${path} instead`);
    return read(fileSource(path));
  }
}
