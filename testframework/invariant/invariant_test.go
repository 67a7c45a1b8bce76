package invariant_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/testframework/invariant"
)

const (
	notarize = consensus.Notarize
	nullify  = consensus.Nullify
	finalize = consensus.Finalize
)

// violations are minimal bad histories, each of which breaks one rule with its last event. All are of four
// validators with terms of two views, none of which lies unless the history says so.
var violations = []struct {
	name, rule string
	history    func(l *lab) error
}{
	{"vote of view 0", invariant.RuleMalformed, func(l *lab) error { return l.votes.Signed(vote(0, notarize, 0, network())) }},
	{"vote of nobody", invariant.RuleMalformed, func(l *lab) error { return l.votes.Signed(vote(4, nullify, 1, common.Hash{})) }},
	{"vote of an unknown kind", invariant.RuleMalformed, func(l *lab) error { return l.votes.Signed(vote(0, 4, 1, network())) }},
	{"NULLIFY of a block", invariant.RuleMalformed, func(l *lab) error { return l.votes.Signed(vote(0, nullify, 1, network())) }},
	{"NOTARIZE of no block", invariant.RuleMalformed, func(l *lab) error { return l.votes.Signed(vote(0, notarize, 1, common.Hash{})) }},
	{"vote of another epoch", invariant.RuleMalformed, func(l *lab) error {
		v := vote(0, nullify, 1, common.Hash{})
		v.Epoch = 1
		return l.votes.Signed(v)
	}},
	{"signature of another one", invariant.RuleSignature, func(l *lab) error {
		v := vote(0, nullify, 1, common.Hash{})
		v.Signer = 1
		return l.votes.Signed(v)
	}},
	{"signature of another view", invariant.RuleSignature, func(l *lab) error {
		v := vote(0, nullify, 1, common.Hash{})
		v.View = 2
		return l.votes.Signed(v)
	}},
	{"NOTARIZE of a block that nobody showed", invariant.RuleUnknownBlock, func(l *lab) error {
		return l.cast(notarize, l.child(1, root(), "a"), 0)
	}},
	{"NOTARIZE of a block of another view", invariant.RuleUnknownBlock, func(l *lab) error {
		return l.votes.Signed(vote(0, notarize, 2, l.propose(1, root(), "a").Hash()))
	}},
	{"NOTARIZE of a block with a parent after it", invariant.RuleUnknownBlock, func(l *lab) error {
		return l.cast(notarize, l.propose(1, l.child(2, root(), "a"), "b"), 0)
	}},
	{"NOTARIZE on a parent that nobody showed", invariant.RuleUnjustified, func(l *lab) error {
		a := l.propose(1, root(), "a")
		b := l.propose(4, l.child(3, a, "b"), "c")
		return errors.Join(l.settle(a, 0, 1, 2), l.cast(notarize, b, 0))
	}},
	{"NOTARIZE on a parent that it did not vote for", invariant.RuleUnjustified, func(l *lab) error {
		a := l.propose(1, root(), "a")
		return errors.Join(l.cast(notarize, a, 0, 1), l.cast(notarize, l.propose(2, a, "b"), 2))
	}},
	{"NOTARIZE on a parent of a term that nothing proves", invariant.RuleUnjustified, func(l *lab) error {
		a := l.propose(2, l.propose(1, root(), "a"), "b")
		return l.cast(notarize, l.propose(3, a, "c"), 0)
	}},
	{"NOTARIZE on another genesis", invariant.RuleUnjustified, func(l *lab) error {
		h := l.child(1, root(), "a")
		h.ParentHash[0]++
		return errors.Join(l.votes.Proposed(h.Hash(), h), l.cast(notarize, h, 0))
	}},
	{"NOTARIZE that leaves out a view of its term", invariant.RuleUnjustified, func(l *lab) error {
		return l.cast(notarize, l.propose(2, root(), "a"), 0)
	}},
	{"NOTARIZE past views that nothing covers", invariant.RuleUnjustified, func(l *lab) error {
		return errors.Join(l.cast(nullify, nullified(2), 0, 1, 2), l.cast(notarize, l.propose(3, root(), "a"), 0))
	}},
	{"NOTARIZE beside a final block", invariant.RuleUnjustified, func(l *lab) error {
		a, b := l.propose(1, root(), "a"), l.propose(3, root(), "b")
		return errors.Join(l.settle(a, 0, 1, 2), l.cast(notarize, b, 0))
	}},
	{"correct leader that leaves out a height", invariant.RuleProposal, func(l *lab) error {
		h := l.child(2, l.propose(1, root(), "a"), "b")
		h.Height++
		return l.votes.Proposed(h.Hash(), h)
	}},
	{"correct leader whose time stands still", invariant.RuleProposal, func(l *lab) error {
		h := l.child(2, l.propose(1, root(), "a"), "b")
		h.TimeMs--
		return l.votes.Proposed(h.Hash(), h)
	}},
	{"blocks without a finalization", invariant.RuleRange, func(l *lab) error {
		return l.law.Message(&consensus.BlockResponse{Blocks: []*consensus.Block{l.final(l.child(1, root(), "a"), "a").Block}})
	}},
	{"evidence against a correct validator", invariant.RuleEvidence, func(l *lab) error {
		return l.law.Message(&consensus.Evidence{A: *vote(0, notarize, 1, common.Hash{1}), B: *vote(0, notarize, 1, common.Hash{2})})
	}},
	{"two NOTARIZE", invariant.RuleDoubleVote, func(l *lab) error {
		return errors.Join(l.cast(notarize, l.propose(1, root(), "a"), 0), l.cast(notarize, l.propose(1, root(), "b"), 0))
	}},
	{"two NOTARIZE, one in a certificate", invariant.RuleDoubleVote, func(l *lab) error {
		a, b := l.propose(1, root(), "a"), l.propose(1, root(), "b")
		return errors.Join(l.cast(notarize, a, 0), l.votes.Certified(cert(4, notarize, 1, b.Hash(), 0, 1, 2)))
	}},
	{"two FINALIZE", invariant.RuleDoubleVote, func(l *lab) error {
		a, b := l.propose(1, root(), "a"), l.propose(1, root(), "b")
		return errors.Join(l.settle(a, 0, 1, 2), l.cast(finalize, b, 0))
	}},
	{"FINALIZE after NULLIFY", invariant.RuleDoubleVote, func(l *lab) error {
		a := l.propose(1, root(), "a")
		b := l.propose(2, a, "b")
		return errors.Join(l.cast(notarize, a, 0, 1, 2), l.cast(notarize, b, 0, 1, 2), l.cast(nullify, nullified(1), 0), l.cast(finalize, b, 0))
	}},
	{"NULLIFY after FINALIZE", invariant.RuleDoubleVote, func(l *lab) error {
		a := l.propose(1, root(), "a")
		b := l.propose(2, a, "b")
		return errors.Join(l.cast(notarize, a, 0, 1, 2), l.cast(notarize, b, 0, 1, 2), l.cast(finalize, b, 0), l.cast(nullify, nullified(1), 0))
	}},
	{"FINALIZE on too few NOTARIZE", invariant.RuleUnproven, func(l *lab) error {
		a := l.propose(1, root(), "a")
		return errors.Join(l.cast(notarize, a, 0, 1), l.cast(finalize, a, 0))
	}},
	{"two notarizations", invariant.RuleNotarization, func(*lab) error {
		l := newLab(4, 2, 2, 3)
		return errors.Join(l.cast(notarize, l.propose(1, root(), "a"), 0), l.cast(notarize, l.propose(1, root(), "b"), 1))
	}},
	{"finalization at a nullification", invariant.RuleSkipped, func(*lab) error {
		l := newLab(4, 2, 2, 3)
		return errors.Join(l.settle(l.propose(1, root(), "a"), 0), l.cast(nullify, nullified(1), 1))
	}},
	{"finalization above a nullification", invariant.RuleSkipped, func(*lab) error {
		l := newLab(4, 2, 2, 3)
		a := l.propose(1, root(), "a")
		b := l.propose(2, a, "b")
		return errors.Join(l.cast(notarize, a, 0), l.cast(notarize, b, 0), l.cast(nullify, nullified(1), 1), l.cast(finalize, b, 0))
	}},
	// The theorem says that nothing but a broken rule above leads to a fork: it takes one out of sight.
	{"fork below what was forgotten", invariant.RuleFork, func(l *lab) error {
		a := l.propose(1, root(), "a")
		err := l.settle(a, 0, 1, 2)
		l.votes.Forget(2)
		return errors.Join(err, l.cast(notarize, l.propose(3, root(), "b"), 0, 1, 2))
	}},
	{"delivered, nothing is final", invariant.RuleNeverFinal, func(l *lab) error {
		return l.votes.Final(1, l.propose(1, root(), "a").Hash())
	}},
	{"delivered, another block is final", invariant.RuleNeverFinal, func(l *lab) error {
		a, b := l.propose(1, root(), "a"), l.propose(1, root(), "b")
		return errors.Join(l.settle(a, 0, 1, 2), l.votes.Final(1, b.Hash()))
	}},
	{"certificate of too few", invariant.RuleCertificate, func(l *lab) error {
		return l.votes.Certified(cert(4, nullify, 1, common.Hash{}, 0, 1))
	}},
	{"certificate with a bit too many", invariant.RuleCertificate, func(l *lab) error {
		return l.votes.Certified(cert(4, nullify, 1, common.Hash{}, 0, 1, 2, 4))
	}},
	{"certificate with a long bitmap", invariant.RuleCertificate, func(l *lab) error {
		return l.votes.Certified(cert(9, nullify, 1, common.Hash{}, 0, 1, 2))
	}},
	{"certificate with one signature twice", invariant.RuleCertificate, func(l *lab) error {
		c := cert(4, nullify, 1, common.Hash{}, 0, 1, 2)
		copy(c.Sigs[65:], c.Sigs[:65])
		return l.votes.Certified(c)
	}},
	{"certificate with bytes left over", invariant.RuleCertificate, func(l *lab) error {
		c := cert(4, nullify, 1, common.Hash{}, 0, 1, 2)
		c.Sigs = append(c.Sigs, make([]byte, 65)...)
		return l.votes.Certified(c)
	}},
	{"certificate of an unknown kind", invariant.RuleCertificate, func(l *lab) error {
		return l.votes.Certified(cert(4, 4, 1, network(), 0, 1, 2))
	}},
	{"delivered with a bad finalization", invariant.RuleCertificate, func(l *lab) error {
		f := l.final(l.child(1, root(), "a"), "a")
		f.Finalization = cert(4, finalize, 1, f.Hash, 0, 1)
		return l.deliver(0, f)
	}},
	{"delivered by a second node with a bad finalization", invariant.RuleCertificate, func(l *lab) error {
		f := l.final(l.child(1, root(), "a"), "a")
		g := *f
		g.Finalization = cert(4, finalize, 1, f.Hash, 0, 1)
		return errors.Join(l.deliver(0, f), l.deliver(1, &g))
	}},
	{"height delivered twice", invariant.RuleOrder, func(l *lab) error {
		f := l.final(l.child(1, root(), "a"), "a")
		return errors.Join(l.deliver(0, f), l.deliver(0, f))
	}},
	{"height left out", invariant.RuleOrder, func(l *lab) error {
		return l.deliver(0, l.final(l.child(2, l.child(1, root(), "a"), "b"), "b"))
	}},
	{"start above what anybody delivered", invariant.RuleOrder, func(l *lab) error { return l.chains.Started(4, 1, false) }},
	{"finalization of another block", invariant.RuleFinality, func(l *lab) error {
		f := l.final(l.child(1, root(), "a"), "a")
		f.Finalization = l.final(l.child(1, root(), "b"), "b").Finalization
		return l.deliver(0, f)
	}},
	{"notarization as a finalization", invariant.RuleFinality, func(l *lab) error {
		f := l.final(l.child(1, root(), "a"), "a")
		f.Finalization = cert(4, notarize, 1, f.Hash, 0, 1, 2)
		return l.deliver(0, f)
	}},
	{"finalization of a later view", invariant.RuleFinality, func(l *lab) error {
		f := l.final(l.child(1, root(), "a"), "a")
		f.Finalization = cert(4, finalize, 2, f.Hash, 0, 1, 2)
		return l.deliver(0, f)
	}},
	{"two blocks of a height", invariant.RuleAgreement, func(l *lab) error {
		return errors.Join(l.deliver(0, l.final(l.child(1, root(), "a"), "a")), l.deliver(1, l.final(l.child(1, root(), "b"), "b")))
	}},
	{"block on another parent", invariant.RuleAgreement, func(l *lab) error {
		return errors.Join(l.deliver(0, l.final(l.child(1, root(), "a"), "a")), l.deliver(0, l.final(l.child(2, l.child(1, root(), "b"), "c"), "c")))
	}},
	{"observer on another block", invariant.RuleAgreement, func(l *lab) error {
		return errors.Join(l.deliver(0, l.final(l.child(1, root(), "a"), "a")), l.deliver(4, l.final(l.child(1, root(), "b"), "b")))
	}},
	{"header that is not hashed", invariant.RuleHeader, func(l *lab) error {
		f := l.final(l.child(1, root(), "a"), "a")
		f.Block.Header.TimeMs++
		return l.deliver(0, f)
	}},
	{"block of another epoch", invariant.RuleHeader, func(l *lab) error {
		h := l.child(1, root(), "a")
		h.Epoch = 1
		return l.deliver(0, l.final(h, "a"))
	}},
	{"time that stands still", invariant.RuleTime, func(l *lab) error {
		h := l.child(1, root(), "a")
		h.TimeMs = genesisMs
		return l.deliver(0, l.final(h, "a"))
	}},
	{"time ahead of every clock", invariant.RuleTime, func(l *lab) error {
		h := l.child(1, root(), "a")
		h.TimeMs = genesisMs + 10_000
		return l.chains.Delivered(0, l.final(h, "a"), genesisMs+9_499)
	}},
	{"block of who does not lead", invariant.RuleProposer, func(l *lab) error {
		h := l.child(3, root(), "a")
		h.Proposer = address(0)
		return l.deliver(0, l.final(h, "a"))
	}},
	{"payload that is not hashed", invariant.RulePayload, func(l *lab) error { return l.deliver(0, l.final(l.child(1, root(), "a"), "b")) }},
	{"restart below a receipt", invariant.RuleReceipt, func(l *lab) error {
		return errors.Join(l.deliver(0, l.final(l.child(1, root(), "a"), "a")), l.chains.Acknowledged(0, 1), l.chains.Started(0, 0, false))
	}},
	{"receipt of what was not delivered", invariant.RuleReceipt, func(l *lab) error {
		return errors.Join(l.deliver(0, l.final(l.child(1, root(), "a"), "a")), l.chains.Acknowledged(1, 2))
	}},
	{"transaction of nobody", invariant.RuleMadeUp, func(l *lab) error {
		return l.chains.Ordered(1, []uint64{7}, func(tx uint64) bool { return tx < 7 })
	}},
	{"transaction at two heights", invariant.RuleTwice, func(l *lab) error {
		all := func(uint64) bool { return true }
		return errors.Join(l.chains.Ordered(1, []uint64{7}, all), l.chains.Ordered(2, []uint64{7}, all))
	}},
}

