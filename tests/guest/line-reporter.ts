import type { TestEvent } from 'node:test/reporters';

/** One check's outcome, a line of JSON each. */
export interface Outcome {
  /** The names of the suites around it, and its own. */
  name: string;
  ms: number;
  /** Why it failed. */
  error?: string;
}

/** What node:test wraps an error of a test in. */
interface TestFailure extends Error {
  failureType: string;
}

/** A reporter of node:test's for the other end of a serial line. */
export default async function* lineReporter(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const suites: string[] = [];
  for await (const event of events) {
    if (event.type === 'test:start') suites[event.data.nesting] = event.data.name;
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const { data } = event;
    const failure = event.type === 'test:fail' ? (event.data.details.error as TestFailure) : undefined;
    // A suite counts only where its own hooks failed: its checks speak for themselves.
    if (data.details.type === 'suite' && failure?.failureType !== 'hookFailed') continue;
    const cause = failure?.cause ?? failure;
    const outcome: Outcome = {
      name: [...suites.slice(0, data.nesting), data.name].join(': '),
      ms: Math.round(data.details.duration_ms),
      ...(cause === undefined
        ? {}
        : { error: cause instanceof Error ? (cause.stack ?? cause.message) : JSON.stringify(cause) }),
    };
    yield `${JSON.stringify(outcome)}\n`;
  }
}
