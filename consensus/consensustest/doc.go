// Package consensustest runs whole committees of consensus cores in virtual
// time, from text scripts and from seeds.
//
// # Model
//
// A [Network] is a discrete-event simulation of replicas that run the
// production [consensus.Core] and [consensus.Verifier]. Time is virtual,
// signatures are keyed hashes that nobody without the key can make, and what a
// replica recorded survives a crash exactly up to the last sync. The same
// calls give the same events in the same order. Byzantine replicas are wrappers
// of the honest core, named by behaviour: [Equivocator], [Withholder],
// [Laggard], [Contradictor].
//
// [Run] reads the text scripts in testdata and returns a transcript of votes,
// certificates and commits that tests compare with the committed one.
//
// The idea of replaying protocol bugs as short data-driven scripts is etcd
// raft's.
package consensustest
