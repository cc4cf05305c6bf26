const STEPS: { below: number; words: (hours: number) => string }[] = [
  { below: 48, words: (hours) => `${hours} hours` },
  { below: 24 * 7 * 2, words: (hours) => `${Math.floor(hours / 24)} days` },
  { below: 24 * 30 * 2, words: (hours) => `${Math.floor(hours / 24 / 7)} weeks` },
  { below: 24 * 365 * 2, words: (hours) => `${Math.floor(hours / 24 / 30)} months` },
];

/** A duration as Docker's status column says it: "3 seconds", "About an hour", "2 weeks". */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.floor(seconds / 3600 + 0.5);
  if (hours === 1) return 'About an hour';
  const step = STEPS.find(({ below }) => hours < below);
  return step === undefined ? `${Math.floor(seconds / 3600 / 24 / 365)} years` : step.words(hours);
}
