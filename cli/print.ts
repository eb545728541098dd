/** How data is printed. */
export type Format = 'table' | 'json' | 'yaml';

export interface Column<Row> {
  readonly title: string;
  readonly of: (row: Row) => string;
}

/** Rows under upper-case titles, columns as wide as their longest cell. No rows give the titles alone. */
export function asTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const cells = [columns.map(({ title }) => title.toUpperCase()), ...rows.map((row) => columns.map(({ of }) => of(row)))];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i]?.length ?? 0)));
  return cells
    .map(
      (line) =>
        `${line
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** A time left, such as `9m 58s`; `-` for none. */
export function timeLeft(endsAt: string | null, now = Date.now()): string {
  if (endsAt === null) return '-';
  const seconds = Math.max(0, Math.ceil((Date.parse(endsAt) - now) / 1000));
  if (seconds === 0) return 'over';
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const;
  return parts
    .filter(([amount]) => amount > 0)
    .slice(0, 2)
    .map(([amount, unit]) => `${amount}${unit}`)
    .join(' ');
}
