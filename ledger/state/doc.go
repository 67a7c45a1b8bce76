// Package state holds what the accounts of a chain are and commits to it in one root.
//
// The model is a set of (key, value) pairs. The commitment is the sparse Merkle tree of ICS-23's
// SmtSpec ([Tree]): it depends only on the set, never on the order of writes, so a deletion restores
// the root that was there before the insertion. [State] adds the values themselves, the old values of
// the last [UndoBlocks] blocks, and proofs at any height among them.
//
// Nothing here is persisted: ledger/store keeps the flat pairs in path order and [State.Load] rebuilds
// everything from them. All bulk data lie in pointer-free slabs, so that the garbage collector has
// nothing to walk.
//
// Source: ICS-23 (SmtSpec, as implemented by celestiaorg/smt); the slabs and the linear splitting of
// buckets follow Litwin, "Linear Hashing" (VLDB 1980), with path prefixes in the place of hash values.
package state
