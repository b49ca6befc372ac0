/** The state of one conductor: where it lies, its repositories, what fails, and its end. */

import { existsSync, statSync } from "node:fs";
import type { Clock } from "../clock.ts";
import { type Log, silentLog } from "../log.ts";
import { BreakerRecords } from "./breaker-records.ts";
import type { ChainReport } from "./chain-report.ts";
import { Conversations, usualConversations } from "./conversations.ts";
import { ConductorDatabase } from "./database.ts";
import type { DeadLetterLimits } from "./dead-letter-bounds.ts";
import { DeadLetterOrders } from "./dead-letter-orders.ts";
import { DeadLetterQueries } from "./dead-letter-queries.ts";
import { DeadLetters } from "./dead-letters.ts";
import { DecisionChain, type Head } from "./decision-chain.ts";
import { Decisions } from "./decisions.ts";
import { DisabledPlugins } from "./disabled-plugins.ts";
import { DatabaseIoError, DatabaseReadOnlyError, DiskFullError } from "./errors.ts";
import { Footprints } from "./footprints.ts";
import { IdempotencyKeys, type IdempotencyLimits } from "./idempotency-keys.ts";
import { IntegrationMetrics } from "./integration-metrics.ts";
import type { LocationSource, StateLocation } from "./location.ts";
import { ModelOrders } from "./model-orders.ts";
import { ModelPeaks } from "./model-peaks.ts";
import { Promotions } from "./promotions.ts";
import { Retention, type RetentionAges, type RetentionStep, type SizeReport } from "./retention.ts";
import { Samples } from "./samples.ts";
import { ShadowRecords } from "./shadow-records.ts";
import { Trainings } from "./trainings.ts";
import { verifyChain } from "./verify-chain.ts";
import { WebhookLetters } from "./webhook-letters.ts";
import { WriteGuard, type WriteKind, type WriteProblem } from "./write-guard.ts";

export interface StorageOptions {
  location: StateLocation;
  retention: RetentionAges;
  clock: Clock;
  log: Log;
  /** Called for each write that failed or was left out, for the metric. */
  onWriteFailure?: (kind: WriteKind) => void;
  /** Bound of the database; default 256 MiB, 8 MiB in memory. */
  maxBytes?: number;
  /** Default 10,000 letters, 64 MiB, 7 days; in memory at most 2 MiB. */
  deadLetters?: DeadLetterLimits;
  /** Default 10,000 keys, 16 MiB, 24 hours; in memory at most 1 MiB. */
  idempotency?: IdempotencyLimits;
}

/** For the status: everything that a person should know about the state's state. */
export interface StorageStatus {
  path: string | null;
  source: LocationSource | null;
  inMemoryBecause: string | null;
  journalMode: string;
  size: SizeReport;
  /** Not looked at when it was opened, since the file is large. */
  uncheckedTables: string[];
  ballast: "present" | "spent" | "none";
  /** The file was deleted or replaced under the open database. */
  fileIsGone: boolean;
  failing: { kind: WriteKind; problem: WriteProblem }[];
  failedWrites: Partial<Record<WriteKind, number>>;
  waitingDecisions: number;
  lostDecisions: number;
}

const fileMaxBytes = 256 * 2 ** 20;
const memoryMaxBytes = 8 * 2 ** 20;
const batchRows = 500;
const dayMs = 86_400_000;
const usualDeadLetters = { maxCount: 10_000, maxBytes: 64 * 2 ** 20, maxAgeMs: 7 * dayMs };
/** Bounds of the events that webhooks did not take; their age is that of dead letters. */
const webhookLetters = { maxCount: 1_000, maxBytes: 4 * 2 ** 20 };
const usualKeys = { maxKeys: 10_000, maxBytes: 16 * 2 ** 20, ttlMs: dayMs };

/** Limits as asked for, with fewer bytes where all of the state is in memory. */
const within = <Limits extends { maxBytes: number }>(
  limits: Limits,
  path: string | null,
  inMemoryBytes: number,
) => (path === null ? { ...limits, maxBytes: Math.min(limits.maxBytes, inMemoryBytes) } : limits);

