// Package exec turns an ordered block into receipts and a state diff, deterministically.
//
// Transactions run one after the other on top of the parent's state, with Ethereum's semantics of a value
// transfer: the nonce must fit exactly, the value moves, nothing else does. Gas is a limit and costs
// nothing: fees are ignored, the effective gas price is 0 and an account without a balance can transact.
// Calldata to any address is only charged for: there is no code yet, and no precompiles. A transaction
// that does not fit is dropped, with its reason, and leaves no trace in the block.
//
// The package is pure: the result depends on its arguments only. Sources: Yellow Paper §6 and §8, EIP-155,
// EIP-161, EIP-1559, EIP-2028, EIP-2681, EIP-2930 and EIP-3607.
package exec
