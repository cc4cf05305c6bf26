import { BigNumber, type Value } from '#/template/values.ts';

/** JSON with every integer kept exact. */
export function parseDocument(text: string): Value {
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
    const source = context?.source ?? '';
    return /^-?\d+$/.test(source) ? new BigNumber(source) : value;
  }) as Value;
}
