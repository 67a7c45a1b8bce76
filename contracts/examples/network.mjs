// What the client scripts share: a network, people, deployment from an artifact, and assertions.
import { ContractFactory, JsonRpcProvider, Wallet } from "ethers";
import { readFileSync } from "node:fs";

// main runs a script: node SCRIPT [URL [KEY]]. KEY is of the account that creates contracts, where not everybody may.
export async function main(name, story) {
  const [url = "http://127.0.0.1:8545", key] = process.argv.slice(2);
  // Without a cache: blocks are faster than the 250 ms for which ethers reuses its answers.
  const provider = new JsonRpcProvider(url, undefined, { cacheTimeout: -1, pollingInterval: 50 });
  // Gas costs nothing, so that new accounts can act without a balance.
  const person = () => Wallet.createRandom().connect(provider);
  const operator = key ? new Wallet(key, provider) : person();
  let code = 0;
  try {
    await story({ provider, operator, person });
    console.log(`${name}: all as expected`);
  } catch (error) {
    console.error(`${name}: ${error.stack ?? error}`);
    code = 1;
  }
  process.exit(code); // ethers keeps timers and sockets
}

// deploy creates the contract of an artifact.json, with constructor arguments, as any ethers program does.
export async function deploy(name, by, ...args) {
  const artifact = JSON.parse(readFileSync(new URL(`./${name}/artifact.json`, import.meta.url), "utf8"));
  const contract = await ContractFactory.fromSolidity(artifact, by).deploy(...args);
  await contract.waitForDeployment();
  const { gasUsed } = await contract.deploymentTransaction().wait();
  console.log(`${name}: at ${await contract.getAddress()}, ${gasUsed} gas`);
  return contract;
}

// done waits for a transaction's receipt and prints its gas.
export async function done(what, sent) {
  const receipt = await (await sent).wait();
  console.log(`  ${what}: ${receipt.gasUsed} gas`);
  return receipt;
}

// logs decodes a receipt's logs of a contract: [name, ...arguments] each.
export function logs(contract, receipt) {
  return receipt.logs
    .filter((log) => log.address === contract.target)
    .map((log) => contract.interface.parseLog(log))
    .map((log) => [log.name, ...log.args]);
}

// refused runs what has to revert with a custom error of the contract. ethers decodes it for calls; for what is sent
// it leaves the data as they are.
export async function refused(what, contract, name, args, attempt) {
  try {
    await attempt();
  } catch (error) {
    const reverted = error.revert ?? (error.data && contract.interface.parseError(error.data));
    if (!reverted) throw error;
    equal([reverted.name, ...reverted.args], [name, ...args], what);
    console.log(`  ${what}: ${name}`);
    return;
  }
  throw new Error(`${what}: was accepted, want ${name}`);
}

export function equal(got, want, what) {
  const [a, b] = [show(got), show(want)];
  if (a !== b) throw new Error(`${what}: got ${a}, want ${b}`);
}

function show(value) {
  return JSON.stringify(value, (_, v) => (typeof v === "bigint" ? `${v}` : v));
}
