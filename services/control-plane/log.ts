import { type DestinationStream, type Logger, pino } from 'pino';

/** Where a secret could come into a log line; its value is left out wherever it stands. */
const SECRETS = ['token', 'authorization', 'password', 'cookie'];

/** JSON lines on standard output, or on `destination`. */
export function makeLog(level: string, replica: string, destination?: DestinationStream): Logger {
  const paths = SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);
  const options = {
    level,
    base: { replica },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths, censor: '[left out]' },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
