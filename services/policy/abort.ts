import { z } from '@hono/zod-openapi';
import { bodyBase64, bodyText, refuseTwoBodies } from './body.ts';
import { exactlyOne } from './choice.ts';
import { GRPC_STATUS_HEADERS, headerValue, refuseReserved, writtenHeaders } from './header-text.ts';
import { LIMITS } from './limits.ts';
import { parseTemplate, TEMPLATE_WORDS } from './template.ts';

/** Statuses that no body follows (RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5). */
export const BODYLESS = new Set([204, 205, 304]);

/** Answering in the service's place, or cutting the request off. */
export const abort = exactlyOne(
  ['httpStatus', 'grpcStatus', 'reset'],
  'Abort',
  z
    .strictObject({
      httpStatus: z
        .int()
        .min(200)
        .max(599)
        .optional()
        .describe('The HTTP status to answer with. A gRPC call gets the gRPC status that Envoy maps it to (503 becomes 14, UNAVAILABLE).'),
      grpcStatus: z
        .int()
        .min(1)
        .max(16)
        .optional()
        .describe(
          'The gRPC status code to answer with. A request that is not gRPC gets the HTTP status that the code stands for (14, UNAVAILABLE, becomes 503).',
        ),
      reset: z
        .literal(true)
        .optional()
        .describe('Gives no answer: the connection (HTTP/1.1) or the stream (HTTP/2, gRPC) is reset, as when the service crashes.'),
      grpcMessage: headerValue.max(1024).optional().describe('The gRPC status message; only together with `grpcStatus`.'),
      body: bodyText
        .optional()
        .describe(
          'The response body, at most 64 KiB; only together with `httpStatus`. `{{method}}`, `{{path}}` (with the query) and `{{header NAME}}` stand for what the request has (the first of several headers), or for nothing.',
        ),
      bodyBase64: bodyBase64.optional().describe('The same as bytes, in base64, without anything that the request fills in.'),
      headers: writtenHeaders().optional().describe('Headers to add to the response. `content-type` is `text/plain` unless set here.'),
      at: z
        .enum(['request', 'response'])
        .optional()
        .describe(
          '`request` (the default) aborts before the service gets the request; `response` when the service has done its work and answers: the caller sees a failure all the same.',
        ),
    })
    .superRefine((value, context) => {
      refuseTwoBodies(value, context);
      const refuse = (field: string, message: string): void => context.addIssue({ code: 'custom', path: [field], message });
      if (value.grpcMessage !== undefined && value.grpcStatus === undefined)
        refuse('grpcMessage', 'goes with grpcStatus; for httpStatus use body');
      for (const field of ['body', 'bodyBase64'] as const) {
        if (value[field] === undefined) continue;
        if (value.grpcStatus !== undefined) refuse(field, 'goes with httpStatus; for grpcStatus use grpcMessage');
        if (value.reset) refuse(field, 'can not go with reset, which answers nothing');
        if (BODYLESS.has(value.httpStatus ?? 0)) refuse(field, `can not go with ${value.httpStatus}, which has no body`);
      }
      if (value.reset && value.headers !== undefined) refuse('headers', 'can not go with reset, which answers nothing');
      const template = parseTemplate(value.body ?? '');
      const places = 'unknown' in template ? 0 : template.filter(({ kind }) => kind !== 'text').length;
      if (places > LIMITS.entries) refuse('body', `has ${places} places for what the request says, at most ${LIMITS.entries}`);
      if ('unknown' in template) refuse('body', `has ${template.unknown}, which stands for nothing: write ${TEMPLATE_WORDS}`);
      refuseReserved(value.headers ?? {}, ['headers'], context, GRPC_STATUS_HEADERS);
    }),
);

export type Abort = z.output<typeof abort>;
