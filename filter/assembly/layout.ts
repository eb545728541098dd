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
 * | magic  | layout | length | checksum | inbound | outbound | flags    | budget   |
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
 * rule (48 bytes)
 * +-------------+-----------+-----------+--------------------+------------+--------+--------------+------+--------+------+
 * | end f64 (8) | threshold | flags u16 | conditionCount u16 | conditions | action | actionLength | name | sticky | seed |
 * +-------------+-----------+-----------+--------------------+------------+--------+--------------+------+--------+------+
 * | ramp | turns |
 * +------+-------+
 *
 * ramp (24 bytes, 8-byte aligned):  begin f64 | over f64, both in milliseconds | from | to
 * turns (32 bytes, 8-byte aligned): start f64 | after | every | limit | sequence | sequenceLength | reserved
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
 * action: what a rule does. It lies in one piece, and its offsets count from its own first byte, so that a copy of it outlives the
 * ruleset for the requests that it is being done to.
 *
 * ```
 * action (28 bytes):   flags u8, statusFrom and statusTo 12 bits each | delay | abort | request change | response change | key u64; offset 0 = none
 * delay (52 bytes):    startMs | jitterMs | quantiles | quantileCount | begin f64 | over f64 | from | to | header | headerLength | mostMs
 *   quantiles:         each a share of 2^32 | microseconds, both rising
 * abort (36 bytes):    httpStatus | grpcStatus | pairs | pairsLength | body | bodyLength | segments | segmentCount | flags
 *   segments (12 bytes): kind | offset | length
 * change (60 bytes):   flags | status | headers | headerCount | body | bodyLength | truncateAt | corruptThreshold | corruptSeed |
 *                      bytesPerSecond | pieceMs | trailers | trailerCount | rewrite | pieceJitterMs
 *   headers, trailers (20 bytes each): operation | name | nameLength | value | valueLength
 * rewrite (24 bytes):  path | pathLength | prefix | prefixLength | parameters | parameterCount
 *   parameters: as headers; the name as it is compared, decoded, the value `name=value` as it is written, encoded
 * ```
 *
 * A rule stands in the lists of the trie nodes where its rarest exact text or prefix ends, of which an expression may have several, or in `always`. So a
 * request walks one path through each field's trie and meets only rules of which that much holds.
 */

/** "HFI1" read as a little-endian u32. */
export const MAGIC: u32 = 0x31494648;
/** Raised with every change to this file that an older filter could misread. */
export const LAYOUT_VERSION: u32 = 6;
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
export const HEADER_FLAGS: u32 = 24;
/** f32: how many injections this proxy may do in a second, its share of what the fleet may; 0 = any. */
export const HEADER_BUDGET: u32 = 28;
/** First byte that the checksum covers. */
export const CHECKSUM_FROM: u32 = 16;

/** Nothing is injected, and what is under way ends at once, whatever the tables say. */
export const RULESET_HALTED: u32 = 1;

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

export const RULE_BYTES: u32 = 48;
/** f64: milliseconds since the epoch; 0 = no end. */
export const RULE_END: u32 = 0;
/** The rule fires when the request's draw (u32, never 0xffffffff) is below it: 0 = never, 0xffffffff = always. */
export const RULE_THRESHOLD: u32 = 8;
export const RULE_FLAGS: u32 = 12;
export const RULE_CONDITION_COUNT: u32 = 14;
export const RULE_CONDITIONS: u32 = 16;
export const RULE_ACTION: u32 = 20;
export const RULE_ACTION_LENGTH: u32 = 24;
/** `<policy>/<index of the rule in the policy>`, UTF-8: where in the action it stands, times 256, and its length. */
export const RULE_NAME: u32 = 28;
/** Index + 1 of the field whose value is hashed in place of the dice; 0 = dice. */
export const RULE_STICKY: u32 = 32;
export const RULE_SEED: u32 = 36;
/** A ramp that the threshold follows; 0 = none. Then `threshold` is the largest of it. */
export const RULE_RAMP: u32 = 40;
/** When a match counts; 0 = always. */
export const RULE_TURNS: u32 = 44;

