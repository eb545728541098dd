import { z } from '@hono/zod-openapi';

/** Kubernetes labels. */

const KEY = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

export const labelName = z.string().regex(KEY, 'is no label name').max(317);