// journalViolations are journals that validator 0 must not find after it sent a NOTARIZE and a FINALIZE of
// view 5 and a NULLIFY of view 7, with its store at view 4.
var journalViolations = []struct {
	name    string
	records func(l *lab, a *consensus.Header) []consensus.Record
}{
	{"nothing", func(*lab, *consensus.Header) []consensus.Record { return nil }},
	{"no NULLIFY", func(l *lab, a *consensus.Header) []consensus.Record {
		return []consensus.Record{l.kept(notarize, a, "a"), l.kept(finalize, a, "")}
	}},
	{"NOTARIZE of another block", func(l *lab, a *consensus.Header) []consensus.Record {
		return append(whole(l, a)[1:], l.kept(notarize, l.child(5, root(), "b"), "b"))
	}},
	{"contradiction that never left", func(l *lab, a *consensus.Header) []consensus.Record {
		return append(whole(l, a), l.kept(notarize, l.child(5, root(), "b"), "b"))
	}},
	{"NOTARIZE without its payload", func(l *lab, a *consensus.Header) []consensus.Record {
		return append(whole(l, a)[1:], l.kept(notarize, a, ""))
	}},
	{"NOTARIZE of another view", func(l *lab, a *consensus.Header) []consensus.Record {
		r := l.kept(notarize, a, "a")
		r.View++
		return append(whole(l, a)[1:], r)
	}},
	{"NOTARIZE that does not decode", func(l *lab, a *consensus.Header) []consensus.Record {
		return append(whole(l, a)[1:], consensus.Record{Type: consensus.RecordNotarize, View: 5})
	}},
	{"FINALIZE with a bad notarization", func(l *lab, a *consensus.Header) []consensus.Record {
		records := whole(l, a)
		records[1].Data[len(records[1].Data)-1] ^= 1
		return records
	}},
	{"pruned above the store", func(l *lab, a *consensus.Header) []consensus.Record { return append(whole(l, a), floor(9)) }},
	{"pruned too near to the store", func(l *lab, a *consensus.Header) []consensus.Record { return append(whole(l, a), floor(1)) }},
	{"record of another epoch", func(l *lab, a *consensus.Header) []consensus.Record {
		return append(whole(l, a), consensus.Record{Type: consensus.RecordNullify, Epoch: 1, View: 7})
	}},
	{"record of an unknown type", func(l *lab, a *consensus.Header) []consensus.Record {
		return append(whole(l, a), consensus.Record{Type: 77, View: 7})
	}},
}

