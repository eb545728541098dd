/**
 * The ruleset: one flat little-endian block, written by the control plane and read by the filter.
 *
 * This file is both TypeScript (types from `assemblyscript/std/portable`) and AssemblyScript, so that writer and reader
 * share every offset. It imports nothing and stays portable: numbers only, no classes, no BigInt, no `load` or `store`.
 * All offsets inside the block count from its first byte; records are 4-byte aligned, and those with an f64 8-byte aligned.
 *
 * ```
 * header (32 bytes)
 * +--------+--------+--------+----------+---------+----------+----------+----------+
 * | magic  | layout | length | checksum | inbound | outbound | reserved | reserved |
 * +--------+--------+--------+----------+---------+----------+----------+----------+
 *                                            |         |   offsets of a table each, always there
 * table (52 bytes)                       <---+---------+
 * +-----------+-------+--------------+------------+--------+--------+-------------+-----------+-------+----------+
 * | ruleCount | rules | maxThreshold | fieldCount | fields | always | nameBuckets | nodeCount | nodes | queryBuckets |
 * +-----------+-------+--------------+------------+--------+--------+-------------+-----------+-------+--------------+
 * | cookieBuckets | derived | automata |
 * +---------------+---------+----------+
 *   rules:  ruleCount records in the order of decision
 *   fields: fieldCount records; field 0 is the path alone, those from index `derived` on are found neither by name nor in the path
 *   always: the list of the rules that stand in no other
 *   nameBuckets: NAME_BUCKETS x u32, the first field of a bucket + 1, 0 = none; queryBuckets and cookieBuckets the same for the
 *           names of query parameters and cookies, or 0 when no field is one
 *   automata: the list of the offsets of all regular expressions' automata, not rising
 *   nodes:  nodeCount trie nodes, those of one field after those of another, each trie breadth first
 *
 * rule (72 bytes)
 * +---------------+-----------+-------+------------+----------------+
 * | end f64 (8)   | threshold | flags | conditions | conditionCount |
 * +---------------+-----------+-------+------------+----------------+
 * | delayMs | httpStatus | grpcStatus | body | bodyLength | pairs | pairsLength | name | nameLength | sticky | seed | reserved |
 * +---------+------------+------------+------+------------+-------+-------------+------+------------+--------+------+----------+
 *
 * condition (16 bytes): field index | operation | value | valueLength
 * group (8 bytes):      conditions | conditionCount
 * field (20 bytes):     name | nameLength | next field of the same bucket + 1 | root node's index + 1, 0 = no trie | kind
 * list:                 count | count x u32, rising
 *
 * trie node (28 bytes)
 * +-------+-------------+----------------+-----------------+------------+------------+------------+
 * | label | labelLength | exact list / 0 | prefix list / 0 | childCount | firstBytes | firstChild |
 * +-------+-------------+----------------+-----------------+------------+------------+------------+
 *   firstBytes: childCount bytes, rising: the first byte of each child's label
 *   firstChild: index of the first child's node; its children lie side by side, behind it
 *
 * automaton (276 bytes): classCount | stateCount | start | next | accepting | class of each of the 256 bytes
 *   next:      stateCount x classCount u16, the state that a byte of a class leads to; state 0 leads nowhere
 *   accepting: stateCount bytes, 1 where the text may end
 * ```
 *
 * A rule stands in exactly one list: that of the trie node where its rarest exact text or prefix ends, or `always`. So a
 * request walks one path through each field's trie and meets only rules of which that much holds.
 */

/** "HFI1" read as a little-endian u32. */
export const MAGIC: u32 = 0x31494648;
/** Raised with every change to this file that an older filter could misread. */
export const LAYOUT_VERSION: u32 = 2;
/** The longest ruleset that a filter takes, in bytes. */
export const MAX_RULESET_BYTES: u32 = 4 * 1024 * 1024;