/** The rule hits health probes too. */
export const FLAG_PROBES: u32 = 1;
/** The rule is only counted: nothing is done to the request. */
export const FLAG_SHADOW: u32 = 2;
/** The rule's matches are counted, by what its turns say. */
export const FLAG_COUNTED: u32 = 4;

export const RAMP_BYTES: u32 = 24;
export const RAMP_BEGIN: u32 = 0;
export const RAMP_OVER: u32 = 8;
export const RAMP_FROM: u32 = 16;
export const RAMP_TO: u32 = 20;

export const TURNS_BYTES: u32 = 32;
/** f64: milliseconds since the epoch from which on the rule matches; 0 = always. */
export const TURNS_START: u32 = 0;
/** So many matches are let be first. */
export const TURNS_AFTER: u32 = 8;
/** Of the others only each so-manieth counts as one; 0 and 1 = each. */
export const TURNS_EVERY: u32 = 12;
/** So many injections at most; 0xffffffff = any. */
export const TURNS_LIMIT: u32 = 16;
/** One byte a match, 1 = it counts as one, over and over; length 0 = each. */
export const TURNS_SEQUENCE: u32 = 20;
export const TURNS_SEQUENCE_LENGTH: u32 = 24;

export const ACTION_BYTES: u32 = 28;
/** The flags, and in the higher bits the statuses of answers to which something is done, both ends too; `statusTo` 0 = all. */
export const ACTION_FLAGS: u32 = 0;
export const ACTION_FLAGS_MASK: u32 = 0xff;
export const ACTION_STATUS_FROM_SHIFT: u32 = 8;
export const ACTION_STATUS_TO_SHIFT: u32 = 20;
export const ACTION_STATUS_MASK: u32 = 0xfff;
export const ACTION_DELAY: u32 = 4;
export const ACTION_ABORT: u32 = 8;
export const ACTION_REQUEST: u32 = 12;
export const ACTION_RESPONSE: u32 = 16;
/** u64: tells the rule from every other, also from one of the same name that was applied before it. Never 0 or 1. What is counted of it has this key. */
export const ACTION_KEY: u32 = 20;

/** The delay, or the abort, is done to the response. */
export const ACTION_DELAY_RESPONSE: u32 = 1;
export const ACTION_ABORT_RESPONSE: u32 = 2;

export const DELAY_BYTES: u32 = 52;
/** Added to whatever is drawn. */
export const DELAY_START_MS: u32 = 0;
/** At most so much more or less. */
export const DELAY_JITTER_MS: u32 = 4;
export const DELAY_QUANTILES: u32 = 8;
/** 0 = the ramp below says the length, or the header. */
export const DELAY_QUANTILE_COUNT: u32 = 12;
/** A ramp as above, its `from` and `to` in milliseconds. */
export const DELAY_RAMP: u32 = 16;
/** The request's header that says the length in milliseconds, at most `mostMs`; length 0 = none does. */
export const DELAY_HEADER: u32 = 40;
export const DELAY_HEADER_LENGTH: u32 = 44;
export const DELAY_MOST_MS: u32 = 48;

export const QUANTILE_BYTES: u32 = 8;
export const QUANTILE_SHARE: u32 = 0;
export const QUANTILE_US: u32 = 4;