// whole is what the journal has to hold.
func whole(l *lab, a *consensus.Header) []consensus.Record {
	return []consensus.Record{l.kept(notarize, a, "a"), l.kept(finalize, a, ""), l.kept(nullify, nullified(7), "")}
}

// sent is the journal checker's lab after the votes.
func sent() (*lab, *consensus.Header) {
	l := newLab(4, 2)
	a := l.child(5, root(), "a")
	l.journals.Sent(vote(0, notarize, 5, a.Hash()))
	l.journals.Sent(vote(0, finalize, 5, a.Hash()))
	l.journals.Sent(vote(0, nullify, 7, common.Hash{}))
	return l, a
}

func TestRules_everyOneIsReported(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range violations {
		seen[tt.rule] = true
		t.Run(tt.name, func(t *testing.T) { breaks(t, tt.history(newLab(4, 2)), tt.rule) })
	}
	for _, tt := range journalViolations {
		seen[invariant.RuleJournal] = true
		t.Run("journal: "+tt.name, func(t *testing.T) {
			l, a := sent()
			breaks(t, l.journals.Recovered(0, found(tt.records(l, a), 4, 6)), invariant.RuleJournal)
		})
	}
	for _, rule := range invariant.Rules() {
		if !seen[rule] {
			t.Errorf("no history breaks the rule %q", rule)
		}
		delete(seen, rule)
	}
	for rule := range seen {
		t.Errorf("the rule %q is not in the list", rule)
	}
}

