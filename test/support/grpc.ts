import { Client, credentials, Metadata, Server, ServerCredentials, type ServiceError, status } from '@grpc/grpc-js';

const METHOD = '/hfi.test.Echo/Say';
const asIs = (bytes: Buffer): Buffer => bytes;

/** Starts a gRPC service on a free port of the loopback that says back what it is told. */
export async function startEcho(): Promise<{ port: number; stop: () => void }> {
  const server = new Server();
  server.addService(
    {
      Say: {
        path: METHOD,
        requestStream: false,
        responseStream: false,
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      },
    },
    { Say: (call: { request: Buffer }, done: (error: null, answer: Buffer) => void) => done(null, call.request) },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  return { port, stop: () => server.forceShutdown() };
}

export interface GrpcAnswer {
  readonly code: number;
  readonly message: string;
  readonly body: string;
  readonly metadata: Metadata;
  readonly ms: number;
}

/** Calls the echo service once. Never rejects: an error is an answer with its code. */
export function say(address: string, text: string, headers: Readonly<Record<string, string>> = {}): Promise<GrpcAnswer> {
  const client = new Client(address, credentials.createInsecure(), { 'grpc.enable_retries': 0 });
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
  const begun = performance.now();
  return new Promise((resolve) => {
    let initial = new Metadata();
    const call = client.makeUnaryRequest(
      METHOD,
      asIs,
      asIs,
      Buffer.from(text),
      metadata,
      { deadline: Date.now() + 10_000 },
      (error: ServiceError | null, answer?: Buffer) => {
        client.close();
        const ms = performance.now() - begun;
        if (error) resolve({ code: error.code, message: error.details, body: '', metadata: error.metadata ?? initial, ms });
        else resolve({ code: status.OK, message: '', body: answer?.toString() ?? '', metadata: initial, ms });
      },
    );
    call.on('metadata', (received) => {
      initial = received;
    });
  });
}
