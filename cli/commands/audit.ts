import AuditList from './audit/list.ts';

export default class Audit extends AuditList {
  static override summary = 'Show who changed what, newest first: the same as hfi audit list.';
  static override examples = [{ description: 'The last five changes', command: '<%= config.bin %> audit --limit 5' }];
}
