/** How much is measured: `--short` does everything once over, for a continuous-integration run that shows but doesn't judge. */
export interface Settings {
  readonly short: boolean;
  /** Progress, for stderr. */
  readonly say: (line: string) => void;
}
