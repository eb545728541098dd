/** What one look found. */
export interface Check {
  readonly name: string;
  readonly state: 'ok' | 'warning' | 'failed';
  readonly finding: string;
  /** What to do about it; null when there is nothing to do. */
  readonly fix: string | null;
}

export function ok(name: string, finding: string): Check {
  return { name, state: 'ok', finding, fix: null };
}

export function warning(name: string, finding: string, fix: string): Check {
  return { name, state: 'warning', finding, fix };
}

export function failed(name: string, finding: string, fix: string): Check {
  return { name, state: 'failed', finding, fix };
}
