// What the test's pods run: a callee that says which headers came, and a caller that sends requests and counts what came back. No packages.
import { Agent, createServer, request } from 'node:http';

const agent = new Agent({ keepAlive: true, maxSockets: 32 });
let running;

/** Sends one request. @returns `200`, `503 p/0` with the fault's name, or `error ECONNRESET` */
function once({ url, headers = {} }) {
  return new Promise((resolve) => {
    const asked = request(url, { agent, headers, timeout: 15_000 }, (answer) => {
      answer.resume();
      answer.on('error', (error) => resolve(`error ${error.code}`));
      answer.on('end', () => {
        const fault = answer.headers['x-hfi-fault'];
        resolve(fault === undefined ? String(answer.statusCode) : `${answer.statusCode} ${fault}`);
      });
    });
    asked.on('timeout', () => asked.destroy(Object.assign(new Error('silent'), { code: 'SILENT' })));
    asked.on('error', (error) => resolve(`error ${error.code}`));
    asked.end();
  });
}

/** Sends `count` requests, `at` at a time. */
async function burst({ count, at = 16, ...one }) {
  const counts = {};
  let left = count;
  await Promise.all(
    Array.from({ length: at }, async () => {
      while (left-- > 0) {
        const result = await once(one);
        counts[result] = (counts[result] ?? 0) + 1;
      }
    }),
  );
  return counts;
}

/** Sends `rate` requests a second until it is stopped. */
function stream({ rate, ...one }) {
  const counts = {};
  const under = new Set();
  const begun = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    for (const due = ((performance.now() - begun) * rate) / 1000; sent < due; sent++) {
      const asked = once(one).then((result) => {
        counts[result] = (counts[result] ?? 0) + 1;
        under.delete(asked);
      });
      under.add(asked);
    }
  }, 5);
  return async () => {
    clearInterval(timer);
    await Promise.all(under);
    return counts;
  };
}

const ORDERS = {
  // What the other side saw of a request from here.
  '/see': async ({ url }) => (await fetch(url)).json(),
  '/burst': burst,
  '/start': async (order) => {
    running = stream(order);
    return {};
  },
  '/stop': async () => running(),
};

// A connection that is closed here just as its sidecar sends a request would be a 503 that nobody asked for.
createServer({ keepAliveTimeout: 0 }, async (asked, answer) => {
  const order = ORDERS[asked.url];
  const chunks = [];
  for await (const chunk of asked) chunks.push(chunk);
  if (order === undefined) {
    answer
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ headers: asked.headers, pod: process.env.HOSTNAME }));
    return;
  }
  answer
    .writeHead(200, { 'content-type': 'application/json' })
    .end(JSON.stringify(await order(JSON.parse(Buffer.concat(chunks).toString() || '{}'))));
}).listen(8080, '0.0.0.0');

process.on('SIGTERM', () => setTimeout(() => process.exit(0), 2000));
