/** How a command ended, for scripts. One table; the help and `docs/reference/cli.md` show it. */
export const EXIT = {
  done: 0,
  refused: 1,
  usage: 2,
  noServer: 3,
  notFound: 4,
  notAllowed: 5,
  partly: 6,
} as const;

export const EXIT_MEANINGS: Readonly<Record<number, string>> = {
  [EXIT.done]: 'done',
  [EXIT.refused]: 'refused: not valid, in conflict, not so in time, or a proxy is not well',
  [EXIT.usage]: 'the command line is wrong',
  [EXIT.noServer]: 'no server: the control plane, or etcd behind it, does not answer',
  [EXIT.notFound]: 'what was asked for is not there',
  [EXIT.notAllowed]: 'the token is missing, unknown or may not do this',
  [EXIT.partly]:
    'done in part: some files are applied and others not, or a proxy or a replica has not taken it yet; what is missing is named',
};
