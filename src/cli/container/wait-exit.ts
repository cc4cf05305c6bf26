import type { ApiClient } from '#/api/client/api-client.ts';

interface WaitResponse {
  StatusCode: number;
  Error?: { Message?: string } | null;
}

/**
 * Starts to wait, and resolves once the daemon has registered it, so that what follows cannot happen unseen. `exit` is the
 * exit code of what ended; 125 when the daemon could not tell.
 */
export async function waitForExit(
  client: ApiClient,
  id: string,
  condition: 'next-exit' | 'removed' | 'not-running',
  report: (message: string) => void,
): Promise<{ exit: Promise<number> }> {
  const { body } = await client.request('POST', `/containers/${id}/wait`, { query: { condition } });
  return { exit: readExit(body, report) };
}

async function readExit(body: AsyncIterable<Buffer>, report: (message: string) => void): Promise<number> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  const answer = JSON.parse(Buffer.concat(chunks).toString()) as WaitResponse;
  if (answer.Error?.Message) {
    report(`Error waiting for container: ${answer.Error.Message}\n`);
    return 125;
  }
  return answer.StatusCode;
}
