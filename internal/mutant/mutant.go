// Package mutant seeds known bugs, one at a time, into a build that asks for them.
//
// # Model
//
// A checker that has never reported anything proves nothing. A [Mutant] is a bug
// that somebody has made before, here or elsewhere, or a rule of the protocol left
// out. Its hook stands at the place of the rule, as a condition on [On]:
//
//	return !h.nulled[u] && (h.maxFin[t] < u || mutant.On(mutant.NullifyAfterFinalize))
//
// In a build with the tag mutants a test selects one for the whole process, and
// the checkers have to notice from the outside. Without the tag On is the
// constant false: the compiler drops the hook with its condition, nothing can be
// selected, and no binary that is released holds any of it. [Built] says which of
// the two a process is.
//
// To add one, give it a constant and a line in the table below, and a hook; the
// tests of this package fail until it has all three.
//
// # Source
//
// The idea is mutation testing with hand-picked mutants, as TigerBeetle's and
// FoundationDB's simulators use it. The bugs are S1 to S5 of docs/protocol.md
// left out, and the incidents of other systems that the tests named
// TestIncidentNN_ stand for.
package mutant

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Mutant names one seeded bug; the zero value is none.
type Mutant uint8

// The rules of agreement, left out.
const (
	FinalizeWithoutGate Mutant = iota + 1
	NullifyAfterFinalize
	ExcludePerView
	NoParentCertificate
	NoSkipCertificate
	NoParentEvidence
	VoteTwice
	SendBeforeSync
	NoBodiesInLog
	KeptCertificateNotReingested
	PruneAboveDurable

	// Incidents of other systems.

	CoverByOwnNullify
	RecoveryForgetsFinalize
	NoResendAfterRestart
	WALReplayStopsEarly
	WALIgnoresSyncError
	WALRenameWithoutDirsync
	RestartDoesNotCountOwn
	ForeignOwnVoteIgnored
	NeverFetchesNotarizedSibling
	SecondProposalPanics
	FinalizeNeverRepeated
	NoCertificatesInHelp
	ProposesOverGap
	QuorumTwoFPlusOne
	CertificateCountUnchecked
	SyncRangeUnverified
	DeliversTwice
	HorizonUnbounded
	PacemakerUncapped
	IdleNeverExpires
	WipedNeverRejoins
	NoQuarantine
	OrdersPastDmax

	// What else can go wrong.

	AmnesiaIgnored
	WALPruneTooMuch
	ExecutedTipTrusted
	StatusNeverSent
	SuspectsEverybody
	CommitSkipsAncestors
	FinalizeOnIndirect
	ClockUnchecked
	TimeNotAboveParent
	InvalidBlockVoted
	MissingDataIsInvalid
	LeaderUnchecked
	PayloadHashUnchecked
	VoteSignatureUnchecked
	SignerCountedTwice
	HashesMixed
	EvidenceAcrossTerms
	FetchWithoutRetry
	CertificateOfMixedResults
	WatermarkGoesBack
)

type entry struct{ name, origin, wrong string }

