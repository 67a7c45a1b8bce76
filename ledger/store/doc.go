// Package store keeps blocks, state and indexes in LevelDB.
//
// Three databases lie in one directory. blocks.ldb is the truth: executed header, ordered body,
// receipts, finalization and certificate by height, in one synced batch before anybody sees a receipt.
// state.ldb (the flat state in path order, with a hash-chained marker for each flush) and index.ldb
// (hashes to heights and positions) are derived: a bad or missing one is moved aside and made again
// from the blocks. The order blocks ≥ state ≥ index holds always; a call that would break it fails
// with [ErrOrder].
//
// LevelDB loses records silently in two known ways: a flipped bit in the journal ends its replay, and
// after a failed fsync the next acknowledged write may be gone. Hence the first error of any write
// latches for good ([Store.Failed]), and Open checks that the heights follow each other and are linked
// by hash and that the chain of markers is whole.
//
// Source: the LevelDB file formats (github.com/google/leveldb/doc) and goleveldb's behaviour under
// injected faults, which the tests of this package reproduce.
package store