interface Opened {
  database: ConductorDatabase;
  source: LocationSource | null;
  inMemoryBecause: string | null;
}

/** Only a place that nobody asked for, and that holds nothing yet, may be given up for memory. */
function openAt(location: StateLocation, clock: Clock): Opened {
  const inMemory = (inMemoryBecause: string) => ({
    database: ConductorDatabase.inMemory(),
    source: null,
    inMemoryBecause,
  });
  if (location.path === null) return inMemory(location.inMemoryBecause);
  const held = existsSync(location.path) ? statSync(location.path).size : 0;
  try {
    const database = ConductorDatabase.open(location.path, { clock });
    return { database, source: location.source, inMemoryBecause: null };
  } catch (error) {
    const unusable =
      error instanceof DiskFullError ||
      error instanceof DatabaseReadOnlyError ||
      error instanceof DatabaseIoError;
    if (!unusable || held > 0 || location.source === "storage.path") throw error;
    return inMemory(error.problem);
  }
}

/**
 * Opens the state at `location`, creating or upgrading the database. Throws a StorageError (its message is one line with
 * the remedy) when the database cannot be used.
 */
export function openStorage(options: StorageOptions): Storage {
  const opened = openAt(options.location, options.clock);
  const { database, inMemoryBecause } = opened;
  if (inMemoryBecause !== null) options.log.warn("storage.in_memory", { reason: inMemoryBecause });
  for (const { source, folder, reason } of options.location.passedOver)
    options.log.warn("storage.folder_passed_over", { source, folder, reason });
  if (database.integrity.uncheckedTables.length > 0)
    options.log.warn("storage.partly_checked", { tables: database.integrity.uncheckedTables });
  return new Storage(opened, options);
}

export class Storage {
  readonly samples: Samples;
  readonly footprints: Footprints;
  readonly decisions: Decisions;
  readonly integrationMetrics: IntegrationMetrics;
  readonly trainings: Trainings;
  readonly breakers: BreakerRecords;
  readonly shadows: ShadowRecords;
  readonly promotions: Promotions;
  readonly deadLetters: DeadLetters;
  readonly deadLetterOrders: DeadLetterOrders;
  readonly deadLetterQueries: DeadLetterQueries;
  readonly idempotencyKeys: IdempotencyKeys;
  readonly webhookLetters: WebhookLetters;
  readonly disabledPlugins: DisabledPlugins;
  readonly modelPeaks: ModelPeaks;
  readonly modelOrders: ModelOrders;
  readonly conversations: Conversations;
  readonly #retention: Retention;
  readonly #guard: WriteGuard;
  readonly #opened: Opened;
  readonly #clock: Clock;
  readonly #log: Log;
  #closed = false;
  #fileWasGone = false;