export const HEADER_BYTES: u32 = 32;
export const HEADER_MAGIC: u32 = 0;
export const HEADER_LAYOUT: u32 = 4;
/** The whole block's length in bytes, this header included. */
export const HEADER_LENGTH: u32 = 8;
/** Adler-32 (RFC 1950, section 9) of all bytes after this field. */
export const HEADER_CHECKSUM: u32 = 12;
export const HEADER_INBOUND: u32 = 16;
export const HEADER_OUTBOUND: u32 = 20;
/** First byte that the checksum covers. */
export const CHECKSUM_FROM: u32 = 16;

export const TABLE_BYTES: u32 = 52;
export const TABLE_RULE_COUNT: u32 = 0;
export const TABLE_RULES: u32 = 4;
/** The largest threshold of its rules: a draw that isn't below it can't fire any. */
export const TABLE_MAX_THRESHOLD: u32 = 8;
export const TABLE_FIELD_COUNT: u32 = 12;
export const TABLE_FIELDS: u32 = 16;
export const TABLE_ALWAYS: u32 = 20;
export const TABLE_NAME_BUCKETS: u32 = 24;
export const TABLE_NODE_COUNT: u32 = 28;
export const TABLE_NODES: u32 = 32;
export const TABLE_QUERY_BUCKETS: u32 = 36;
export const TABLE_COOKIE_BUCKETS: u32 = 40;
/** Index of the first field that is neither the path, a header, a query parameter nor a cookie; `fieldCount` when there is none. */
export const TABLE_DERIVED: u32 = 44;
export const TABLE_AUTOMATA: u32 = 48;

/** Buckets of a table from a name's hash to its field; a power of two. */
export const NAME_BUCKETS: u32 = 64;
/** The field that every table has first: `:path` up to the first `?` or `#`. It is in no bucket. */
export const FIELD_PATH: u32 = 0;

export const RULE_BYTES: u32 = 72;
/** f64: milliseconds since the epoch; 0 = no end. */
export const RULE_END: u32 = 0;
/** The rule fires when the request's draw (u32, never 0xffffffff) is below it: 0 = never, 0xffffffff = always. */
export const RULE_THRESHOLD: u32 = 8;
export const RULE_FLAGS: u32 = 12;
export const RULE_CONDITIONS: u32 = 16;
export const RULE_CONDITION_COUNT: u32 = 20;
/** How long a hit request is held before anything else is done; 0 = not held. */
export const RULE_DELAY_MS: u32 = 24;
/** 0 = no abort. With `FLAG_GRPC` the status for a request that isn't gRPC. */
export const RULE_HTTP_STATUS: u32 = 28;
export const RULE_GRPC_STATUS: u32 = 32;
/** The response body, or the gRPC message with `FLAG_GRPC`. */
export const RULE_BODY: u32 = 36;
export const RULE_BODY_LENGTH: u32 = 40;
/** Headers to add to the response, `x-hfi-fault` among them, already in the form that proxy_send_local_response takes. */
export const RULE_PAIRS: u32 = 44;
export const RULE_PAIRS_LENGTH: u32 = 48;
/** `<policy>/<index of the rule in the policy>`, UTF-8. */
export const RULE_NAME: u32 = 52;
export const RULE_NAME_LENGTH: u32 = 56;
/** Index + 1 of the field whose value is hashed in place of the dice; 0 = dice. */
export const RULE_STICKY: u32 = 60;
export const RULE_SEED: u32 = 64;

/** The rule hits health probes too. */
export const FLAG_PROBES: u32 = 1;
/** The abort is a gRPC status. */
export const FLAG_GRPC: u32 = 2;

export const CONDITION_BYTES: u32 = 16;
export const CONDITION_FIELD: u32 = 0;
export const CONDITION_OPERATION: u32 = 4;
export const CONDITION_VALUE: u32 = 8;
export const CONDITION_VALUE_LENGTH: u32 = 12;

