// The flows that every client has, or says why it has none: what people do first with a chain. Clients have more of
// their own.
export const core = [
  "connect", "balances", "send: legacy", "send: access list", "send: 1559", "send: no balance, no value", "send: sync", "send: back to back",
  "fees",
  "contract: deploy", "contract: read", "contract: transfer", "contract: logs", "filters",
  "subscribe: heads", "subscribe: logs", "subscribe: pending",
  "error: custom error", "error: panic", "error: EVM bytecode",
];

// sends is how often each client sends and waits, one after the other, as it comes.
export const sends = 21;

// flowPatienceMs is what one flow gets: several waits of lib.mjs.
const flowPatienceMs = 60_000;

let stray; // rejects the flow that runs now
for (const event of ["uncaughtException", "unhandledRejection"]) {
  process.on(event, (error) => {
    if (!stray) console.error(`between two flows: ${error?.stack ?? error}`);
    stray?.(error);
  });
}

// timed runs an action and returns its ms, and its error if it failed. Clients throw some errors from timers and
// sockets, where nobody can catch them: they are those of the flow that runs.
export async function timed(action) {
  const began = performance.now();
  let timer;
  try {
    await Promise.race([
      new Promise((_, reject) => {
        stray = reject;
        timer = setTimeout(() => reject(new Error(`not within ${flowPatienceMs} ms`)), flowPatienceMs);
      }),
      (async () => action())(),
    ]);
  } catch (error) {
    return [performance.now() - began, error?.stack ?? String(error)];
  } finally {
    clearTimeout(timer);
    stray = undefined;
  }
  return [performance.now() - began];
}

// median of times in ms.
export function median(times) {
  if (times.length === 0) return undefined;
  const sorted = [...times].sort((a, b) => a - b);
  return Math.round(sorted[sorted.length >> 1]);
}

// backToBack is the flow of sending again as soon as the receipt of the last transaction is there. The timed sends are it,
// unless the client needs a pause between them.
const backToBack = "send: back to back";

// runFlows runs all flows of a client and then its sends, and gives each result to note.
export async function runFlows({ flows = {}, sendAndWait, pauseMs = 0 }, note) {
  for (const [flow, action] of Object.entries(flows)) {
    const [ms, error] = await timed(action);
    note({ flow, ms: Math.round(ms), error });
  }
  const times = [];
  if (!sendAndWait) return times;
  let error;
  while (times.length < sends && !error) {
    let ms;
    [ms, error] = await timed(sendAndWait);
    if (!error) times.push(ms);
    if (pauseMs) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  const flow = pauseMs ? "send: now and then" : backToBack;
  note({ flow, ms: Math.round(times.reduce((sum, ms) => sum + ms, 0)), error });
  return times;
}