// validHistories break nothing.
var validHistories = []struct {
	name    string
	history func(l *lab) error
}{
	{"repeated votes", func(l *lab) error {
		a := l.propose(1, root(), "a")
		return errors.Join(l.settle(a, 0, 1, 2), l.settle(a, 0, 1, 2), l.votes.Final(1, a.Hash()))
	}},
	{"NOTARIZE, then NULLIFY", func(l *lab) error {
		a := l.propose(1, root(), "a")
		return errors.Join(l.cast(notarize, a, 0, 1, 2, 3), l.cast(nullify, a, 0, 1, 2, 3))
	}},
	{"NULLIFY above FINALIZE", func(l *lab) error {
		a := l.propose(1, root(), "a")
		return errors.Join(l.settle(a, 0, 1, 2), l.cast(nullify, nullified(2), 0, 1, 2))
	}},
	{"NULLIFY and FINALIZE of different terms", func(l *lab) error {
		a := l.propose(3, root(), "a")
		return errors.Join(l.cast(nullify, nullified(1), 0, 1, 2), l.settle(a, 0, 1, 2))
	}},
	{"chain over a skipped term", func(l *lab) error {
		a := l.propose(1, root(), "a")
		b := l.propose(5, a, "b")
		return errors.Join(l.settle(a, 0, 1, 2), l.cast(nullify, nullified(2), 0, 1, 2), l.cast(nullify, nullified(3), 0, 1, 3), l.settle(b, 1, 2, 3), l.votes.Final(1, a.Hash()), l.votes.Final(5, b.Hash()))
	}},
	{"ancestor that is final by its descendant", func(l *lab) error {
		a := l.propose(1, root(), "a")
		b := l.propose(2, a, "b")
		return errors.Join(l.cast(notarize, a, 0, 1, 2), l.settle(b, 0, 1, 2), l.votes.Final(1, a.Hash()))
	}},
	{"two half-notarized blocks", func(l *lab) error {
		return errors.Join(l.cast(notarize, l.propose(1, root(), "a"), 0, 1), l.cast(notarize, l.propose(1, root(), "b"), 2, 3))
	}},
	{"liar who signs everything", func(*lab) error {
		l := newLab(4, 2, 3)
		a, b := l.propose(1, root(), "a"), l.child(1, root(), "b")
		return errors.Join(l.settle(a, 0, 1, 2, 3), l.cast(notarize, b, 3), l.cast(nullify, a, 3), l.votes.Signed(vote(3, 9, 0, common.Hash{})))
	}},
	{"own NOTARIZE that a crash kept from leaving", func(l *lab) error {
		a := l.propose(1, root(), "a")
		return errors.Join(l.cast(notarize, a, 0, 1), l.cast(finalize, a, 2))
	}},
	{"votes seen in a certificate only", func(l *lab) error {
		a := l.propose(1, root(), "a")
		c := cert(4, notarize, 1, a.Hash(), 0, 1, 2)
		return errors.Join(l.votes.Certified(c), l.votes.Certified(c), l.cast(finalize, a, 0, 1, 3))
	}},
	{"chain above what was forgotten", func(l *lab) error {
		a := l.propose(1, root(), "a")
		b := l.propose(2, a, "b")
		c := l.propose(3, b, "c")
		err := errors.Join(l.settle(a, 0, 1, 2), l.cast(notarize, b, 0, 1, 2))
		l.votes.Forget(2)
		return errors.Join(err, l.settle(a, 0, 1, 2), l.cast(nullify, a, 0), l.settle(c, 0, 1, 2), l.votes.Final(2, b.Hash()))
	}},
	{"one chain at all nodes", func(l *lab) error {
		a := l.child(1, root(), "a")
		b := l.child(2, a, "b")
		var errs []error
		for node := range 5 {
			f := l.final(a, "a")
			if node != 2 {
				f.Finalization = nil
			}
			errs = append(errs, l.deliver(node, f), l.deliver(node, l.final(b, "b")), l.chains.Acknowledged(node, 2), l.chains.Started(node, 2, false))
		}
		return errors.Join(append(errs, l.chains.Started(0, 1, true), l.deliver(0, l.final(b, "b")))...)
	}},
	{"clocks set back", func(l *lab) error { // parent+1 is allowed whatever clocks show
		return l.chains.Delivered(0, l.final(l.child(1, root(), "a"), "a"), 1)
	}},
	{"transaction of one height at two nodes", func(l *lab) error {
		all := func(uint64) bool { return true }
		return errors.Join(l.chains.Ordered(1, []uint64{7}, all), l.chains.Ordered(1, []uint64{7, 8}, all))
	}},
}

