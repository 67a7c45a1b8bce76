// Package chaos runs networks of real processes, breaks them with signals and damaged files, and checks
// what must hold afterwards.
//
// A [Network] is made of the built program alone: "tercet testnet up" starts it, network.json describes
// it, and everything else goes through signals, files and JSON-RPC, as an operator and a client would.
// Nothing of a node is linked in, so that what is tested is what is shipped.
//
// A [Wallet] signs transfers and calls of contracts before they are needed, a [Load] submits them at a rate through the
// [Client] of every node and collects receipts, a [Watch] notes when each node first showed each block.
// The checks then say whether the promises were kept:
//
//	[SameChain]            one hash and one state root per height, on all nodes
//	[Once]                 each transaction in exactly one block
//	[Wallet.Conserved]     each balance and nonce what the transfers made it, and nothing lost in sum
//	[Kept]                 each receipt that a client saw still there, in the same block
//	[SameReceipts]         every receipt the same on all nodes, to the byte
//	[SameLogs]             eth_getLogs the same on all nodes, to the byte
//	[SameCalls]            eth_call the same on all nodes
//	[Watch.LongestGap]     commits go on
//
// Every network ends: [Network.Down] asks, then kills by pid whatever still runs below its directory,
// within a bounded time.
//
// The faults and the checks follow Jepsen: the system under test is a black box, and only what clients
// saw counts.
package chaos
