import { addHeader, removeHeader, replaceHeader } from './host';
import {
  FIELD_ADD,
  FIELD_CHANGE_BYTES,
  FIELD_CHANGE_NAME,
  FIELD_CHANGE_NAME_LENGTH,
  FIELD_CHANGE_OPERATION,
  FIELD_CHANGE_VALUE,
  FIELD_CHANGE_VALUE_LENGTH,
  FIELD_REMOVE,
} from './layout';

/**
 * Changes headers or trailers, one after the other.
 *
 * @param map the host's number of the header map
 * @param action what the changes' offsets count from
 */
export function changeFields(map: i32, action: usize, offset: u32, count: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    const change = action + offset + i * FIELD_CHANGE_BYTES;
    const operation = load<u32>(change + FIELD_CHANGE_OPERATION);
    const name = action + load<u32>(change + FIELD_CHANGE_NAME);
    const nameLength = load<u32>(change + FIELD_CHANGE_NAME_LENGTH);
    const value = action + load<u32>(change + FIELD_CHANGE_VALUE);
    const length = load<u32>(change + FIELD_CHANGE_VALUE_LENGTH);
    if (operation == FIELD_REMOVE) removeHeader(map, name, nameLength);
    else if (operation == FIELD_ADD) addHeader(map, name, nameLength, value, length);
    else replaceHeader(map, name, nameLength, value, length);
  }
}
