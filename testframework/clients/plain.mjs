// Flows in plain JSON-RPC: those of raw.mjs, what all nodes have to agree on, and answers that no library shows.
import { RpcError, batch, equal, evmBytecode, fails, matches, rpc, truthy, until } from "./lib.mjs";
import { rawFlows } from "./raw.mjs";

const chunk = 100; // blocks of one batch

export async function plainFlows(net) {
  const [url] = net.urls;
  // range asks a node for one thing of each block, in one request.
  const range = async (node, method, from, to, ...more) => {
    const calls = [];
    for (let h = from; h <= to; h++) calls.push([method, "0x" + h.toString(16), ...more]);
    const answers = await batch(node, calls);
    equal(answers.length, calls.length, "answers of a batch");
    return answers.sort((a, b) => a.id - b.id).map((a) => a.result);
  };
  // level waits until all nodes have what any node has, and returns its height.
  const level = async () => {
    const heights = await Promise.all(net.urls.map((u) => rpc(u, "eth_blockNumber")));
    const head = Math.max(...heights.map(Number));
    await Promise.all(net.urls.map((u) =>
      until(`height ${head} of ${u}`, async () => Number(await rpc(u, "eth_blockNumber")) >= head)));
    return head;
  };

  const raw = rawFlows(net);
  const flows = {
    ...raw.flows,
    "nodes agree": async () => {
      const head = await level();
      let parent;
      let transactions = 0;
      for (let from = 0; from <= head; from += chunk) {
        const lists = await Promise.all(net.urls.map((u) => range(u, "eth_getBlockByNumber", from, Math.min(from + chunk - 1, head), false)));
        lists[0].forEach((block, i) => {
          for (const [n, list] of lists.entries()) {
            for (const field of ["hash", "stateRoot", "receiptsRoot", "transactionsRoot"]) {
              equal(list[i][field], block[field], `${field} of block ${from + i} on node ${n + 1}`);
            }
          }
          equal(Number(block.number), from + i, "number");
          if (parent) equal(block.parentHash, parent, `parent of block ${from + i}`);
          parent = block.hash;
          transactions += block.transactions.length;
        });
      }
      truthy(head > 0, "there is no block");
      console.error(`     ${net.urls.length} nodes agree on ${head + 1} blocks with ${transactions} transactions`);
    },
    "receipts agree": async () => {
      const head = await level();
      for (let from = 1; from <= head; from += chunk) {
        const lists = await Promise.all(net.urls.map((u) => range(u, "eth_getBlockReceipts", from, Math.min(from + chunk - 1, head))));
        for (const [n, list] of lists.entries()) {
          list.forEach((receipts, i) => {
            truthy(Array.isArray(receipts), `node ${n + 1} has no receipts of block ${from + i}`);
            equal(JSON.stringify(receipts), JSON.stringify(lists[0][i]), `receipts of block ${from + i} on node ${n + 1}`);
          });
        }
      }
    },
    "logs agree": async () => {
      const head = await level();
      let logs = 0;
      for (let from = 0; from <= head; from += 10 * chunk) {
        const query = { fromBlock: "0x" + from.toString(16), toBlock: "0x" + Math.min(from + 10 * chunk - 1, head).toString(16) };
        const lists = await Promise.all(net.urls.map((u) => rpc(u, "eth_getLogs", query)));
        for (const [n, list] of lists.entries()) {
          equal(JSON.stringify(list), JSON.stringify(lists[0]), `logs from block ${from} on node ${n + 1}`);
        }
        logs += lists[0].length;
      }
      console.error(`     ${net.urls.length} nodes agree on ${logs} logs`);
    },
    "error: EVM bytecode": async () => {
      for (const method of ["eth_call", "eth_estimateGas"]) {
        const error = await fails(() => rpc(url, method, { data: evmBytecode }), method);
        equal(error.code, 3, `code of ${method}`);
        matches(error.text, /^execution reverted: this is not a WebAssembly contract/, "message");
        matches(error.data, /^0x08c379a0[0-9a-f]+$/, "data");
      }
    },
    "receipt has the fields of the specification": async () => {
      const fields = ["blockHash", "blockNumber", "contractAddress", "cumulativeGasUsed", "effectiveGasPrice", "from", "gasUsed",
        "logs", "logsBloom", "status", "to", "transactionHash", "transactionIndex", "type"];
      const head = Number(await rpc(url, "eth_blockNumber"));
      let receipts = [];
      for (let h = head; h > 0 && receipts.length === 0; h--) receipts = await rpc(url, "eth_getBlockReceipts", "0x" + h.toString(16));
      if (receipts.length === 0) return; // nobody has sent anything yet
      equal(Object.keys(receipts[0]).sort().join(), fields.sort().join(), "fields");
      equal(receipts[0].contractAddress === null, receipts[0].to !== null, "contractAddress is there");
    },
    connect: async () => {
      equal(Number(await rpc(url, "eth_chainId")), net.chainId, "chain id");
      equal(await rpc(url, "net_version"), String(net.chainId), "network id");
      equal(await rpc(url, "net_listening"), true, "listening");
      equal(Number(await rpc(url, "net_peerCount")), net.urls.length - 1, "peers");
      equal(await rpc(url, "eth_syncing"), false, "syncing");
      equal((await rpc(url, "eth_accounts")).length, 0, "accounts of the node");
      equal(await rpc(url, "web3_sha3", "0x68656c6c6f20776f726c64"),
        "0x47173285a8d7341e5e972fc677286384f802f8ef42a5ec5f03bbfa254cb01fad", "keccak256");
      matches((await rpc(url, "tercet_status")).version, /^tercet\//, "version");
      truthy("eth" in (await rpc(url, "rpc_modules")), "rpc_modules lacks eth");
    },
    "block by hash (EIP-1898)": async () => {
      const { hash, number } = await rpc(url, "eth_getBlockByNumber", "latest", false);
      const who = net.accounts[9].address;
      equal(await rpc(url, "eth_getBalance", who, { blockHash: hash }), await rpc(url, "eth_getBalance", who, number), "balance");
      equal(await rpc(url, "eth_getBlockByHash", "0x" + "12".repeat(32), false), null, "an unknown block");
      equal(await rpc(url, "eth_getUncleCountByBlockNumber", number), "0x0", "uncles");
    },
    "error: unknown method": async () => {
      for (const method of ["eth_noSuchMethod", "admin_peers", "trace_block", "personal_listAccounts"]) {
        const error = await fails(() => rpc(url, method), method);
        truthy(error instanceof RpcError, `no JSON-RPC error: ${error}`);
        equal(error.code, -32601, `code of ${method}`);
        equal(error.text, `the method ${method} does not exist/is not available`, "message");
      }
    },
    "no subscriptions over HTTP": async () => {
      const error = await fails(() => rpc(url, "eth_subscribe", "newHeads"), "a subscription");
      equal(error.code, -32601, "code");
      matches(error.text, /notifications not supported|does not exist\/is not available/, "message");
    },
    "error: malformed": async () => {
      const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: "{" });
      equal((await answer.json()).error.code, -32700, "code");
      equal((await fails(() => rpc(url, "eth_getBalance"), "no argument")).code, -32602, "code without arguments");
      equal((await fails(() => rpc(url, "eth_getBalance", "0x12", "latest"), "no address")).code, -32602, "code of a bad address");
      matches((await fails(() => rpc(url, "eth_sendRawTransaction", "0x1234"), "no transaction")).text, /./, "message");
    },
    batch: async () => {
      const answers = await batch(url, [["eth_chainId"], ["eth_noSuchMethod"], ["eth_blockNumber"]]);
      equal(answers.length, 3, "answers");
      equal(answers.filter((a) => a.error).length, 1, "errors");
    },
  };
  return { version: "fetch and ws", flows, sendAndWait: raw.sendAndWait };
}
