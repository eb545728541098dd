import { main } from './main.ts';

main(process.argv.slice(2)).catch((error: unknown) => {
  // What is expected is told by the commands themselves; this is a fault of ours.
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\nThis is a fault of hfi: please report it.\n`,
  );
  process.exitCode = 1;
});
