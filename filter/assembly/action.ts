import {
  ACTION_ABORT,
  ACTION_ABORT_RESPONSE,
  ACTION_DELAY,
  ACTION_DELAY_RESPONSE,
  ACTION_FLAGS,
  ACTION_REQUEST,
  ACTION_STATUS_FROM_SHIFT,
  ACTION_STATUS_MASK,
  ACTION_STATUS_TO_SHIFT,
} from './layout';

/** What an action is about, for those who ask before they do it. */

/** Whether it does something to the request, before the service gets it. */
export function actsOnRequest(action: usize): bool {
  const flags = load<u32>(action + ACTION_FLAGS);
  return (
    load<u32>(action + ACTION_REQUEST) != 0 ||
    (load<u32>(action + ACTION_DELAY) != 0 && (flags & ACTION_DELAY_RESPONSE) == 0) ||
    (load<u32>(action + ACTION_ABORT) != 0 && (flags & ACTION_ABORT_RESPONSE) == 0)
  );
}

/** Whether it is about answers of some statuses only. */
export function asksStatus(action: usize): bool {
  return load<u32>(action + ACTION_FLAGS) >> ACTION_STATUS_TO_SHIFT != 0;
}

/** Whether it does something only to such answers: then it isn't known earlier whether the request is hit. */
export function hangsOnStatus(action: usize): bool {
  return asksStatus(action) && !actsOnRequest(action);
}

export function isAbout(action: usize, status: u32): bool {
  const flags = load<u32>(action + ACTION_FLAGS);
  return status <= flags >> ACTION_STATUS_TO_SHIFT && status >= ((flags >> ACTION_STATUS_FROM_SHIFT) & ACTION_STATUS_MASK);
}
