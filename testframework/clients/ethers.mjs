// The flows of ethers v6.
import { Contract, ContractFactory, JsonRpcProvider, NonceManager, Transaction, Wallet, WebSocketProvider, formatEther, parseEther, version } from "ethers";
import { equal, evmBytecode, fails, freshAddress, loadToken, matches, reaches, rpc, truthy, until } from "./lib.mjs";

export async function ethersFlows(net) {
  // Without a cache: blocks are faster than the 250 ms for which ethers reuses its answers.
  const provider = new JsonRpcProvider(net.url, undefined, { cacheTimeout: -1, pollingInterval: 50 });
  const alice = new Wallet(net.accounts[1].privateKey, provider);
  const bob = net.accounts[9].address;
  const { abi, bytecode } = loadToken();
  const state = {};
  const ws = async () => {
    await reaches(net.ws);
    return (state.ws ??= new WebSocketProvider(net.ws));
  };

  // ethers signs legacy transactions by default here: it takes a base fee of 0 for a chain from before
  // EIP-1559.
  async function transfer(request, type = 0) {
    const before = await provider.getBalance(request.to);
    const response = await alice.sendTransaction({ value: 1n, ...request });
    const receipt = await response.wait();
    equal(receipt.status, 1, "status");
    equal(receipt.type, type, "type of the receipt");
    equal(receipt.gasUsed, 21000n + (request.accessList ? 2400n + 1900n : 0n), "gas used");
    equal(receipt.fee, 0n, "fee");
    equal(await provider.getBalance(request.to), before + (request.value ?? 1n), "balance of the receiver");
    return receipt;
  }

  const flows = {
    async connect() {
      equal((await provider.getNetwork()).chainId, BigInt(net.chainId), "chain id");
      truthy((await provider.getBlockNumber()) >= 3, "the height is below 3");
    },
    async balances() {
      truthy((await provider.getBalance(alice.address)) > parseEther("1"), `${alice.address} is not funded`);
      equal(formatEther(await provider.getBalance(freshAddress())), "0.0", "balance of nobody");
      truthy((await provider.getBalance(bob, "finalized")) >= parseEther("10000"), "balance at a tag");
    },
    "send: default": async () => {
      state.receipt = await transfer({ to: bob, value: parseEther("0.5") });
    },
    "send: legacy": () => transfer({ to: bob, type: 0 }),
    "send: access list": () =>
      transfer({ to: bob, type: 1, accessList: [{ address: bob, storageKeys: ["0x" + "01".repeat(32)] }] }, 1),
    "send: 1559": () => transfer({ to: bob, type: 2, maxFeePerGas: 7n, maxPriorityFeePerGas: 1n }, 2),
    "send: no balance, no value": async () => {
      const poor = Wallet.createRandom().connect(provider);
      const receipt = await (await poor.sendTransaction({ to: bob, value: 0n })).wait();
      equal(receipt.status, 1, "status");
      equal(await provider.getTransactionCount(poor.address), 1, "nonce");
    },
    "send: sync": async () => {
      // ethers has no method for it, but sends any.
      const raw = await alice.signTransaction(await alice.populateTransaction({ to: bob, value: 1n }));
      equal((await provider.send("eth_sendRawTransactionSync", [raw])).status, "0x1", "status");
    },
    "send: new account": () => transfer({ to: freshAddress(), value: 3n }),
    "send: ten in a row": async () => {
      const responses = [];
      for (let i = 0; i < 10; i++) responses.push(await alice.sendTransaction({ to: bob, value: 1n }));
      const receipts = await Promise.all(responses.map((r) => r.wait()));
      equal(receipts.filter((r) => r.status === 1).length, 10, "receipts");
    },
    "send: back to back, NonceManager": async () => {
      const usual = new JsonRpcProvider(net.url);
      const manager = new NonceManager(alice.connect(usual));
      for (let i = 0; i < 5; i++) equal((await (await manager.sendTransaction({ to: bob, value: 1n })).wait()).status, 1, "status");
      usual.destroy();
    },
    "send: three confirmations": async () => {
      const response = await alice.sendTransaction({ to: bob, value: 1n });
      const more = await alice.sendTransaction({ to: bob, value: 1n });
      await more.wait();
      const last = await alice.sendTransaction({ to: bob, value: 1n });
      await last.wait();
      // Blocks come on demand; the network's heartbeat delivers what is missing.
      const receipt = await response.wait(3, 20_000);
      truthy((await receipt.confirmations()) >= 3, "confirmations");
    },
    "read: block": async () => {
      const { blockNumber, blockHash, hash } = state.receipt;
      const block = await provider.getBlock(blockNumber, true);
      equal(block.hash, blockHash, "hash by number");
      truthy(block.prefetchedTransactions.some((t) => t.hash === hash), "the block lacks the transaction");
      equal((await provider.getBlock(blockHash)).number, blockNumber, "number by hash");
      for (const tag of ["latest", "safe", "finalized", "pending", "earliest"]) {
        truthy(await provider.getBlock(tag), `no block ${tag}`);
      }
      equal(await provider.getBlock(1_000_000_000), null, "a block of the future");
    },
    "read: transaction": async () => {
      const tx = await provider.getTransaction(state.receipt.hash);
      equal(tx.from, alice.address, "sender");
      equal(tx.value, parseEther("0.5"), "value");
      equal(tx.blockHash, state.receipt.blockHash, "block hash");
      equal(Transaction.from(tx).hash, tx.hash, "hash of the fields");
      equal(await provider.getTransaction("0x" + "12".repeat(32)), null, "an unknown transaction");
      equal(await provider.getTransactionReceipt("0x" + "12".repeat(32)), null, "an unknown receipt");
    },
    fees: async () => {
      const data = await provider.getFeeData();
      equal(data.gasPrice, 0n, "gas price");
      equal(data.maxFeePerGas, null, "fee cap, which ethers leaves out for a base fee of 0");
      equal(await alice.estimateGas({ to: bob, value: 1n }), 21000n, "estimate");
    },
    "code, call, logs": async () => {
      equal(await provider.getCode(bob), "0x", "code");
      equal(await provider.getStorage(bob, 0), "0x" + "00".repeat(32), "storage");
      equal(await provider.call({ to: bob, data: "0x12345678" }), "0x", "call");
      equal((await provider.getLogs({ fromBlock: 0, toBlock: "latest", address: bob })).length, 0, "logs");
      const error = await fails(() => new Contract(bob, ["function f() view returns (uint)"], provider).f(), "call of no contract");
      equal(error.code, "BAD_DATA", "code of the error");
    },
    filters: async () => {
      const blocks = await provider.send("eth_newBlockFilter", []);
      const { blockHash } = await transfer({ to: bob });
      truthy((await provider.send("eth_getFilterChanges", [blocks])).includes(blockHash), "the filter lacks the block");
      equal(await provider.send("eth_uninstallFilter", [blocks]), true, "uninstalling");
    },
    "watch blocks": async () => {
      const seen = new Promise((resolve) => provider.once("block", resolve));
      await provider.getBlockNumber();
      await transfer({ to: bob });
      truthy((await seen) > 0, "no block seen");
    },
    "watch transaction": async () => {
      const response = await alice.sendTransaction({ to: bob, value: 1n });
      const receipt = await new Promise((resolve) => provider.once(response.hash, resolve));
      equal(receipt.hash, response.hash, "hash");
    },
    "error: nonce too low": async () => {
      const error = await fails(() => alice.sendTransaction({ to: bob, nonce: 0 }), "a used nonce");
      equal(error.code, "NONCE_EXPIRED", "code");
    },
    "error: insufficient funds": async () => {
      const all = { to: bob, value: parseEther("99999999") };
      equal((await fails(() => alice.sendTransaction(all), "estimate of more than there is")).code, "INSUFFICIENT_FUNDS", "code of the estimate");
      const error = await fails(() => alice.sendTransaction({ ...all, gasLimit: 21000 }), "more than there is");
      equal(error.code, "INSUFFICIENT_FUNDS", "code");
    },
    "error: replacement, known": async () => {
      // Behind a gap, so that the first one stays in the pool.
      const nonce = (await alice.getNonce("pending")) + 1;
      const waiting = await alice.sendTransaction({ to: bob, value: 1n, nonce });
      const error = await fails(() => alice.sendTransaction({ to: bob, value: 2n, nonce }), "a second one");
      equal(error.code, "REPLACEMENT_UNDERPRICED", "code");
      const raw = Transaction.from(await provider.getTransaction(waiting.hash)).serialized;
      matches((await fails(() => provider.broadcastTransaction(raw), "the same again")).message, /already known/, "message");
      await (await alice.sendTransaction({ to: bob, nonce: nonce - 1 })).wait();
      equal((await waiting.wait()).status, 1, "status after the gap");
      const again = await fails(() => provider.broadcastTransaction(raw), "an executed one again");
      matches(again.message, /already known|nonce too low|nonce has already been used/, "message of an executed one");
    },
    "speed up": async () => {
      const nonce = (await alice.getNonce("pending")) + 1;
      const old = await alice.sendTransaction({ to: bob, nonce, maxFeePerGas: 10n, maxPriorityFeePerGas: 10n });
      const better = await alice.sendTransaction({ to: bob, nonce, maxFeePerGas: 20n, maxPriorityFeePerGas: 20n });
      await (await alice.sendTransaction({ to: bob, nonce: nonce - 1 })).wait();
      equal((await better.wait()).status, 1, "status of the replacement");
      equal(await provider.getTransactionReceipt(old.hash), null, "receipt of the replaced one");
    },
    "contract: deploy": async () => {
      const factory = new ContractFactory(abi, bytecode, alice);
      state.token = await factory.deploy("Token of ethers", "TOE", parseEther("1000"), alice.address);
      const receipt = await state.token.deploymentTransaction().wait();
      equal(receipt.status, 1, "status");
      equal(receipt.contractAddress, await state.token.getAddress(), "address");
      equal(receipt.to, null, "recipient");
      truthy((await provider.getCode(receipt.contractAddress)).startsWith("0xeff00000"), "code");
      equal(await provider.getTransactionCount(receipt.contractAddress), 1, "nonce of the contract");
      state.deployed = receipt.blockNumber;
    },
    "contract: read": async () => {
      equal(await state.token.name(), "Token of ethers", "name");
      equal(await state.token.symbol(), "TOE", "symbol");
      equal(await state.token.decimals(), 18n, "decimals");
      equal(await state.token.balanceOf(alice.address), parseEther("1000"), "balance");
    },
    "contract: transfer": async () => {
      const before = await provider.getBlockNumber();
      const receipt = await (await state.token.transfer(bob, 5n)).wait();
      equal(receipt.status, 1, "status");
      equal(receipt.logs.length, 1, "logs");
      const { name, args } = state.token.interface.parseLog(receipt.logs[0]);
      equal(`${name} ${args.from} ${args.to} ${args.value}`, `Transfer ${alice.address} ${bob} 5`, "event");
      equal(await state.token.balanceOf(bob), 5n, "balance");
      equal(await state.token.balanceOf(bob, { blockTag: before }), 0n, "balance before");
      state.transfer = receipt;
    },
    "contract: estimate, static call": async () => {
      const gas = await state.token.transfer.estimateGas(bob, 1n);
      truthy(gas > 21_000n && gas < 200_000n, `estimate of ${gas}`);
      equal((await (await state.token.transfer(bob, 1n, { gasLimit: gas })).wait()).status, 1, "status with the estimate");
      equal(await state.token.transfer.staticCall(bob, 1n), true, "static call");
    },
    "contract: logs": async () => {
      const all = await state.token.queryFilter(state.token.filters.Transfer(), state.deployed);
      equal(all.map((e) => e.args.value).join(), `${parseEther("1000")},5,1`, "transfers");
      const mine = await state.token.queryFilter(state.token.filters.Transfer(alice.address, bob), state.deployed);
      equal(mine.length, 2, "transfers from one to another");
      equal(mine[0].transactionHash, state.transfer.hash, "transaction");
      equal((await provider.getLogs({ blockHash: state.transfer.blockHash, address: await state.token.getAddress() })).length, 1, "logs of a block");
      equal((await state.token.queryFilter(state.token.filters.Transfer(bob), state.deployed)).length, 0, "transfers from the other");
    },
    "contract: watch events": async () => {
      const seen = new Promise((resolve) => state.token.once("Transfer", (from, to, value) => resolve(`${from} ${to} ${value}`)));
      await provider.getBlockNumber();
      await (await state.token.transfer(bob, 77n)).wait();
      equal(await seen, `${alice.address} ${bob} 77`, "event");
    },
    "error: custom error": async () => {
      const poor = Wallet.createRandom().connect(provider);
      for (const ask of ["staticCall", "estimateGas", "send"]) {
        const error = await fails(() => state.token.connect(poor).transfer[ask](bob, 1n), `${ask} of more than there is`);
        equal(error.code, "CALL_EXCEPTION", `code of ${ask}`);
        const { name, args } = state.token.interface.parseError(error.data);
        equal(`${name} ${args}`, `ERC20InsufficientBalance ${poor.address},0,1`, `error of ${ask}`);
      }
      const sent = await (await state.token.connect(poor).transfer(bob, 1n, { gasLimit: 100_000 })).wait().catch((e) => e);
      equal(sent.code, "CALL_EXCEPTION", "code of the executed one");
      equal(sent.receipt.status, 0, "status of the executed one");
    },
    "error: panic": async () => {
      const error = await fails(() => state.token.mint.staticCall(bob, 2n ** 255n), "a supply beyond 2^255");
      equal(error.reason, "Panic due to OVERFLOW(17)", "reason");
    },
    "error: EVM bytecode": async () => {
      const estimate = await fails(() => alice.sendTransaction({ data: evmBytecode }), "an estimate of EVM bytecode");
      equal(estimate.code, "CALL_EXCEPTION", "code");
      matches(estimate.reason, /not a WebAssembly contract/, "reason");
      const sent = await (await alice.sendTransaction({ data: evmBytecode, gasLimit: 100_000 })).wait().catch((e) => e);
      equal(sent.receipt?.status, 0, "status of the executed one");
    },
    "error: constructor": async () => {
      const factory = new ContractFactory(abi, bytecode, alice);
      const error = await fails(() => factory.deploy("Token", "T", 1n, "0x" + "00".repeat(20)), "a token without an admin");
      equal(factory.interface.parseError(error.data)?.name, "ERC20InvalidReceiver", "error");
    },
    "error: wrong chain": async () => {
      const raw = await new Wallet(alice.privateKey).signTransaction({
        to: bob, type: 2, chainId: 1, nonce: await alice.getNonce(), gasLimit: 21000, maxFeePerGas: 0, maxPriorityFeePerGas: 0,
      });
      matches((await fails(() => provider.broadcastTransaction(raw), "another chain's")).message, /chain id/, "message");
    },
    "error: unprotected": async () => {
      const raw = await new Wallet(alice.privateKey).signTransaction({
        to: bob, type: 0, nonce: await alice.getNonce(), gasLimit: 21000, gasPrice: 0,
      });
      const error = await fails(() => provider.broadcastTransaction(raw), "a legacy one without a chain id");
      equal(error.code, "UNSUPPORTED_OPERATION", "code");
    },
    "error: intrinsic gas": async () => {
      const error = await fails(() => alice.sendTransaction({ to: bob, gasLimit: 20_999 }), "too little gas");
      matches(error.message, /intrinsic gas too low/, "message");
    },
    "error: unknown method": async () => {
      equal((await fails(() => provider.send("eth_noSuchMethod", []), "no method")).code, "UNSUPPORTED_OPERATION", "code");
    },
    "subscribe: heads": async () => {
      const socket = await ws();
      const seen = new Promise((resolve) => socket.once("block", resolve));
      await socket.getBlockNumber();
      const { blockNumber } = await transfer({ to: bob });
      truthy((await seen) <= blockNumber, "number of the head");
    },
    "subscribe: logs": async () => {
      const socket = await ws();
      const token = state.token.connect(socket);
      const seen = new Promise((resolve) => token.once("Transfer", (...args) => resolve(args.at(-1).log.transactionHash)));
      await socket.getBlockNumber();
      equal((await (await state.token.transfer(bob, 78n)).wait()).hash, await seen, "transaction");
    },
    "subscribe: pending": async () => {
      const socket = await ws();
      const seen = new Promise((resolve) => socket.once("pending", resolve));
      await socket.getBlockNumber();
      await transfer({ to: bob });
      matches(await seen, /^0x[0-9a-f]{64}$/, "hash");
    },
    "send over a WebSocket": async () => {
      const response = await alice.connect(await ws()).sendTransaction({ to: bob, value: 1n });
      equal((await response.wait()).status, 1, "status");
    },
    "the pool is empty": () =>
      until("an empty pool", async () => {
        const { pending, queued } = await rpc(net.url, "txpool_status");
        return pending === "0x0" && queued === "0x0";
      }),
  };
  const plain = new JsonRpcProvider(net.url); // as it comes
  const spender = alice.connect(plain);
  const absent = {
    "send: back to back": "As it comes, ethers takes its own answers of the last 250 ms from a cache, and so the nonce of a transaction that it "
      + "has a receipt of: NONCE_EXPIRED. Give the provider `cacheTimeout: -1`, or use a NonceManager. Its sends are timed 300 ms apart.",
  };
  return {
    version, flows, absent, pauseMs: 300,
    sendAndWait: async () => (await spender.sendTransaction({ to: bob, value: 1n })).wait(),
    close: () => [provider, plain, state.ws].forEach((p) => p?.destroy()),
  };
}
