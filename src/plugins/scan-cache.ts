/** What one scan learned, for the next one; bounded by what a scan asks for. */

export class ScanCache<T> {
  #last = new Map<string, T>();
  #current = new Map<string, T>();

  /** What this scan knows, else the last one. */
  get(key: string): T | undefined {
    return this.#current.get(key) ?? this.#last.get(key);
  }

  /** To be called for what stays as it was too: what is not set in a scan is forgotten after it. */
  set(key: string, value: T): void {
    this.#current.set(key, value);
  }

  endScan(): void {
    this.#last = this.#current;
    this.#current = new Map();
  }
}
