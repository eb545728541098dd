/** `npm run chaos`: the faults in our own parts in their long form. `npm test` has the short one. */
process.env.HFI_CHAOS = 'long';
process.argv.splice(2, process.argv.length, 'chaos');
await import('../run.ts');
