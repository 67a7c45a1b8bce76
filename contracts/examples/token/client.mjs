// The token, as a program with ethers sees it. Usage: node client.mjs [URL [KEY]]
import { MaxUint256, Signature, id } from "ethers";
import { deploy, done, equal, logs, main, refused } from "../network.mjs";

await main("token", async ({ provider, operator, person }) => {
  const [admin, alice, bob] = [person(), person(), person()];
  const token = await deploy("token", operator, "Tercet Euro", "TEUR", 1000n, admin.address);
  const as = (someone) => token.connect(someone);

  equal(await token.name(), "Tercet Euro", "name");
  equal(await token.decimals(), 18n, "decimals");
  equal(await token.balanceOf(admin.address), 1000n, "the admin's balance");

  let receipt = await done("transfer", as(admin).transfer(alice.address, 300n));
  equal(logs(token, receipt), [["Transfer", admin.address, alice.address, 300n]], "logs of a transfer");
  equal(await token.balanceOf(alice.address), 300n, "alice's balance");
  await refused("transfer of too much", token, "ERC20InsufficientBalance", [bob.address, 0n, 1n], () => as(bob).transfer(alice.address, 1n));

  await done("approve", as(alice).approve(bob.address, 50n));
  await done("transferFrom", as(bob).transferFrom(alice.address, bob.address, 20n));
  equal(await token.allowance(alice.address, bob.address), 30n, "what is left of the allowance");
  await refused("transferFrom of too much", token, "ERC20InsufficientAllowance", [bob.address, 30n, 31n], () =>
    as(bob).transferFrom(alice.address, bob.address, 31n));

  // A permit is an allowance that the owner signs and anybody brings (EIP-2612).
  const { chainId } = await provider.getNetwork();
  const domain = { name: "Tercet Euro", version: "1", chainId, verifyingContract: await token.getAddress() };
  const types = {
    Permit: [
      { name: "owner", type: "address" }, { name: "spender", type: "address" }, { name: "value", type: "uint256" },
      { name: "nonce", type: "uint256" }, { name: "deadline", type: "uint256" },
    ],
  };
  const permit = { owner: alice.address, spender: bob.address, value: 70n, nonce: await token.nonces(alice.address), deadline: MaxUint256 };
  const { v, r, s } = Signature.from(await alice.signTypedData(domain, types, permit));
  const bring = () => as(bob).permit(permit.owner, permit.spender, permit.value, permit.deadline, v, r, s);
  await done("permit", bring());
  equal(await token.allowance(alice.address, bob.address), 70n, "the permitted allowance");
  equal(await token.nonces(alice.address), 1n, "alice's nonce");

  const minter = id("MINTER_ROLE");
  await refused("mint by anybody", token, "AccessControlUnauthorizedAccount", [bob.address, minter], () => as(bob).mint(bob.address, 5n));
  await done("grantRole", as(admin).grantRole(minter, bob.address));
  await done("mint", as(bob).mint(bob.address, 5n));
  equal(await token.totalSupply(), 1005n, "the supply");

  await done("freeze", as(admin).freeze(alice.address));
  await refused("transfer from a frozen account", token, "AccountFrozen", [alice.address], () => as(alice).transfer(bob.address, 1n));
  await done("unfreeze", as(admin).unfreeze(alice.address));
  await done("pause", as(admin).pause());
  await refused("transfer while paused", token, "EnforcedPause", [], () => as(alice).transfer(bob.address, 1n));
  await done("unpause", as(admin).unpause());
  await done("burn", as(bob).burn(25n));

  const { blockNumber } = await token.deploymentTransaction().wait();
  const transfers = await token.queryFilter(token.filters.Transfer(alice.address), blockNumber);
  equal(transfers.map((log) => [log.args.to, log.args.value]), [[bob.address, 20n]], "alice's transfers in eth_getLogs");
  const sum = (await token.balanceOf(admin.address)) + (await token.balanceOf(alice.address)) + (await token.balanceOf(bob.address));
  equal(sum, await token.totalSupply(), "the sum of balances");
});