export const ABORT_BYTES: u32 = 36;
/** With `ABORT_GRPC` the status for a request that isn't gRPC; 0 = a reset. */
export const ABORT_HTTP_STATUS: u32 = 0;
export const ABORT_GRPC_STATUS: u32 = 4;
/** Headers to add to the response, `x-hfi-fault` among them, already in the form that proxy_send_local_response takes. */
export const ABORT_PAIRS: u32 = 8;
export const ABORT_PAIRS_LENGTH: u32 = 12;
/** The response body, or the gRPC message with `ABORT_GRPC`. */
export const ABORT_BODY: u32 = 16;
export const ABORT_BODY_LENGTH: u32 = 20;
/** Of what the body is put together for each request; count 0 = it is the same for all. */
export const ABORT_SEGMENTS: u32 = 24;
export const ABORT_SEGMENT_COUNT: u32 = 28;
export const ABORT_FLAGS: u32 = 32;
/** The abort is a gRPC status. */
export const ABORT_GRPC: u32 = 1;

export const SEGMENT_BYTES: u32 = 12;
export const SEGMENT_KIND: u32 = 0;
export const SEGMENT_OFFSET: u32 = 4;
export const SEGMENT_LENGTH: u32 = 8;
/** The bytes themselves. */
export const SEGMENT_TEXT: u32 = 0;
/** The value of the request's header of that name. */
export const SEGMENT_HEADER: u32 = 1;

export const CHANGE_BYTES: u32 = 60;
export const CHANGE_FLAGS: u32 = 0;
/** 0 = as it is. */
export const CHANGE_STATUS: u32 = 4;
export const CHANGE_HEADERS: u32 = 8;
export const CHANGE_HEADER_COUNT: u32 = 12;
export const CHANGE_BODY: u32 = 16;
export const CHANGE_BODY_LENGTH: u32 = 20;
/** So many bytes of the body go through. */
export const CHANGE_TRUNCATE_AT: u32 = 24;
/** Share of 2^32 of the bytes that are damaged; 0 = none. */
export const CHANGE_CORRUPT: u32 = 28;
export const CHANGE_CORRUPT_SEED: u32 = 32;
/** 0 = as fast as it comes. */
export const CHANGE_BYTES_PER_SECOND: u32 = 36;
/** How long each piece of the body is held. */
export const CHANGE_PIECE_MS: u32 = 40;
export const CHANGE_TRAILERS: u32 = 44;
export const CHANGE_TRAILER_COUNT: u32 = 48;
/** Of a request; 0 = its path stays. */
export const CHANGE_REWRITE: u32 = 52;
/** At most so much more or less for each piece. */
export const CHANGE_PIECE_JITTER_MS: u32 = 56;

/** The body is replaced. */
export const CHANGE_REPLACES: u32 = 1;
/** The body is cut at `truncateAt`, and the message broken off there. */
export const CHANGE_CUTS: u32 = 2;
/** The body is cut at `truncateAt`, and the message ends there. */
export const CHANGE_SHORTENS: u32 = 4;

export const REWRITE_BYTES: u32 = 24;
/** Takes the place of the path alone; length 0 = it stays. */
export const REWRITE_PATH: u32 = 0;
export const REWRITE_PATH_LENGTH: u32 = 4;
/** What of the path it takes the place of, if the path begins with it; length 0 = all. */
export const REWRITE_PREFIX: u32 = 8;
export const REWRITE_PREFIX_LENGTH: u32 = 12;
export const REWRITE_PARAMETERS: u32 = 16;
export const REWRITE_PARAMETER_COUNT: u32 = 20;

export const FIELD_CHANGE_BYTES: u32 = 20;
export const FIELD_CHANGE_OPERATION: u32 = 0;
export const FIELD_CHANGE_NAME: u32 = 4;
export const FIELD_CHANGE_NAME_LENGTH: u32 = 8;
export const FIELD_CHANGE_VALUE: u32 = 12;
export const FIELD_CHANGE_VALUE_LENGTH: u32 = 16;
export const FIELD_SET: u32 = 0;
export const FIELD_ADD: u32 = 1;
export const FIELD_REMOVE: u32 = 2;

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
/** The header's name in lower case, that of the query parameter or cookie, or the property's path; empty for the others. */
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
/** A text that the host knows: a property, whose path's segments are joined with zeros. An empty one is none. */
export const KIND_PROPERTY: u32 = 10;

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
