import type { Terminal } from "./command.ts";

/** Work that ends sooner shows nothing. */
const patienceNs = 1e9;
const redrawNs = 1e8;

/** How far long work has come, in place on a terminal's last line; elsewhere nothing. */
export class PercentLine {
  readonly #terminal: Terminal;
  readonly #nowNs: () => number;
  #nextNs: number;
  #shown = false;

  constructor(terminal: Terminal, nowNs: () => number) {
    this.#terminal = terminal;
    this.#nowNs = nowNs;
    this.#nextNs = nowNs() + patienceNs;
  }

  /** May be called often: it draws ten times a second at most. */
  show(what: string, share: number): void {
    if (!this.#terminal.isTerminal || this.#nowNs() < this.#nextNs) return;
    this.#nextNs = this.#nowNs() + redrawNs;
    this.#shown = true;
    this.#terminal.redraw(`${what}, ${Math.floor(share * 100)} %`);
  }

  /** Takes the line away. */
  end(): void {
    if (this.#shown) this.#terminal.redraw("");
    this.#shown = false;
  }
}