export const OPERATION_EXACT: u32 = 1;
export const OPERATION_PREFIX: u32 = 2;
export const OPERATION_SUFFIX: u32 = 3;
export const OPERATION_CONTAINS: u32 = 4;
/** The value is an automaton's offset; `valueLength` is its place in the table's list of automata. */
export const OPERATION_REGEX: u32 = 5;
/** The request has the field, whatever its value. */
export const OPERATION_PRESENT: u32 = 6;
/** The value is the offset of `valueLength` groups, of one of which all conditions must hold. The field has no meaning. */
export const OPERATION_ANY_OF: u32 = 7;
/** The operation without its flags. */
export const OPERATION_MASK: u32 = 0xff;
/** ASCII letters are compared in any case; the condition's own value is in lower case. */
export const OPERATION_IGNORE_CASE: u32 = 0x100;
/** Holds when it otherwise would not. */
export const OPERATION_NOT: u32 = 0x200;

export const GROUP_BYTES: u32 = 8;
export const GROUP_CONDITIONS: u32 = 0;
export const GROUP_CONDITION_COUNT: u32 = 4;
/** Groups lie in groups at most this deep. */
export const MAX_GROUP_DEPTH: u32 = 8;

export const AUTOMATON_BYTES: u32 = 276;
export const AUTOMATON_CLASS_COUNT: u32 = 0;
export const AUTOMATON_STATE_COUNT: u32 = 4;
export const AUTOMATON_START: u32 = 8;
export const AUTOMATON_NEXT: u32 = 12;
export const AUTOMATON_ACCEPTING: u32 = 16;
export const AUTOMATON_CLASSES: u32 = 20;

export const FIELD_BYTES: u32 = 20;
/** The header's name in lower case, or that of the query parameter or cookie; empty for the others. */
export const FIELD_NAME: u32 = 0;
export const FIELD_NAME_LENGTH: u32 = 4;
/** Index + 1 of the next field in the same bucket, always a later one; 0 = none. */
export const FIELD_NEXT: u32 = 8;
/** Index + 1 of the trie's root node; 0 when no rule is listed under this field. */
export const FIELD_TRIE: u32 = 12;
/** What the field is of a request. */
export const FIELD_KIND: u32 = 16;

export const KIND_PATH: u32 = 0;
export const KIND_HEADER: u32 = 1;
/** Its first value, percent-decoded. */
export const KIND_QUERY: u32 = 2;
/** Its first value, without the quotation marks around it. */
export const KIND_COOKIE: u32 = 3;
/** The first and the second segment of a gRPC call's path. */
export const KIND_GRPC_SERVICE: u32 = 4;
export const KIND_GRPC_METHOD: u32 = 5;
/** The URI of the caller's certificate, and what stands in it behind `/ns/` and `/sa/` (SPIFFE in Istio). */
export const KIND_SOURCE: u32 = 6;
export const KIND_SOURCE_NAMESPACE: u32 = 7;
export const KIND_SOURCE_ACCOUNT: u32 = 8;
/** The port at which the request arrived, in decimal digits. */
export const KIND_PORT: u32 = 9;

export const NODE_BYTES: u32 = 28;
/** The bytes that lead from the parent to this node; empty at a root. */
export const NODE_LABEL: u32 = 0;
export const NODE_LABEL_LENGTH: u32 = 4;
/** Rules whose value ends here and must be the whole value. */
export const NODE_EXACT: u32 = 8;
/** Rules whose value ends here and may go on. */
export const NODE_PREFIX: u32 = 12;
export const NODE_CHILD_COUNT: u32 = 16;
export const NODE_FIRST_BYTES: u32 = 20;
/** A child's index is larger than its parent's, so a walk always ends. */
export const NODE_FIRST_CHILD: u32 = 24;

/** A name's bucket, from its length and its first, middle (`length >> 1`) and last byte. */
export function nameBucket(length: u32, first: u32, middle: u32, last: u32): u32 {
  return (length * 5 + first * 3 + middle * 7 + last) % NAME_BUCKETS;
}
