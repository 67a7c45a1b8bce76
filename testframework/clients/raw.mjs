// The flows of a client that has no library: requests as they are on the wire. viem only signs and encodes.
import { encodeDeployData, encodeFunctionData } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { equal, fails, freshAddress, loadToken, matches, opened, rpc, truthy, until } from "./lib.mjs";

const transferEvent = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"; // Transfer(address,address,uint256)
const patienceMs = 20_000;

// subscribe opens a WebSocket and subscribes. next gives the next notification.
async function subscribe(url, ...params) {
  const socket = await opened(url);
  const answers = [];
  let wake = () => {};
  socket.on("message", (data) => {
    answers.push(JSON.parse(data));
    wake();
  });
  const next = async () => {
    const timer = setTimeout(() => wake(new Error("no message came")), patienceMs);
    while (answers.length === 0) {
      const failed = await new Promise((resolve) => (wake = resolve));
      if (failed) throw failed;
    }
    clearTimeout(timer);
    return answers.shift();
  };
  const call = async (method, ...args) => {
    socket.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: args }));
    const { result, error } = await next();
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  };
  const id = await call("eth_subscribe", ...params);
  return {
    // next also checks the notification's form.
    async next() {
      const { method, params: { subscription, result } } = await next();
      equal(method, "eth_subscription", "method");
      equal(subscription, id, "subscription");
      return result;
    },
    close: () => socket.close(),
  };
}

