// Package vm runs WebAssembly contracts under a gas limit.
//
// A contract is a module that imports vm_hooks, the host functions of Arbitrum Stylus, and exports
// user_entrypoint and memory. Package vm/meter checks and rewrites it so that it pays for what it does; an
// [Engine] compiles the result once and a [Worker] runs one call frame at a time, each in a fresh instance.
// A frame holds its gas as ink, of which the contract's own counter has one tranche: it takes each block of
// instructions from that and comes back for the next, which is where it can be cancelled. The frames of a
// transaction share their worker's memory and stack. What a contract does ends its frame with an [Outcome]; an
// error is only what the machine or the caller did, and ends the whole transaction.
//
// The package knows accounts, blocks and journals only through [Frame]: its values and its two interfaces.
//
// Sources: the host functions' declarations in stylus-sdk-rs (stylus-sdk/src/hostio.rs, MIT/Apache-2.0);
// prices and frame semantics of the EVM: Yellow Paper, EIP-150, EIP-214, EIP-1153, EIP-2200, EIP-2929.
package vm
