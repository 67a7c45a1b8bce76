// The flows of viem 2.
import { readFileSync } from "node:fs";
import { createPublicClient, createWalletClient, decodeEventLog, defineChain, encodeFunctionData, getContract, http, parseEther, toHex, webSocket } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { equal, evmBytecode, fails, freshAddress, loadToken, matches, reaches, truthy, until } from "./lib.mjs";

// The names of an error and of all its causes.
function names(error) {
  const out = [];
  for (let e = error; e; e = e.cause) out.push(e.name);
  return out.join(" ");
}

export async function viemFlows(net) {
  const chain = defineChain({
    id: net.chainId,
    name: "tercet",
    nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: [net.url] } },
  });
  const transport = http(net.url, { retryCount: 0 });
  const client = createPublicClient({ chain, transport, pollingInterval: 50, cacheTime: 0 });
  const account = privateKeyToAccount(net.accounts[2].privateKey);
  const wallet = createWalletClient({ account, chain, transport });
  const bob = net.accounts[9].address;
  const { abi, bytecode } = loadToken();
  const state = {};
  const ws = async () => {
    await reaches(net.ws);
    return (state.ws ??= createPublicClient({ chain, transport: webSocket(net.ws) }));
  };

  // first begins to watch, provokes what is watched for until it is seen, and returns that.
  async function first(watch, provoke) {
    let stop;
    const seen = new Promise((resolve, reject) => (stop = watch(resolve, reject)));
    let got;
    void seen.then((v) => (got = [v]), () => (got = []));
    await until("a notification", async () => {
      await provoke();
      return got;
    });
    stop();
    return [await seen];
  }

  async function transfer(request, type) {
    const hash = await wallet.sendTransaction({ to: bob, value: 1n, ...request });
    const receipt = await client.waitForTransactionReceipt({ hash, timeout: 20_000 });
    equal(receipt.status, "success", "status");
    equal(receipt.type, type, "type");
    equal(receipt.effectiveGasPrice, 0n, "price");
    return receipt;
  }

  const flows = {
    async connect() {
      equal(await client.getChainId(), net.chainId, "chain id");
      truthy((await client.getBlockNumber()) >= 3n, "the height is below 3");
    },
    async balances() {
      truthy((await client.getBalance({ address: account.address })) > parseEther("1"), "not funded");
      equal(await client.getBalance({ address: freshAddress() }), 0n, "balance of nobody");
    },
    "send: default": async () => {
      state.receipt = await transfer({ value: parseEther("0.5") }, "eip1559");
    },
    "send: legacy": () => transfer({ type: "legacy" }, "legacy"),
    "send: access list": () =>
      transfer({ type: "eip2930", accessList: [{ address: bob, storageKeys: ["0x" + "01".repeat(32)] }] }, "eip2930"),
    "send: 1559": () => transfer({ type: "eip1559", maxFeePerGas: 7n, maxPriorityFeePerGas: 1n }, "eip1559"),
    "send: no balance, no value": async () => {
      const poor = createWalletClient({ account: privateKeyToAccount(generatePrivateKey()), chain, transport });
      const hash = await poor.sendTransaction({ to: bob, value: 0n });
      equal((await client.waitForTransactionReceipt({ hash })).status, "success", "status");
    },
    "send: new account": () => transfer({ to: freshAddress() }, "eip1559"),
    "send: ten in a row": async () => {
      const hashes = [];
      for (let i = 0; i < 10; i++) hashes.push(await wallet.sendTransaction({ to: bob, value: 1n }));
      const receipts = await Promise.all(hashes.map((hash) => client.waitForTransactionReceipt({ hash })));
      equal(receipts.filter((r) => r.status === "success").length, 10, "receipts");
    },
    "send: sync": async () => {
      const receipt = await wallet.sendTransactionSync({ to: bob, value: 1n });
      equal(receipt.status, "success", "status");
    },
    "read: block": async () => {
      const { blockNumber, blockHash, transactionHash } = state.receipt;
      const block = await client.getBlock({ blockNumber, includeTransactions: true });
      equal(block.hash, blockHash, "hash by number");
      truthy(block.transactions.some((t) => t.hash === transactionHash), "the block lacks the transaction");
      equal((await client.getBlock({ blockHash })).number, blockNumber, "number by hash");
      for (const blockTag of ["latest", "safe", "finalized", "pending", "earliest"]) {
        truthy(await client.getBlock({ blockTag }), `no block ${blockTag}`);
      }
      matches(names(await fails(() => client.getBlock({ blockNumber: 1_000_000_000n }), "a block of the future")), /BlockNotFoundError/, "error");
      truthy((await client.getBlockTransactionCount({ blockHash })) >= 1, "count of transactions");
    },
    "read: transaction": async () => {
      const tx = await client.getTransaction({ hash: state.receipt.transactionHash });
      equal(tx.from.toLowerCase(), account.address.toLowerCase(), "sender");
      equal(tx.value, parseEther("0.5"), "value");
      matches(names(await fails(() => client.getTransaction({ hash: toHex(18n, { size: 32 }) }), "an unknown one")), /TransactionNotFoundError/, "error");
      truthy((await client.getTransactionConfirmations({ hash: tx.hash })) >= 1n, "confirmations");
    },
    fees: async () => {
      equal(await client.getGasPrice(), 0n, "gas price");
      const fees = await client.estimateFeesPerGas();
      equal(fees.maxFeePerGas, 0n, "fee cap");
      equal(fees.maxPriorityFeePerGas, 0n, "tip");
      const history = await client.getFeeHistory({ blockCount: 3, rewardPercentiles: [25, 75] });
      equal(history.baseFeePerGas.length, 4, "base fees");
      equal(history.reward.length, 3, "rewards");
      equal(await client.estimateGas({ account, to: bob, value: 1n }), 21000n, "estimate");
    },
    "code, call, logs": async () => {
      equal(await client.getCode({ address: bob }), undefined, "code");
      equal(await client.getStorageAt({ address: bob, slot: "0x0" }), "0x" + "00".repeat(32), "storage");
      equal((await client.call({ to: bob, data: "0x12345678" })).data, undefined, "call");
      equal((await client.getLogs({ fromBlock: 0n, toBlock: "latest", address: bob })).length, 0, "logs");
    },
    filters: async () => {
      const blocks = await client.createBlockFilter();
      const receipt = await transfer({}, "eip1559");
      truthy((await client.getFilterChanges({ filter: blocks })).includes(receipt.blockHash), "the filter lacks the block");
      equal(await client.uninstallFilter({ filter: blocks }), true, "uninstalling");
      matches((await fails(() => client.getFilterChanges({ filter: blocks }), "a filter that is gone")).message, /filter not found/, "message");
      await client.uninstallFilter({ filter: await client.createPendingTransactionFilter() });
    },
    "fill transaction": async () => {
      const { transaction } = await client.fillTransaction({ account, to: bob, value: 1n });
      equal(transaction.gas, 21000n, "gas");
      equal(transaction.nonce, await client.getTransactionCount({ address: account.address, blockTag: "pending" }), "nonce");
    },
    "watch blocks": async () => {
      let stop;
      const seen = new Promise((resolve, reject) => {
        stop = client.watchBlocks({ onBlock: resolve, onError: reject, emitOnBegin: false });
      });
      await transfer({}, "eip1559");
      const block = await seen;
      stop();
      truthy(block.hash, "no block seen");
    },
    "subscribe: heads": async () => {
      const socket = await ws();
      const [block] = await first((onBlock, onError) => socket.watchBlocks({ onBlock, onError }), () => transfer({}, "eip1559"));
      truthy(block.number > 0n, "number of the head");
    },
    "subscribe: pending": async () => {
      const socket = await ws();
      const [hashes] = await first((onTransactions, onError) => socket.watchPendingTransactions({ onTransactions, onError }), () => transfer({}, "eip1559"));
      matches(hashes[0], /^0x[0-9a-f]{64}$/, "hash");
    },
    "send over a WebSocket": async () => {
      const socket = await ws();
      const hash = await createWalletClient({ account, chain, transport: webSocket(net.ws) }).sendTransaction({ to: bob, value: 1n });
      equal((await socket.waitForTransactionReceipt({ hash })).status, "success", "status");
    },
    "error: nonce too low": async () => {
      const error = await fails(() => wallet.sendTransaction({ to: bob, nonce: 0 }), "a used nonce");
      matches(names(error), /NonceTooLowError/, "error");
    },
    "error: nonce too high": async () => {
      const error = await fails(() => wallet.sendTransaction({ to: bob, nonce: 1_000_000 }), "a nonce far ahead");
      matches(names(error), /NonceTooHighError/, "error");
    },
    "error: insufficient funds": async () => {
      const all = { to: bob, value: parseEther("99999999") };
      matches(names(await fails(() => wallet.sendTransaction(all), "estimate of more than there is")), /InsufficientFundsError/, "estimate");
      matches(names(await fails(() => wallet.sendTransaction({ ...all, gas: 21000n }), "more than there is")), /InsufficientFundsError/, "error");
    },
    "error: replacement, known": async () => {
      const nonce = (await client.getTransactionCount({ address: account.address, blockTag: "pending" })) + 1;
      const common = { to: bob, nonce, gas: 21000n, chainId: net.chainId, type: "eip1559", maxFeePerGas: 0n, maxPriorityFeePerGas: 0n };
      const first = await account.signTransaction({ ...common, value: 1n });
      const hash = await client.sendRawTransaction({ serializedTransaction: first });
      const second = await account.signTransaction({ ...common, value: 2n });
      const send = (serializedTransaction) => client.sendRawTransaction({ serializedTransaction });
      matches((await fails(() => send(second), "a second one")).message, /replacement transaction underpriced/, "message");
      matches((await fails(() => send(first), "the same again")).message, /already known/, "message");
      await transfer({ nonce: nonce - 1 }, "eip1559");
      equal((await client.waitForTransactionReceipt({ hash })).status, "success", "status after the gap");
    },
    "contract: deploy": async () => {
      const hash = await wallet.deployContract({ abi, bytecode, args: ["Token of viem", "TOV", parseEther("1000"), account.address] });
      const receipt = await client.waitForTransactionReceipt({ hash });
      equal(receipt.status, "success", "status");
      equal(receipt.to, null, "recipient");
      truthy((await client.getCode({ address: receipt.contractAddress })).startsWith("0xeff00000"), "code");
      state.deployed = receipt.blockNumber;
      state.token = getContract({ address: receipt.contractAddress, abi, client: { public: client, wallet } });
    },
    "contract: read": async () => {
      equal(await state.token.read.name(), "Token of viem", "name");
      equal(await state.token.read.symbol(), "TOV", "symbol");
      equal(await state.token.read.decimals(), 18, "decimals");
      equal(await state.token.read.balanceOf([account.address]), parseEther("1000"), "balance");
      const slot = await client.getStorageAt({ address: state.token.address, slot: toHex(2) });
      equal(BigInt(slot), parseEther("1000"), "the slot of the supply");
    },
    "contract: transfer": async () => {
      const before = await client.getBlockNumber();
      const receipt = await client.waitForTransactionReceipt({ hash: await state.token.write.transfer([bob, 5n]) });
      equal(receipt.status, "success", "status");
      const { eventName, args } = decodeEventLog({ abi, ...receipt.logs[0] });
      equal(`${eventName} ${args.from} ${args.to} ${args.value}`, `Transfer ${account.address} ${bob} 5`, "event");
      equal(await state.token.read.balanceOf([bob]), 5n, "balance");
      equal(await state.token.read.balanceOf([bob], { blockNumber: before }), 0n, "balance before");
      state.transfer = receipt;
    },
    "contract: estimate, static call": async () => {
      const gas = await state.token.estimateGas.transfer([bob, 1n], { account });
      truthy(gas > 21_000n && gas < 200_000n, `estimate of ${gas}`);
      const receipt = await client.waitForTransactionReceipt({ hash: await state.token.write.transfer([bob, 1n], { gas }) });
      equal(receipt.status, "success", "status with the estimate");
      equal((await state.token.simulate.transfer([bob, 1n], { account })).result, true, "simulation");
    },
    "contract: access list": async () => {
      const { accessList, gasUsed } = await client.createAccessList({
        account, to: state.token.address, data: encodeFunctionData({ abi, functionName: "transfer", args: [bob, 1n] }),
      });
      equal(accessList.length, 1, "accounts");
      truthy(accessList[0].storageKeys.length >= 2 && gasUsed > 21_000n, `slots ${accessList[0].storageKeys.length}, gas ${gasUsed}`);
    },
    "contract: state override": async () => {
      const stateOverride = [{ address: state.token.address, stateDiff: [{ slot: toHex(2, { size: 32 }), value: toHex(42, { size: 32 }) }] }];
      equal(await client.readContract({ abi, address: state.token.address, functionName: "totalSupply", stateOverride }), 42n, "supply");
    },
    "contract: logs": async () => {
      const { address } = state.token;
      const all = await client.getContractEvents({ abi, address, eventName: "Transfer", fromBlock: state.deployed });
      equal(all.map((e) => e.args.value).join(), `${parseEther("1000")},5,1`, "transfers");
      const mine = await client.getContractEvents({ abi, address, eventName: "Transfer", args: { from: account.address, to: bob }, fromBlock: state.deployed });
      equal(mine.length, 2, "transfers from one to another");
      equal(mine[0].transactionHash, state.transfer.transactionHash, "transaction");
      equal((await client.getLogs({ blockHash: state.transfer.blockHash, address })).length, 1, "logs of a block");
    },
    "contract: watch events": async () => {
      let stop;
      const seen = new Promise((resolve, reject) => {
        stop = state.token.watchEvent.Transfer({}, { onLogs: (logs) => resolve(logs.map((l) => l.args.value).join()), onError: reject });
      });
      // The watcher's filter sees what comes after it, and says nothing when it is installed: transfers until one is seen.
      let got;
      void seen.then((values) => (got = values), () => {});
      await until("an event", async () => {
        await client.waitForTransactionReceipt({ hash: await state.token.write.transfer([bob, 77n]) });
        return got;
      });
      stop();
      matches(await seen, /^77(,77)*$/, "values");
    },
    "subscribe: logs": async () => {
      const { address } = state.token;
      const socket = await ws();
      const [logs] = await first((onLogs, onError) => socket.watchContractEvent({ abi, address, eventName: "Transfer", onLogs, onError }), async () =>
        client.waitForTransactionReceipt({ hash: await state.token.write.transfer([bob, 78n]) }));
      equal(logs[0].args.value, 78n, "value");
    },
    "error: custom error": async () => {
      const poor = privateKeyToAccount(generatePrivateKey());
      const error = await fails(() => state.token.simulate.transfer([bob, 1n], { account: poor }), "more than there is");
      const reverted = error.walk((e) => e.name === "ContractFunctionRevertedError");
      equal(reverted?.data?.errorName, "ERC20InsufficientBalance", "error");
      equal(reverted.data.args.join(), `${poor.address},0,1`, "its arguments");
      const estimate = await fails(() => state.token.estimateGas.transfer([bob, 1n], { account: poor }), "estimate of more than there is");
      matches(names(estimate), /ContractFunctionRevertedError|ExecutionRevertedError/, "error of the estimate");
    },
    "error: panic": async () => {
      const error = await fails(() => state.token.simulate.mint([bob, 2n ** 255n], { account }), "a supply beyond 2^255");
      matches(error.message, /Arithmetic operation resulted in underflow or overflow/, "message");
    },
    "error: EVM bytecode": async () => {
      const error = await fails(() => wallet.deployContract({ abi: [], bytecode: evmBytecode }), "EVM bytecode");
      matches(error.message, /not a WebAssembly contract/, "message");
      const hash = await wallet.deployContract({ abi: [], bytecode: evmBytecode, gas: 100_000n });
      equal((await client.waitForTransactionReceipt({ hash })).status, "reverted", "status of the executed one");
    },
    "error: intrinsic gas": async () => {
      const error = await fails(() => wallet.sendTransaction({ to: bob, gas: 20_999n }), "too little gas");
      matches(names(error) + error.message, /IntrinsicGasTooLowError/, "error");
    },
    "error: unknown method": async () => {
      const error = await fails(() => client.request({ method: "eth_noSuchMethod" }), "no method");
      matches(names(error), /MethodNotFoundRpcError/, "error");
    },
  };
  const plain = createPublicClient({ chain, transport: http(net.url) }); // as it comes
  const spender = createWalletClient({ account, chain, transport: http(net.url) });
  const { version } = JSON.parse(readFileSync(new URL("./node_modules/viem/package.json", import.meta.url)));
  return {
    version, flows,
    sendAndWait: async () => plain.waitForTransactionReceipt({ hash: await spender.sendTransaction({ to: bob, value: 1n }) }),
  };
}
