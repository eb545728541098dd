import { NS_PER_MS, presentNs } from './clock';
import { nextDeadline } from './delays';
import { leads, resign } from './election';
import { goOnTaking, isReceiving, isTaking, leaderQueue, leaseUntil, loadedVersion, noVersion, refresh } from './exchange';
import { endFaults } from './halt';
import { actOn, dequeue, LOG_WARN, logText, setTick, wakeQueue } from './host';
import { halted, inboundRules, outboundRules } from './in-force';
import { showConnected, showHalted, showLease, showRules } from './metrics';
import { confirm, forgetPoll, leaseLeft, pollDue, pollWhenDue, wasReceived } from './poll';
import { releaseDue } from './release';
import { reportWhenDue } from './report';
import { tellRequests } from './requests';
import { primaryRoot } from './roots';
import { REFUSED_NOT } from './ruleset';
import { publishTallies, takeOverOne } from './tallies';
import { addAscii, beginText } from './text';
import { leave, ownQueue, showLife } from './vms';

/**
 * What a VM does beside the requests, all from one timer that always waits for the next thing due: a held request, a sign of
 * life, a poll.
 */
const CHORES_NS: u64 = 1_000 * NS_PER_MS;
/** In a VM's first second the VMs find one another, so it looks more often. */
const EARLY_CHORES_NS: u64 = 20 * NS_PER_MS;
const EARLY_TIMES: u32 = 10;
const AFTER_OTHERS_NS: u64 = 50 * NS_PER_MS;

let nextChores: u64 = 0;
let choresDone: u32 = 0;
/** When the timer will fire. */
let armedFor: u64 = 0xffffffffffffffff;
let leading = false;
let leaseSaid = false;

/**
 * Starts the timer of a VM whose primary root is a new one. A VM shows life only from its first tick on: the
 * host also configures one that it throws away at once, to try the configuration.
 */
export function startLoop(): void {
  nextChores = 0;
  choresDone = 0;
  refresh();
  obey();
  // The present root may be one that is just being removed.
  actOn(primaryRoot());
  arm(presentNs() + NS_PER_MS);
}

export function tick(root: u32): void {
  if (root != primaryRoot()) {
    setTick(0);
    return;
  }
  armedFor = 0xffffffffffffffff;
  releaseDue();
  actOn(root);
  takeOn();
  const now = presentNs();
  if (now >= nextChores) {
    chores();
    choresDone++;
    nextChores = choresDone < EARLY_TIMES ? now + EARLY_CHORES_NS : nextSecond(now);
  } else if (leading && now >= pollDue() && leads()) {
    pollWhenDue();
  }
  rearm();
}

/** Goes on with a ruleset that takes long. */
function takeOn(): void {
  if (!isTaking()) return;
  const received = isReceiving();
  const reason = goOnTaking();
  if (received) wasReceived(reason);
  if (reason == REFUSED_NOT) caughtUp();
}

/** This VM runs another ruleset. */
function caughtUp(): void {
  obey();
  showLife();
  wakeLeader();
}

/** Before this VM shows that it runs a ruleset: a halted one is run once nothing is under way. Leaves the primary root as the acting context. */
function obey(): void {
  if (!halted) return;
  endFaults();
  actOn(primaryRoot());
}

/** All VMs put down what they counted at the same moment, and the leader adds it up right after. */
function nextSecond(now: u64): u64 {
  return (now / CHORES_NS + 1) * CHORES_NS + (leading ? AFTER_OTHERS_NS : 0);
}

function chores(): void {
  if (refresh()) {
    obey();
    wakeLeader();
  }
  showLife();
  publishTallies(false);
  tellRequests();
  const led = leading;
  leading = leads();
  if (leading && !led) forgetPoll();
  if (leading) {
    confirm();
    pollWhenDue();
    showLease(leaseLeft());
    showRules(inboundRules + outboundRules);
    showHalted(halted);
    sayLeaseEnd();
    takeOverOne();
    reportWhenDue();
  }
}

function sayLeaseEnd(): void {
  const over = presentNs() >= leaseUntil;
  if (over && !leaseSaid && !noVersion(loadedVersion)) {
    showConnected(false);
    beginText();
    addAscii('hfi: the lease ended without word from the control plane; no faults until it answers');
    logText(LOG_WARN);
  }
  leaseSaid = over;
}

/** Something was shared: by the leader, or by a VM that caught up when this one leads. */
export function woken(queue: u32): void {
  while (dequeue(queue)) {}
  takeOn();
  if (refresh()) caughtUp();
  if (leading && leads()) confirm();
  if (!isTaking()) return;
  actOn(primaryRoot());
  rearm();
}

function wakeLeader(): void {
  if (leaderQueue != 0 && leaderQueue != ownQueue) wakeQueue(leaderQueue);
}

/** A poll was answered: shows at once what this VM runs now, and sets the timer by it. */
export function pollAnswered(root: u32): void {
  obey();
  showLife();
  if (leading) confirm();
  actOn(root);
  rearm();
}

/** A request was held until `deadline`: the timer must not fire later. Leaves the stream as the acting context. */
export function holdUntil(deadline: u64, stream: u32): void {
  if (deadline >= armedFor) return;
  actOn(primaryRoot());
  arm(deadline);
  actOn(stream);
}

function rearm(): void {
  let due = min<u64>(nextChores, nextDeadline());
  if (leading) due = min<u64>(due, pollDue());
  if (isTaking()) {
    // By way of the queue the next piece comes as soon as the worker has looked at its connections; the timer is for the case that it doesn't.
    wakeQueue(ownQueue);
    due = 0;
  }
  arm(due);
}

/**
 * Sets the timer, which counts whole milliseconds and may be late but hardly early: rounded down, and set again when it was
 * early, a request waits less beyond its deadline than rounded up.
 */
function arm(due: u64): void {
  const now = presentNs();
  const ms = due < now + 2 * NS_PER_MS ? 1 : (due - now) / NS_PER_MS;
  armedFor = now + ms * NS_PER_MS;
  setTick(<u32>min<u64>(ms, 60_000));
}

/** The VM goes: another may have its turn at once. */
export function stopLoop(): void {
  leave();
  publishTallies(true);
  tellRequests();
  if (leading) resign();
  else wakeLeader();
  leading = false;
}