// table has a line for each constant above.
var table = [...]entry{
	FinalizeWithoutGate:          {"finalize-without-gate", "S3", "only a NULLIFY of the same view forbids a FINALIZE, one below it in the term does not"},
	NullifyAfterFinalize:         {"nullify-after-finalize", "S2", "an own FINALIZE forbids no NULLIFY, and gaps are closed below notarized views too"},
	ExcludePerView:               {"exclude-per-view", "S2", "an own FINALIZE forbids the NULLIFY of its own view only, and gaps are closed below notarized views too"},
	NoParentCertificate:          {"no-parent-certificate", "S4", "the parent of a term's first block need not be notarized, and a leader builds on what it voted for"},
	NoSkipCertificate:            {"no-skip-certificate", "S4", "views between a term's first block and its parent need no nullification, and a leader builds on its final tip"},
	NoParentEvidence:             {"no-parent-evidence", "S4", "the parent of a block within a term needs neither an own vote nor a notarization"},
	VoteTwice:                    {"vote-twice", "S1", "a second proposal replaces the first one of its view and gets a NOTARIZE too"},
	SendBeforeSync:               {"send-before-sync", "S5", "messages leave before the records that they promise are synced"},
	NoBodiesInLog:                {"no-bodies-in-log", "S5", "the log keeps a NOTARIZE without the payload and data of its block"},
	KeptCertificateNotReingested: {"kept-certificate-not-reingested", "S5", "the notarization kept with a FINALIZE is not known again after a restart"},
	PruneAboveDurable:            {"prune-above-durable", "S5", "the log is pruned up to the tip in memory, which the block store may not have"},

	CoverByOwnNullify:            {"cover-by-own-nullify", "incident 1", "an own NULLIFY covers views and opens the next term as if a quorum had signed"},
	RecoveryForgetsFinalize:      {"recovery-forgets-finalize", "incident 2", "FINALIZE records are skipped when the log is replayed"},
	NoResendAfterRestart:         {"no-resend-after-restart", "incident 3", "votes that come from the log are never sent again"},
	WALReplayStopsEarly:          {"wal-replay-stops-early", "incident 4", "replaying the log loses its last record"},
	WALIgnoresSyncError:          {"wal-ignores-sync-error", "incident 5", "the log goes on after a failed write or sync"},
	WALRenameWithoutDirsync:      {"wal-rename-without-dirsync", "incident 6", "the directory entry of a new segment is not synced"},
	RestartDoesNotCountOwn:       {"restart-does-not-count-own", "incident 7", "own votes from the log are missing in the own tallies"},
	ForeignOwnVoteIgnored:        {"foreign-own-vote-ignored", "incident 8", "a vote with the own key that the log does not know stops nobody"},
	NeverFetchesNotarizedSibling: {"never-fetches-notarized-sibling", "incident 9", "a block is not fetched when another proposal of its view came first"},
	SecondProposalPanics:         {"second-proposal-panics", "incident 10", "a second proposal of a view panics"},
	FinalizeNeverRepeated:        {"finalize-never-repeated", "incident 11", "a FINALIZE is sent once only, and a block that waits for it asks for no successor"},
	NoCertificatesInHelp:         {"no-certificates-in-help", "incident 12", "help and repeated votes come without certificates"},
	ProposesOverGap:              {"proposes-over-gap", "incident 13", "a leader takes a view that it knows nothing about for covered, and proposes"},
	QuorumTwoFPlusOne:            {"quorum-two-f-plus-one", "incident 14", "the quorum is 2f+1 for every n"},
	CertificateCountUnchecked:    {"certificate-count-unchecked", "incident 15", "a certificate of any number of signatures is well-formed"},
	SyncRangeUnverified:          {"sync-range-unverified", "incident 16", "the finalization of a range is neither verified nor compared with its last block"},
	DeliversTwice:                {"delivers-twice", "incident 17", "a range delivers blocks again that were committed live"},
	HorizonUnbounded:             {"horizon-unbounded", "incident 19", "votes and proposals of any future view are kept"},
	PacemakerUncapped:            {"pacemaker-uncapped", "incident 20", "timeouts grow with every term that commits nothing"},
	IdleNeverExpires:             {"idle-never-expires", "incident 21", "a view that is entered without demand has no timer, and later demand arms none"},
	WipedNeverRejoins:            {"wiped-never-rejoins", "incident 22", "a validator without its log waits for ever"},
	NoQuarantine:                 {"no-quarantine", "incident 18", "a node goes on signing results after a certificate has contradicted one"},
	OrdersPastDmax:               {"orders-past-dmax", "incident 18", "transactions are ordered however far certified execution is behind"},

	AmnesiaIgnored:         {"amnesia-ignored", "", "a validator that lost its log votes at once"},
	WALPruneTooMuch:        {"wal-prune-too-much", "", "pruning deletes every segment but the one in use"},
	ExecutedTipTrusted:     {"executed-tip-trusted", "", "a delivered block counts as stored"},
	StatusNeverSent:        {"status-never-sent", "", "a replica never says where it stands"},
	SuspectsEverybody:      {"suspects-everybody", "", "a leader counts as dead after a moment's silence, whoever else was heard"},
	CommitSkipsAncestors:   {"commit-skips-ancestors", "", "a finalization delivers its own block only"},
	FinalizeOnIndirect:     {"finalize-on-indirect", "", "a block gets a FINALIZE when only a descendant in its term is notarized"},
	ClockUnchecked:         {"clock-unchecked", "", "a block whose time is far ahead of the clock gets a NOTARIZE"},
	TimeNotAboveParent:     {"time-not-above-parent", "", "a leader takes the time of its clock even if the parent's is later"},
	InvalidBlockVoted:      {"invalid-block-voted", "", "a block that was judged invalid gets a NOTARIZE"},
	MissingDataIsInvalid:   {"missing-data-is-invalid", "", "a block whose data is missing counts as invalid"},
	LeaderUnchecked:        {"leader-unchecked", "", "anybody may propose in any view"},
	PayloadHashUnchecked:   {"payload-hash-unchecked", "", "a payload need not be the one that its header names"},
	VoteSignatureUnchecked: {"vote-signature-unchecked", "", "a vote counts whoever signed it"},
	SignerCountedTwice:     {"signer-counted-twice", "", "a vote that is sent again counts again"},
	HashesMixed:            {"hashes-mixed", "", "votes for different blocks of a view count together"},
	EvidenceAcrossTerms:    {"evidence-across-terms", "", "a NULLIFY and a FINALIZE in a later term are evidence"},
	FetchWithoutRetry:      {"fetch-without-retry", "", "a block whose answer was lost is not asked for again"},

	CertificateOfMixedResults: {"certificate-of-mixed-results", "", "votes for different results of a block make one certificate"},
	WatermarkGoesBack:         {"watermark-goes-back", "", "the watermark of a block may be below its parent's"},
}

// All lists every mutant, in the order of their constants.
func All() []Mutant {
	all := make([]Mutant, 0, len(table)-1)
	for m := range len(table) - 1 {
		all = append(all, Mutant(m+1))
	}
	return all
}

// Parse is the inverse of [Mutant.String].
func Parse(name string) (Mutant, bool) {
	i := slices.IndexFunc(table[:], func(e entry) bool { return e.name == name })
	if i < 1 {
		return 0, false
	}
	return Mutant(i), true
}

// String is the name by which a mutant is selected.
func (m Mutant) String() string {
	if m == 0 || int(m) >= len(table) {
		return fmt.Sprintf("mutant(%d)", uint8(m))
	}
	return table[m].name
}

// Describe says in one sentence what is wrong while the mutant is on.
func (m Mutant) Describe() string { return table[m].wrong }

// Origin is the rule that is left out ("S3") or the incident that comes back
// ("incident 5"); empty for a bug without a number.
func (m Mutant) Origin() string { return table[m].origin }

// Incident is the number of the incident that a mutant brings back, 0 for none.
func (m Mutant) Incident() int {
	n, err := strconv.Atoi(strings.TrimPrefix(m.Origin(), "incident "))
	if err != nil {
		return 0
	}
	return n
}
