import assert from 'node:assert/strict';
import { trafficInWords } from '../../cli/traffic-words.ts';
import { Traffic } from '../../services/control-plane/fleet/traffic.ts';

describe('the traffic of a proxy', () => {
  it('is what came by between two polls, over the time between them', () => {
    const traffic = new Traffic();
    traffic.take({ inbound: 1000, outbound: 7 }, 0);
    assert.equal(traffic.perSecond, undefined);
    traffic.take({ inbound: 1500, outbound: 7 }, 25_000);
    assert.deepEqual(traffic.perSecond, { inbound: 20, outbound: 0 });
    traffic.take({ inbound: 1500, outbound: 57 }, 35_000);
    assert.deepEqual(traffic.perSecond, { inbound: 0, outbound: 5 });
  });

  it('is not guessed from polls that come right after one another', () => {
    const traffic = new Traffic();
    traffic.take({ inbound: 0, outbound: 0 }, 0);
    for (let at = 100; at < 5000; at += 100) traffic.take({ inbound: at, outbound: 0 }, at);
    assert.equal(traffic.perSecond, undefined);
    traffic.take({ inbound: 5000, outbound: 0 }, 5000);
    assert.deepEqual(traffic.perSecond, { inbound: 1000, outbound: 0 });
  });

  it('of one that was started again is not known before it has told twice', () => {
    const traffic = new Traffic();
    traffic.take({ inbound: 1000, outbound: 0 }, 0);
    traffic.take({ inbound: 2000, outbound: 0 }, 10_000);
    traffic.take({ inbound: 5, outbound: 0 }, 12_000);
    assert.equal(traffic.perSecond, undefined);
    traffic.take({ inbound: 65, outbound: 0 }, 22_000);
    assert.deepEqual(traffic.perSecond, { inbound: 6, outbound: 0 });
  });

  it('of one whose filter does not say stays unknown', () => {
    const traffic = new Traffic();
    traffic.take(undefined, 0);
    traffic.take(undefined, 25_000);
    assert.equal(traffic.perSecond, undefined);
  });

  it('is told in two digits, with who has not told', () => {
    const words = (requestsPerSecond: number, mostHitPerSecond: number, untold = 0) =>
      trafficInWords({ requestsPerSecond, mostHitPerSecond, untold }, 4);
    assert.equal(words(1234.5, 123.4), 'about 1200 requests a second came by there lately, at most 120 of them would be hit');
    assert.equal(words(0.04, 0), 'about 0.04 requests a second came by there lately, none of them would be hit');
    assert.equal(
      words(12, 12, 1),
      'about 12 requests a second came by there lately, at most 12 of them would be hit (1 of 4 have not told yet)',
    );
    assert.match(words(0, 0, 4), /^how many requests come by there is not known yet/);
  });
});