export function rawFlows(net) {
  const { url } = net;
  const ask = (...args) => rpc(url, ...args);
  const account = privateKeyToAccount(net.accounts[0].privateKey);
  const bob = net.accounts[9].address;
  const { abi, bytecode } = loadToken();
  const state = {};
  const encode = (functionName, ...args) => encodeFunctionData({ abi, functionName, args });

  async function sign(request, from = account) {
    const nonce = Number(await ask("eth_getTransactionCount", from.address, "pending"));
    const fees = request.type === "eip1559" ? { maxFeePerGas: 7n, maxPriorityFeePerGas: 1n } : { gasPrice: 0n };
    return from.signTransaction({ chainId: net.chainId, nonce, gas: 21_000n, to: bob, value: 1n, ...fees, ...request });
  }
  const wait = (hash) => until(`the receipt of ${hash}`, () => ask("eth_getTransactionReceipt", hash));
  async function send(request, from) {
    const receipt = await wait(await ask("eth_sendRawTransaction", await sign(request, from)));
    equal(receipt.status, "0x1", "status");
    return receipt;
  }
  const typed = async (request, type) => equal((await send(request)).type, type, "type");
  const pay = (value) => send({ type: "eip1559", gas: 200_000n, to: state.token, value: 0n, data: encode("transfer", bob, value) });
  const read = async (functionName, ...args) => BigInt(await ask("eth_call", { to: state.token, data: encode(functionName, ...args) }, "latest"));

  // subscription subscribes, provokes, and gives both the notifications and what the provocation gave to check, until it is satisfied.
  async function subscription(params, provoke, check) {
    const s = await subscribe(net.ws, ...params);
    try {
      const provoked = await provoke();
      while (!check(await s.next(), provoked));
    } finally {
      s.close();
    }
  }

  const flows = {
    balances: async () => {
      truthy(BigInt(await ask("eth_getBalance", account.address, "latest")) > 10n ** 18n, "not funded");
      equal(await ask("eth_getBalance", freshAddress(), "latest"), "0x0", "balance of nobody");
    },
    "send: legacy": () => typed({ type: "legacy" }, "0x0"),
    "send: access list": () => typed({ type: "eip2930", gas: 30_000n, accessList: [{ address: bob, storageKeys: ["0x" + "01".repeat(32)] }] }, "0x1"),
    "send: 1559": () => typed({ type: "eip1559" }, "0x2"),
    "send: no balance, no value": () => send({ type: "legacy", value: 0n }, privateKeyToAccount(generatePrivateKey())),
    "send: sync": async () => {
      const receipt = await ask("eth_sendRawTransactionSync", await sign({ type: "eip1559" }), 5_000);
      equal(receipt.status, "0x1", "status");
      equal(JSON.stringify(await ask("eth_getTransactionReceipt", receipt.transactionHash)), JSON.stringify(receipt), "the receipt, asked for again");
    },
    fees: async () => {
      for (const method of ["eth_gasPrice", "eth_maxPriorityFeePerGas", "eth_blobBaseFee"]) equal(await ask(method), "0x0", method);
      const history = await ask("eth_feeHistory", "0x3", "latest", [25, 75]);
      equal(history.baseFeePerGas.length, history.gasUsedRatio.length + 1, "base fees");
      equal(await ask("eth_estimateGas", { from: account.address, to: bob, value: "0x1" }), "0x5208", "estimate");
    },
    "contract: deploy": async () => {
      const data = encodeDeployData({ abi, bytecode, args: ["Token of JSON-RPC", "TOJ", 10n ** 21n, account.address] });
      const gas = BigInt(await ask("eth_estimateGas", { from: account.address, data }));
      const receipt = await send({ type: "eip1559", to: undefined, value: 0n, data, gas });
      state.token = receipt.contractAddress;
      state.deployed = receipt.blockNumber;
      matches(await ask("eth_getCode", state.token, "latest"), /^0xeff00000/, "code");
    },
    "contract: read": async () => {
      equal(await read("decimals"), 18n, "decimals");
      equal(await read("balanceOf", account.address), 10n ** 21n, "balance");
    },
    "contract: transfer": async () => {
      const { logs } = await pay(5n);
      equal(logs.map((l) => l.topics[0]).join(), transferEvent, "topics");
      equal(await read("balanceOf", bob), 5n, "balance");
    },
    "contract: logs": async () => {
      const logs = await ask("eth_getLogs", { fromBlock: state.deployed, toBlock: "latest", address: state.token, topics: [transferEvent] });
      equal(logs.map((l) => BigInt(l.data)).join(), `${10n ** 21n},5`, "transfers");
    },
    filters: async () => {
      const blocks = await ask("eth_newBlockFilter");
      const transfers = await ask("eth_newFilter", { fromBlock: state.deployed, address: state.token, topics: [transferEvent] });
      const { blockHash, transactionHash } = await pay(6n);
      truthy((await ask("eth_getFilterChanges", blocks)).includes(blockHash), "the filter of blocks lacks the block");
      equal((await ask("eth_getFilterChanges", transfers)).map((l) => l.transactionHash).join(), transactionHash, "changes");
      equal((await ask("eth_getFilterChanges", transfers)).length, 0, "changes, asked for again");
      equal((await ask("eth_getFilterLogs", transfers)).map((l) => BigInt(l.data)).join(), `${10n ** 21n},5,6`, "all logs of the filter");
      for (const filter of [blocks, transfers]) equal(await ask("eth_uninstallFilter", filter), true, "uninstalling");
      matches((await fails(() => ask("eth_getFilterChanges", blocks), "a filter that is gone")).text, /filter not found/, "message");
    },
    "subscribe: heads": () =>
      subscription(["newHeads"], () => send({ type: "eip1559" }), (head, receipt) => {
        truthy(BigInt(head.number) <= BigInt(receipt.blockNumber), "the head is later than the block");
        return head.hash === receipt.blockHash;
      }),
    "subscribe: logs": () =>
      subscription(["logs", { address: state.token, topics: [transferEvent] }], () => pay(7n), (log, receipt) => {
        equal(log.removed, false, "removed");
        return log.transactionHash === receipt.transactionHash;
      }),
    "subscribe: pending": () =>
      subscription(["newPendingTransactions"], () => send({ type: "eip1559" }), (hash, receipt) => hash === receipt.transactionHash),
    "error: custom error": async () => {
      const call = { from: freshAddress(), to: state.token, data: encode("transfer", bob, 1n) };
      for (const method of ["eth_call", "eth_estimateGas"]) {
        const error = await fails(() => ask(method, call), method);
        equal(error.code, 3, `code of ${method}`);
        equal(error.text, "execution reverted", `message of ${method}`);
        matches(error.data, /^0xe450d38c[0-9a-f]{192}$/, `data of ${method}`);
      }
    },
    "error: panic": async () => {
      const error = await fails(() => ask("eth_call", { from: account.address, to: state.token, data: encode("mint", bob, 2n ** 255n) }, "latest"), "a supply beyond 2^255");
      equal(error.code, 3, "code");
      equal(error.data, "0x4e487b71" + "11".padStart(64, "0"), "data");
      matches(error.text, /^execution reverted: .*overflow/, "message");
    },
  };
  return { flows, sendAndWait: () => send({ type: "eip1559" }) };
}
