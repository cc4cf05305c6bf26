import { quote } from './unquote.ts';
import { display, isMap, isStruct, type Value } from './values.ts';

const DIRECTIVE = /%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d+))?([a-zA-Z%])/g;

/** Go's fmt.Sprintf, as far as templates have use for it. */
export function sprintf(format: string, args: readonly Value[]): string {
  let used = 0;
  const next = (): Value => args[used++];
  let out = format.replaceAll(
    DIRECTIVE,
    (_, flags: string, widthText: string | undefined, precisionText: string | undefined, verb: string) => {
      if (verb === '%') return '%';
      const width = widthText === '*' ? Number(next()) : Number(widthText ?? 0);
      const precision =
        precisionText === undefined
          ? undefined
          : precisionText === '*'
            ? Number(next())
            : Number(precisionText);
      if (used >= args.length) return `%!${verb}(MISSING)`;
      return pad(formatValue(verb, next(), flags, precision), width, flags, verb);
    },
  );
  if (used < args.length) {
    const extra = args.slice(used).map((value) => `${kindOf(value)}=${display(value)}`);
    out += `%!(EXTRA ${extra.join(', ')})`;
  }
  return out;
}

function pad(text: string, width: number, flags: string, verb: string): string {
  if (text.length >= width) return text;
  if (flags.includes('-')) return text.padEnd(width);
  if (flags.includes('0') && 'dxXobfeEgG'.includes(verb)) {
    const sign = /^[+-]/.exec(text)?.[0] ?? '';
    return sign + text.slice(sign.length).padStart(width - sign.length, '0');
  }
  return text.padStart(width);
}

function formatValue(verb: string, value: Value, flags: string, precision: number | undefined): string {
  const plus = flags.includes('+') && typeof value === 'number' && value >= 0 ? '+' : '';
  const wrong = (): string => `%!${verb}(${kindOf(value)}=${display(value)})`;
  switch (verb) {
    case 'v':
      return flags.includes('#') && typeof value === 'string' ? quote(value) : plus + display(value);
    case 's':
      if (typeof value === 'number' || typeof value === 'boolean') return wrong();
      return Array.from(display(value)).slice(0, precision).join('');
    case 'q':
      return Array.isArray(value)
        ? `[${value.map((item) => quote(display(item))).join(' ')}]`
        : quote(display(value));
    case 'd':
      return typeof value === 'number' && Number.isInteger(value) ? plus + String(value) : wrong();
    case 't':
      return typeof value === 'boolean' ? String(value) : wrong();
    case 'x':
    case 'X': {
      const hex =
        typeof value === 'number'
          ? value.toString(16)
          : typeof value === 'string'
            ? Buffer.from(value).toString('hex')
            : wrong();
      return verb === 'X' ? hex.toUpperCase() : hex;
    }
    case 'o':
      return typeof value === 'number' ? value.toString(8) : wrong();
    case 'b':
      return typeof value === 'number' ? value.toString(2) : wrong();
    case 'c':
      return typeof value === 'number' ? String.fromCodePoint(value) : wrong();
    case 'f':
    case 'F':
      return typeof value === 'number' ? plus + value.toFixed(precision ?? 6) : wrong();
    case 'e':
      return typeof value === 'number'
        ? value.toExponential(precision ?? 6).replace(/e([+-])(\d)$/, 'e$10$2')
        : wrong();
    case 'g':
      return typeof value === 'number' ? display(value) : wrong();
    case 'T':
      return kindOf(value);
    default:
      return wrong();
  }
}

function kindOf(value: Value): string {
  if (value === null || value === undefined) return '<nil>';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float64';
  if (typeof value === 'boolean') return 'bool';
  if (Array.isArray(value)) return '[]interface {}';
  if (isStruct(value)) return value.goType;
  if (isMap(value)) return 'map[string]interface {}';
  return 'string';
}
