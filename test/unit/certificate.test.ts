import assert from 'node:assert/strict';
import { isFromSidecar, workloadOf } from '../../services/control-plane/access/certificate.ts';

const BY = 'By=spiffe://cluster.local/ns/boifi/sa/hfi-control-plane;Hash=468e';
const web = { namespace: 'demo', serviceAccount: 'web' };

describe('the certificate of a connection', () => {
  const rows: [string, string, object | undefined][] = [
    ['a workload', `${BY};Subject="";URI=spiffe://cluster.local/ns/demo/sa/web`, web],
    ['its id in quotation marks', `${BY};URI="spiffe://cluster.local/ns/demo/sa/web"`, web],
    ['another trust domain', `${BY};URI=spiffe://example.org/ns/demo/sa/web`, web],
    [
      'what the last proxy saw, not what came with the request',
      `URI=spiffe://x/ns/shop/sa/forged,${BY};URI=spiffe://x/ns/demo/sa/web`,
      web,
    ],
    ['a forged element that a quotation mark tries to hide', `URI="spiffe://x/ns/shop/sa/a,${BY};URI=spiffe://x/ns/demo/sa/web`, undefined],
    ['a subject with a comma', `${BY};Subject="CN=a,URI=spiffe://x/ns/shop/sa/a";URI=spiffe://x/ns/demo/sa/web`, web],
    ['a subject with a quotation mark', `${BY};Subject="CN=\\";URI=spiffe://x/ns/shop/sa/a";URI=spiffe://x/ns/demo/sa/web`, web],
    ['no certificate', '', undefined],
    ['no id in it', `${BY};Subject="CN=web"`, undefined],
    ['two ids', `${BY};URI=spiffe://x/ns/demo/sa/web;URI=spiffe://x/ns/shop/sa/web`, undefined],
    ['an id that is none of Istio', `${BY};URI=spiffe://x/demo/web`, undefined],
    ['an id with more behind it', `${BY};URI=spiffe://x/ns/demo/sa/web/x`, undefined],
    ['a namespace that is none', `${BY};URI=spiffe://x/ns/de%6do/sa/web`, undefined],
  ];
  for (const [what, header, expected] of rows) it(`shows ${what}`, () => assert.deepEqual(workloadOf(header), expected));

  it('is believed of the own sidecar alone', () => {
    for (const address of ['127.0.0.6', '::ffff:127.0.0.6', '::6']) assert.equal(isFromSidecar(address), true, address);
    for (const address of ['127.0.0.1', '10.0.0.6', '127.0.0.60', '::1', '', undefined])
      assert.equal(isFromSidecar(address), false, address);
  });
});
