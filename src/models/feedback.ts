/** How well a model answers: time to the first text, tokens a second, failures; over its last answers. */

/** Answers that are remembered, of one model. */
const mostAnswers = 32;
/** Fewer tell nothing of the speed, and of the failures. */
const leastTimed = 3;
const leastTold = 4;

export interface AnswerMeasure {
  failed: boolean;
  /** From the request to the first text; null: there was none. */
  firstTextMs: number | null;
  /** Tokens a second after the first text; null: too short to tell, or the engine did not count. */
  tokensPerSecond: number | null;
}

export interface ModelFeedback {
  answers: number;
  /** Medians; null: too few. */
  firstTextMs: number | null;
  tokensPerSecond: number | null;
  /** 0..1; null: too few. */
  failedRatio: number | null;
}

const median = (values: readonly number[]): number | null =>
  values.length < leastTimed ? null : (values.toSorted((a, b) => a - b)[values.length >> 1] ?? null);

const known = (value: number | null): number[] => (value === null ? [] : [value]);

export class Feedback {
  #answers: AnswerMeasure[] = [];

  add(answer: AnswerMeasure): void {
    this.#answers.push(answer);
    if (this.#answers.length > mostAnswers) this.#answers.shift();
  }

  /** What was is no sign any more: it gave way, and shall be judged anew when it comes back. */
  forget(): void {
    this.#answers = [];
  }

  summary(): ModelFeedback {
    const answers = this.#answers.length;
    const failed = this.#answers.filter((answer) => answer.failed).length;
    return {
      answers,
      firstTextMs: median(this.#answers.flatMap(({ firstTextMs }) => known(firstTextMs))),
      tokensPerSecond: median(this.#answers.flatMap(({ tokensPerSecond }) => known(tokensPerSecond))),
      failedRatio: answers < leastTold ? null : failed / answers,
    };
  }
}
