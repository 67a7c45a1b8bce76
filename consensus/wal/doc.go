// Package wal keeps the promises of one validator across crashes.
//
// # Model
//
// A log, which operators know as the safety journal, is a directory of numbered
// segments. [WAL.Append] collects records in
// memory, [WAL.Sync] makes them durable as one group: one write, one fdatasync.
// The records of a group survive together or not at all. Whatever goes wrong
// while writing latches: the log never accepts another record (a validator that
// cannot promise must not vote). What Sync did not return nil for was never
// sent, so that losing it is harmless; what it returned nil for must come back.
//
//	segment  header(72) group* zeros           preallocated, NNNNNNNNNNNNNNNN.wal
//	header   "tercetwl" version u32 segment u64 firstGroup u64 salt u64 network[32] crc u32
//	group    record+ marker, starting at a multiple of 16
//	record   len u32 | crc u32 | type u8 | epoch u64 | view u64 | data       len counts what follows crc
//	marker   a record of type 0xC0: epoch = group number, view = group bytes u32 ‖ zero sectors u32,
//	         data = 4 fixed bytes without a zero
//
// Numbers are big endian, crc is CRC-32C of salt, segment, len and what follows
// crc. The salt is random and never leaves the disk: bytes chosen by a peer
// cannot look like a record or a marker.
//
// # Torn tail or corruption
//
// A crash during Sync leaves the last group in pieces: some of its sectors (or
// everything from some byte on) still hold the zeros of the preallocation. That
// is a torn tail and is cut off. Anything else that does not read back is
// corruption, and [Open] refuses with a [*CorruptError], because a lost record
// may be a vote. A group that does not read back is torn only if all of this
// holds, otherwise corrupt:
//
//   - it is in the last segment, and no marker of a later group follows it;
//   - if its own marker is there, more of its sectors are zero than the marker
//     says were zero when they were written: bytes are missing. If none is
//     missing, bytes were altered;
//   - if its marker is not there, what stands in its place is not the expected
//     marker in full length with a few altered bytes.
//
// So every flipped bit in a synced record is found, the last record included.
// What cannot be told from a torn tail is a disk that turns whole sectors of
// the last synced group back into zeros, a sector of the last group whose only
// set bit flips, and newest segments deleted by hand.
//
// Segments are created under a temporary name and renamed when their header is
// durable, so that a segment always has a header; they are deleted oldest first
// with one directory sync each, so that their numbers have no gap.
//
// # Source
//
// The rules for durable records are docs/protocol.md (S5 and §9); the incidents behind the tests are those of commonware #4275,
// Avalanche #328, Radix #243, Telcoin #934 and Gravity.
package wal
