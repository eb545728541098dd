/**
 * Calls `end` once on Ctrl-C, SIGTERM or a closed terminal, and exits when it has resolved. Further signals are ignored: `end` takes
 * seconds at most, and leaving early would leave processes behind.
 */
export function endOnSignals(end: () => Promise<void>): void {
  let ending = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (ending) return;
      ending = true;
      end().then(
        () => process.exit(0),
        () => process.exit(1),
      );
    });
  }
}