  constructor(opened: Opened, options: StorageOptions) {
    const { database } = opened;
    const { ballast } = database;
    this.#opened = opened;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#guard = new WriteGuard(database, ballast, options.log, options.onWriteFailure ?? (() => undefined));
    this.samples = new Samples(database, this.#guard);
    this.footprints = new Footprints(database, this.#guard);
    const chain = new DecisionChain(database);
    this.decisions = new Decisions(database, this.#guard, chain);
    this.integrationMetrics = new IntegrationMetrics(database, this.#guard);
    this.trainings = new Trainings(database, this.#guard);
    this.breakers = new BreakerRecords(database, this.#guard);
    this.shadows = new ShadowRecords(database, this.#guard);
    this.promotions = new Promotions(database, this.#guard);
    const { path } = database;
    const { deadLetters = usualDeadLetters, idempotency = usualKeys } = options;
    this.deadLetters = new DeadLetters(database, this.#guard, within(deadLetters, path, 2 ** 21));
    this.deadLetterOrders = new DeadLetterOrders(database, this.#guard);
    this.deadLetterQueries = new DeadLetterQueries(database);
    this.idempotencyKeys = new IdempotencyKeys(database, this.#guard, within(idempotency, path, 2 ** 20));
    const undelivered = { ...webhookLetters, maxAgeMs: deadLetters.maxAgeMs };
    this.webhookLetters = new WebhookLetters(database, this.#guard, within(undelivered, path, 2 ** 19));
    this.disabledPlugins = new DisabledPlugins(database, this.#guard);
    this.modelPeaks = new ModelPeaks(database, this.#guard);
    this.modelOrders = new ModelOrders(database, this.#guard);
    // In memory all of the state has 8 MiB.
    const characters = path === null ? 2 ** 20 : usualConversations.characters;
    const talks = { ...usualConversations, characters };
    this.conversations = new Conversations(database, this.#guard, talks, () => options.clock.nowMs());
    const maxBytes = options.maxBytes ?? (database.path === null ? memoryMaxBytes : fileMaxBytes);
    this.#retention = new Retention(database, this.#guard, chain, options.retention, {
      maxBytes,
      batchRows,
    });
    if (ballast !== null && !ballast.ensure())
      options.log.warn("storage.no_ballast", { path: ballast.path, bytes: ballast.bytes });
  }

  /** The small work of one tick: writes what waits, deletes what is old, keeps log and ballast. Never throws for the disk. */
  maintain(): RetentionStep | null {
    if (this.#closed) return null;
    this.#noticeLostFile();
    this.#guard.restoreRoom();
    this.decisions.flush();
    return this.#retention.step(this.#clock.nowMs());
  }

  #noticeLostFile(): void {
    const gone = this.#opened.database.fileIsGone();
    if (gone && !this.#fileWasGone)
      this.#log.error("storage.file_gone", {
        path: this.#opened.database.label,
        remedy: "restart conductor: what it writes now ends with its process",
      });
    this.#fileWasGone = gone;
  }

  /** Throws StorageError when not even the size can be read. */
  status(): StorageStatus {
    const { database, source, inMemoryBecause } = this.#opened;
    const { ballast } = database;
    return {
      path: database.path,
      source,
      inMemoryBecause,
      journalMode: database.journalMode,
      size: this.#retention.size(),
      uncheckedTables: database.integrity.uncheckedTables,
      ballast: ballast === null ? "none" : ballast.present ? "present" : "spent",
      fileIsGone: database.fileIsGone(),
      failing: this.#guard.failing(),
      failedWrites: this.#guard.failures(),
      waitingDecisions: this.decisions.waiting,
      lostDecisions: this.decisions.lost,
    };
  }

  /** Writes what waits and closes the file. The second time it does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.decisions.flush())
      this.#log.error("storage.decisions_lost", { decisions: this.decisions.waiting });
    const problem = this.#opened.database.close();
    if (problem !== null) this.#log.warn("storage.close_incomplete", { problem });
  }
}

/** What a command reads beside a running conductor. */
export interface StorageReader {
  samples: Pick<Samples, "range" | "latest" | "memory">;
  footprints: Pick<Footprints, "range" | "latest" | "recentPeaks">;
  decisions: Pick<Decisions, "byId" | "list" | "following">;
  chain: {
    head(): Head | null;
    /** Looks through all of it; `expectedHash` is a head that was noted earlier. */
    verify(expectedHash: string | null): ChainReport;
  };
  integrationMetrics: Pick<IntegrationMetrics, "range">;
  shadows: Pick<ShadowRecords, "shadows" | "totals" | "byRule" | "byAction">;
  promotions: Pick<Promotions, "latest">;
  close(): void;
}

/** Opens the database at `path` to read only; a conductor may be writing it. Throws StorageError. */
export function openStorageReader(path: string): StorageReader {
  const database = ConductorDatabase.openReader(path);
  const guard = new WriteGuard(database, null, silentLog, () => undefined);
  const chain = new DecisionChain(database);
  return {
    samples: new Samples(database, guard),
    footprints: new Footprints(database, guard),
    decisions: new Decisions(database, guard, chain),
    chain: { head: () => chain.head(), verify: (expectedHash) => verifyChain(database, expectedHash) },
    integrationMetrics: new IntegrationMetrics(database, guard),
    shadows: new ShadowRecords(database, guard),
    promotions: new Promotions(database, guard),
    close: () => void database.close(),
  };
}
