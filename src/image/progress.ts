/** One JSON object of a progress stream, as Docker's clients read them (moby's pkg/jsonmessage). */
export interface ProgressMessage {
  /** Printed as it is. */
  stream?: string;
  status?: string;
  /** What the status is about: a line of its own on a terminal. */
  id?: string;
  progressDetail?: { current?: number; total?: number };
  /** The bar, for clients that do not draw one from the numbers. */
  progress?: string;
  aux?: object;
}

export type Report = (message: ProgressMessage) => void;

/** Bytes as Docker's tables and bars show them: four significant digits, powers of 1000. */
export function humanSize(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${Number(size.toPrecision(4))}${units[unit]}`;
}

/** The message for work that is done to its end. */
export function completed(status: string, id: string, size: number): ProgressMessage {
  return {
    status,
    id,
    progressDetail: { current: size, total: size },
    progress: `[${'='.repeat(50)}>]  ${humanSize(size)}/${humanSize(size)}`,
  };
}
