// The flows of viem 2.
import { readFileSync } from "node:fs";
import { createPublicClient, createWalletClient, defineChain, http, parseEther, toHex } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { equal, fails, freshAddress, matches, truthy } from "./lib.mjs";

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
  const state = {};

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
      equal((await client.getLogs({ fromBlock: 0n, toBlock: "latest" })).length, 0, "logs");
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
    "error: contract creation": async () => {
      for (const gas of [undefined, 100_000n]) {
        const error = await fails(() => wallet.deployContract({ abi: [], bytecode: "0x6001600c60003960016000f300", gas }), "a creation");
        matches(error.message, /contract creation is not supported yet/, "message");
      }
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
  const { version } = JSON.parse(readFileSync(new URL("./node_modules/viem/package.json", import.meta.url)));
  return { name: "viem", version, flows };
}