func TestRules_validHistories(t *testing.T) {
	for _, tt := range validHistories {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.history(newLab(4, 2)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestJournals_Recovered_view(t *testing.T) {
	l, a := sent()
	breaks(t, l.journals.Recovered(0, found(whole(l, a), 4, 5)), invariant.RuleJournal) // view 5 is notarized
	r := found([]consensus.Record{floor(8)}, 4, 8)
	r.StoreLost = true
	breaks(t, l.journals.Recovered(0, r), invariant.RuleJournal) // may have voted in view 7
	// Votes between two terms below the store and the store are kept, though they do not matter any more.
	l, a = sent()
	breaks(t, l.journals.Recovered(0, found(whole(l, a)[2:], 8, 9)), invariant.RuleJournal)
}

func TestJournals_Recovered_valid(t *testing.T) {
	tests := []struct {
		name    string
		tip     uint64
		lost    bool
		records func(l *lab, a *consensus.Header) []consensus.Record
	}{
		{"all", 4, false, whole},
		{"more than was sent", 4, false, func(l *lab, a *consensus.Header) []consensus.Record {
			return append(whole(l, a), l.kept(nullify, nullified(8), ""))
		}},
		{"what the store makes irrelevant is gone", 12, false, func(*lab, *consensus.Header) []consensus.Record { return []consensus.Record{floor(8)} }},
		{"the store lost blocks", 4, true, func(*lab, *consensus.Header) []consensus.Record { return []consensus.Record{floor(8)} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, a := sent()
			r := found(tt.records(l, a), tt.tip, max(9, tt.tip+1))
			r.StoreLost = tt.lost
			if err := l.journals.Recovered(0, r); err != nil {
				t.Fatal(err)
			}
			r.StoreLost = false // A second restart, before the store has caught up.
			if err := l.journals.Recovered(0, r); err != nil {
				t.Errorf("the second time: %v", err)
			}
		})
	}
	l, _ := sent()
	l.journals.Lost(0)
	if err := l.journals.Recovered(0, found([]consensus.Record{{Type: consensus.RecordAmnesia}}, 0, 1)); err != nil {
		t.Errorf("a journal that a fault took: %v", err)
	}
	l, _ = sent()
	l.journals.Forget(0, 7)
	if err := l.journals.Recovered(0, found(nil, 4, 5)); err != nil {
		t.Errorf("votes that lie far below the store: %v", err)
	}
}

// TestVotes_moreThanFLiars has liars sign everything, and half of the others vote for either of two blocks: no
// correct validator makes a mistake, and as soon as the liars are what two quorums share, the fork that has
// become possible is reported. With n = 3f+1 that is f+1 of them. With f the same history is fine.
func TestVotes_moreThanFLiars(t *testing.T) {
	for _, n := range []int{4, 5, 6, 7, 10, 13} {
		f := (n - 1) / 3
		shared := 2*((n+f+2)/2) - n
		if shared <= f || n == 3*f+1 && shared != f+1 {
			t.Fatalf("two quorums of %d validators share %d", n, shared)
		}
		for liars := f; liars <= shared; liars++ {
			var who []int
			for i := range liars {
				who = append(who, n-1-i)
			}
			l := newLab(n, 2, who...)
			a, b := l.propose(1, root(), "a"), l.propose(1, root(), "b")
			half := (n - liars) / 2
			var errs []error
			for i := range n - liars {
				h := a
				if i >= half {
					h = b
				}
				errs = append(errs, l.cast(notarize, h, append(slices.Clone(who), i)...))
			}
			err := errors.Join(errs...)
			if liars < shared && err != nil {
				t.Errorf("%d validators, %d liars: %v", n, liars, err)
			}
			if liars == shared {
				breaks(t, err, invariant.RuleNotarization)
			}
		}
	}
}

func TestViolation_Error(t *testing.T) {
	err := &invariant.ViolationError{Rule: invariant.RuleFork, Text: "two chains"}
	if got := err.Error(); got != "fork: two chains" {
		t.Errorf("reads %q", got)
	}
}
