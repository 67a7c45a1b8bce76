// Package sim runs whole networks of the production consensus code in virtual time and breaks them in
// every way that it knows.
//
// # Model
//
// A [World] is a discrete-event simulation of one network: for each node the real [consensus.Core] with
// its [engine.Replica] and its write-ahead log on a disk that can lose what was not synced, a clock that
// can be wrong, an application that orders, executes and stores transactions, and links that delay, lose,
// repeat, reorder and cut. What decides is the code that runs in production; what is replaced is what
// surrounds it: sockets, disks, clocks, signatures. Execution is a hash over the chain; what becomes of results
// is decided by the rules of package ledger: votes, certificates, watermarks, Dmax, quarantine.
//
// A [Scenario] says everything about a run: the network, the liars and a list of faults with their times.
// It is drawn from a seed by [Generate] and has a text form, so that a failing run can be shrunk ([Shrink])
// and kept as a script. A run has three phases. In the first, faults happen and only safety is required.
// In the second everything heals, except that liars go on lying, and the network has to converge within
// bounds. In the third it idles, has to be quiet, and answers one transaction at once.
//
// The checkers of package invariant watch all the time. Equal scenarios give equal events in the same
// order: [Result.Hash] is a hash over all of them. [Record] logs them, as text, as a picture, and as the
// report of a failing run.
//
// [Twins] are all scenarios of another kind: a liar is a second honest instance with the same key, and what
// is said about each of the first views reaches one group of instances only.
//
// Signatures are keyed hashes of the production digests, and a table knows which were made: nobody can
// forge one, and none costs 30 µs.
//
// # Source
//
// The shape is FoundationDB's simulation (2021) and TigerBeetle's VOPR; drawing a random subset of faults
// for each run is swarm testing (Groce et al., ISSTA 2012).
package sim
