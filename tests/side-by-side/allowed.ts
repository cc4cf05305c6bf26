/**
 * The commands whose output may differ between Hull and the dockerd beside it (20.10), with the reason of each. Every other line
 * of commands.txt must give the same output and exit code.
 */
export const ALLOWED: Record<string, string> = {};

/** The same for Hull's own CLI beside the docker CLI, both talking to Hull. */
export const ALLOWED_CLI: Record<string, string> = {};
