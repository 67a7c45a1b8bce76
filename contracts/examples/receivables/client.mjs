// Receivables and their token, as a program with ethers sees them. Usage: node client.mjs [URL [KEY]]
import { AbiCoder, id, keccak256 } from "ethers";
import { deploy, done, equal, logs, main, refused } from "../network.mjs";

await main("receivables", async ({ provider, operator, person }) => {
  const [supplier, buyer, bank] = [person(), person(), person()];
  const token = await deploy("token", operator, "Tercet Euro", "TEUR", 2000n, bank.address);
  const receivables = await deploy("receivables", operator, await token.getAddress());
  const as = (someone) => receivables.connect(someone);
  const here = await receivables.getAddress();
  await done("the buyer's tokens", token.connect(bank).transfer(buyer.address, 1000n));
  await done("the buyer's allowance", token.connect(buyer).approve(here, 500n));

  const due = BigInt((await provider.getBlock("latest")).timestamp) + 86_400n * 60n;
  const invoice = keccak256(AbiCoder.defaultAbiCoder().encode(["address", "bytes32"], [supplier.address, id("2026-001")]));
  let receipt = await done("draft", as(supplier).draft("2026-001", buyer.address, 500n, due));
  equal(logs(receivables, receipt), [["Drafted", invoice, supplier.address, buyer.address, "2026-001", 500n, due]], "logs of a draft");
  await refused("draft it again", receivables, "InvoiceExists", [invoice], () => as(supplier).draft("2026-001", bank.address, 1n, due));
  await refused("accept as another", receivables, "NotDebtor", [invoice, bank.address], () => as(bank).accept(invoice));
  await done("accept", as(buyer).accept(invoice));

  await refused("split into too much", receivables, "SumDiffers", [501n, 500n], () => as(supplier).split(invoice, [200n, 301n]));
  const [kept, sold] = await as(supplier).split.staticCall(invoice, [200n, 300n]);
  await done("split", as(supplier).split(invoice, [200n, 300n]));

  // The bank pays and becomes the holder in one transaction, or neither happens.
  await done("offer", as(supplier).offer(sold, 280n));
  await refused("finance without allowance", receivables, "ERC20InsufficientAllowance", [here, 0n, 280n], () => as(bank).finance(sold, 280n));
  await done("the bank's allowance", token.connect(bank).approve(here, 280n));
  receipt = await done("finance", as(bank).finance(sold, 280n));
  equal(logs(receivables, receipt), [["Financed", sold, supplier.address, bank.address, 280n]], "logs of financing");
  equal(logs(token, receipt), [["Transfer", bank.address, supplier.address, 280n]], "logs of the token");
  equal((await receivables.receivable(sold)).holder, bank.address, "the holder");

  await refused("claim too early", receivables, "NotSettled", [invoice], () => as(bank).claim(sold));
  await done("settle", as(buyer).settle(invoice));
  equal(await token.balanceOf(here), 500n, "what the contract holds");
  await done("claim", as(supplier).claim(kept));
  await done("claim what was sold", as(bank).claim(sold));
  await refused("claim twice", receivables, "WrongState", [sold, 4n], () => as(bank).claim(sold));
  equal(await token.balanceOf(here), 0n, "what the contract holds in the end");
  equal(await token.balanceOf(supplier.address), 480n, "what the supplier has");
  equal(await token.balanceOf(bank.address), 1020n, "what the bank has");
});
