// Package exec turns an ordered block into receipts and a state diff, deterministically.
//
// Transactions run one after the other on top of the parent's state, with Ethereum's semantics: the nonce must
// fit exactly, the value moves, and where there is a contract it runs, in frames that are undone unless they
// succeed. Gas is a limit and costs nothing: fees are ignored, the effective gas price is 0, an account without
// a balance can transact, and nothing is refunded. A transaction that does not fit is dropped, with its reason,
// and leaves no trace in the block; one that fits and fails has a receipt.
//
// A journal holds what the block has read and changed, and how to undo it; a machine runs frames on it, on a
// worker of package vm. Contracts are WebAssembly, checked and compiled by the transaction that creates them.
// The chain itself provides Ethereum's precompiled contracts 1 to 9 and 0x100, and the activation contract
// 0x71 that tools for Stylus contracts ask. [Execute] runs a block, [Call] and [Estimate] answer questions
// about a state, which [Override] can change for them. A [Tracer] records the frames of a transaction; [Replay] executes
// those of a past block again for it.
//
// The package is pure: the result depends on its arguments only. Sources: Yellow Paper §6 to §9 and appendix E;
// EIP-150, EIP-155, EIP-161, EIP-214, EIP-684, EIP-1014, EIP-1052, EIP-1153, EIP-1559, EIP-2028, EIP-2200,
// EIP-2565, EIP-2681, EIP-2929, EIP-2930, EIP-3607, EIP-3651, EIP-3860, EIP-7610, EIP-7823, EIP-7951.
package exec
