// Package ledger says what a chain's blocks, accounts, transactions and proofs of execution are.
//
// Consensus orders opaque payloads ([Ordered]); executing one gives a [Block] with a standard London
// Ethereum header, so that every Ethereum client computes the same hash. [Genesis] fixes a chain's
// parameters and its block 0. State is a set of (raw key, value) pairs: [Change] carries one update,
// [Path] says where a key sits in the commitment. A quorum of [ExecVote] makes an [ExecCert], the
// object that light clients, replicas and other chains check.
//
// The package is pure: values and functions, no clock, lock, goroutine, log or disk. Everything that
// decodes bytes from elsewhere accepts exactly one encoding of each value and bounds its memory by
// the length of its input. Sources: EIP-155, EIP-1559, EIP-2718, EIP-2930 and RFC 6962.
package ledger
