import { startsWithAscii } from './text';

/**
 * Whether a content type is that of gRPC: `application/grpc`, alone or followed by `+proto` and the like. With parameters behind
 * a `;` Envoy takes it for no gRPC, and would send an abort's answer without its gRPC status.
 */
export function isGrpcType(value: usize, length: u32): bool {
  if (!startsWithAscii(value, length, 'application/grpc')) return false;
  return length == 16 || load<u8>(value + 16) == 0x2b;
}
