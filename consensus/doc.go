// Package consensus orders opaque payloads among replicas of which fewer than
// a third may lie.
//
// # Model
//
// [Core] is the whole protocol as a value: [Core.Step] takes the time and one
// [Input] and returns an [Output] that says what the driver must do, in the
// documented order. The package starts no goroutine, reads no clock, draws no
// randomness and does no I/O, so the code that runs in production is the code
// that a seeded simulator can run.
//
// The protocol is Simplex with leader terms and optimistic votes. Views are
// numbered from 1; T consecutive views form a term led by one validator. In
// each view a validator signs at most one NOTARIZE, and either a NULLIFY or a
// FINALIZE that could contradict it, never both. q equal votes make a
// certificate: a NOTARIZATION lets the next view begin, a NULLIFICATION skips
// the rest of the term, a FINALIZATION commits a block and all its ancestors
// three message delays after it was proposed. A validator's own votes are the
// only durable state: there are no locks, no high certificate and no
// view-change message.
//
// Agreement depends only on the rules in rules.go (S1 to S4) and on S5: what a
// message promises is synced to the write-ahead log (the safety journal, to
// operators) before the message leaves the process. [Output] states that obligation field by field.
//
// The complete protocol, with the argument for its safety, is docs/protocol.md.
//
// # Source
//
// Simplex Consensus: A Simple and Fast Consensus Protocol, B. Chan and
// R. Pass, TCC 2023 (eprint 2023/463). Leader terms and optimistic votes
// follow the idea of commonware's simplex (2026); with T=1 and W=0 the
// protocol is the published one.
package consensus
