// The notary, as a program with ethers sees it. Usage: node client.mjs [URL [KEY]]
import { ZeroHash, concat, id, keccak256 } from "ethers";
import { deploy, done, equal, logs, main, refused } from "../network.mjs";

// The tree of @openzeppelin/merkle-tree for ["bytes32"]: leaves are hashed twice, pairs are sorted.
const leaf = (hash) => keccak256(keccak256(hash));
const pair = (a, b) => keccak256(a < b ? concat([a, b]) : concat([b, a]));

await main("notary", async ({ operator, person }) => {
  const [admin, alice, bob, ann, ben] = [person(), person(), person(), person(), person()];
  const notary = await deploy("notary", operator, admin.address, [ann.address, ben.address], 2);
  const as = (someone) => notary.connect(someone);
  const [contract, photo, letter, corrected] = ["contract.pdf", "photo.jpg", "letter.txt", "contract-2.pdf"].map(id);

  let receipt = await done("submit", as(alice).submit(contract, "case 17: the contract"));
  equal(logs(notary, receipt), [["Submitted", contract, alice.address, "case 17: the contract"]], "logs of a submission");
  await refused("submit it again", notary, "AlreadySubmitted", [contract], () => as(bob).submit(contract, "mine"));
  await done("submitBatch", as(alice).submitBatch([photo, letter], "case 17: the rest"));

  await refused("attest as anybody", notary, "NotAttester", [bob.address], () => as(bob).attest(contract));
  await done("attest", as(ann).attest(contract));
  receipt = await done("attest as the second", as(ben).attest(contract));
  equal(logs(notary, receipt).at(-1), ["Certified", contract, 2n], "the last log");
  let evidence = await notary.evidence(contract);
  equal([evidence.submitter, evidence.attestations, evidence.certified], [alice.address, 2n, true], "the evidence");

  await refused("supersede what another submitted", notary, "NotSubmitter", [contract, bob.address], () => as(bob).supersede(contract, corrected, ""));
  await done("supersede", as(alice).supersede(contract, corrected, "case 17: signed by both"));
  equal((await notary.evidence(contract)).supersededBy, corrected, "the link forwards");
  equal((await notary.evidence(corrected)).supersedes, contract, "the link back");
  equal(await notary.latest(contract), corrected, "the latest");

  // Three documents at the price of one.
  const days = ["monday", "tuesday", "wednesday"].map(id);
  const first = pair(leaf(days[0]), leaf(days[1])), root = pair(first, leaf(days[2]));
  await done("anchor", as(bob).anchor(root, "the days of this week"));
  equal(await notary.verifyLeaf(root, days[1], [leaf(days[0]), leaf(days[2])]), true, "tuesday is anchored");
  equal(await notary.verifyLeaf(root, days[2], [first]), true, "wednesday is anchored");
  equal(await notary.verifyLeaf(root, photo, [first]), false, "the photo is not");
  await refused("verify against another root", notary, "NotAnchored", [first], () => notary.verifyLeaf(first, days[0], [leaf(days[1])]));

  await refused("lower the threshold as anybody", notary, "NotAdmin", [ann.address], () => as(ann).setThreshold(1));
  await done("setThreshold", as(admin).setThreshold(1));
  equal(await notary.threshold(), 1n, "the threshold");
  equal((await notary.evidence(photo)).supersededBy, ZeroHash, "the photo's successor");

  const { blockNumber } = await notary.deploymentTransaction().wait();
  const found = await notary.queryFilter(notary.filters.Submitted(null, alice.address), blockNumber);
  equal(found.map((log) => log.args.hash), [contract, photo, letter, corrected], "alice's submissions in eth_getLogs");
});
