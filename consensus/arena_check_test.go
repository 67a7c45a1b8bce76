package consensus_test

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/tercet-chain/tercet/consensus"
)

// check judges one output. The rules are those of docs/protocol.md, derived again from the messages.
func (s *seat) check(in consensus.Input, out *consensus.Output) {
	a := s.a
	a.t.Helper()
	fail := func(format string, args ...any) {
		a.t.Helper()
		a.t.Fatalf("validator %d, after %T: %s", s.index, in, fmt.Sprintf(format, args...))
	}
	if out.Fault != "" {
		fail("gives up though nobody but validator %d is faulty: %s", max(a.liar, a.careless), out.Fault)
	}
	if out.WakeAt <= a.now || out.WakeAt > a.now+time.Second {
		fail("wakes at %v; it is %v, and its next status is due before a second is over", out.WakeAt, a.now)
	}
	if len(out.Send) > 512 || len(out.Judge) > 256 || len(out.Serve) > 1 || len(out.Record) > 64 || len(out.Evidence) > 16 {
		fail("%d messages, %d judgements, %d ranges, %d records, %d proofs", len(out.Send), len(out.Judge), len(out.Serve), len(out.Record), len(out.Evidence))
	}
	if views, blocks, fetches, own := s.core.Sizes(); views > 1024 || blocks > 1024 || fetches > 64 || own > 4096 {
		fail("remembers %d views, %d blocks, %d fetches, %d own votes", views, blocks, fetches, own)
	}
	for _, send := range out.Send {
		if n, most := len(consensus.EncodeMessage(send.Message)), [...]int{4 << 10, 64 << 10, 4 << 20, 8 << 20}[send.Lane]; n > most {
			fail("%T of %d bytes on lane %d", send.Message, n, send.Lane)
		}
		for _, v := range ownVotes(send.Message, s.index) {
			if err := s.vote(v, out.Record); err != nil {
				fail("sends %s of view %d: %v", v.Kind, v.View, err)
			}
		}
	}
	for i := range out.Evidence {
		if who := int(out.Evidence[i].A.Signer); who != a.liar && (who != a.careless || !a.seats[who].wiped) {
			fail("accuses validator %d, which is honest", who)
		}
	}
	if err := s.deliver(out.Final); err != nil {
		fail("%v", err)
	}
}

// ownVotes are those of a message that its sender signed for itself.
func ownVotes(m consensus.Message, self int) []*consensus.Vote {
	switch m := m.(type) {
	case *consensus.Vote:
		if int(m.Signer) == self {
			return []*consensus.Vote{m}
		}
	case *consensus.Proposal:
		if int(m.LeaderVote.Signer) == self {
			return []*consensus.Vote{&m.LeaderVote}
		}
	}
	return nil
}

// vote checks a vote that leaves against those before it, the evidence that exists and the log.
func (s *seat) vote(v *consensus.Vote, now []consensus.Record) error {
	a := s.a
	again := a.cast[ballot{v.Kind, v.View, v.Hash}][s.index] != nil
	if again && s.index == a.careless {
		return nil // Others gave it its own proposal back, which everybody has; its log may not.
	}
	if !slices.ContainsFunc(now, func(r consensus.Record) bool { return promises(&r, v) }) &&
		!slices.ContainsFunc(s.log, func(r consensus.Record) bool { return promises(&r, v) }) {
		return fmt.Errorf("it is not in the log")
	}
	if again {
		return nil
	}
	if from := s.core.Snapshot().VotesFrom; from > 0 && (v.View < from || v.View <= s.forgotten) {
		return fmt.Errorf("it votes from view %d on, and may have voted up to view %d before", from, s.forgotten)
	}
	defer a.record(v)
	switch v.Kind {
	case consensus.Notarize:
		if other, voted := s.voted[v.View]; voted {
			return fmt.Errorf("S1: for %s, after %s", v.Hash, other)
		}
		s.voted[v.View] = v.Hash
		return s.mayNotarize(v, now)
	case consensus.Nullify:
		s.nulled[v.View] = true
		for f := range s.fined {
			if f >= v.View && a.termOf(f) == a.termOf(v.View) {
				return fmt.Errorf("S2: after FINALIZE of view %d", f)
			}
		}
	case consensus.Finalize:
		if other, fined := s.fined[v.View]; fined {
			return fmt.Errorf("S1: for %s, after %s", v.Hash, other)
		}
		s.fined[v.View] = v.Hash
		for u := range s.nulled {
			if u <= v.View && a.termOf(u) == a.termOf(v.View) {
				return fmt.Errorf("S3: after NULLIFY of view %d", u)
			}
		}
		if !a.certifiable(consensus.Notarize, v.View, v.Hash) {
			return fmt.Errorf("S3: no quorum notarized it")
		}
	}
	return nil
}

// promises reports whether a record makes a vote durable, with what has to be durable beside it.
func promises(r *consensus.Record, v *consensus.Vote) bool {
	if r.View != v.View {
		return false
	}
	switch {
	case r.Type == consensus.RecordNullify:
		return v.Kind == consensus.Nullify
	case r.Type == consensus.RecordNotarize && v.Kind == consensus.Notarize:
		m, err := consensus.DecodeMessage(r.Data)
		p, ok := m.(*consensus.Proposal)
		return err == nil && ok && p.Hash() == v.Hash && crypto.Keccak256Hash(p.Block.Payload) == p.Block.Header.PayloadHash &&
			bytes.Equal(p.Block.Data, dataOf(p.Block.Payload))
	case r.Type == consensus.RecordFinalize && v.Kind == consensus.Finalize:
		var c consensus.Cert
		err := rlp.DecodeBytes(r.Data, &c)
		return err == nil && c.Kind == consensus.Notarize && c.View == v.View && c.Hash == v.Hash && len(c.Signers()) >= arenaQuorum
	}
	return false
}

// mayNotarize is S4 from outside: what the voter must have seen can exist.
func (s *seat) mayNotarize(v *consensus.Vote, now []consensus.Record) error {
	a := s.a
	if s.nulled[v.View] {
		return fmt.Errorf("S4: after NULLIFY of the view")
	}
	p := a.blocks[v.Hash]
	if p == nil { // The leader's own, which is on its way.
		i := slices.IndexFunc(now, func(r consensus.Record) bool { return promises(&r, v) })
		m, err := consensus.DecodeMessage(bytes.Clone(now[i].Data))
		if err != nil {
			return err
		}
		p = m.(*consensus.Proposal)
	}
	h := &p.Block.Header
	if verdict(&p.Block) == consensus.Invalid || int(p.LeaderVote.Signer) != a.leader(v.View) {
		return fmt.Errorf("the block is invalid")
	}
	if pv := h.ParentView; (v.View-1)%a.term != 0 {
		if own, voted := s.voted[pv]; pv != v.View-1 || (!voted || own != h.ParentHash) && !a.notarized(pv, h.ParentHash) {
			return fmt.Errorf("S4: on a block of view %d that nobody notarized", pv)
		}
		return nil
	}
	if h.ParentHash != genesis && !a.notarized(h.ParentView, h.ParentHash) {
		return fmt.Errorf("S4: on a block of view %d that nobody notarized", h.ParentView)
	}
	for x := h.ParentView + 1; x < v.View; x++ {
		if !a.covered(x) {
			return fmt.Errorf("S4: over view %d, which nobody gave up", x)
		}
	}
	return nil
}

// deliver checks that final blocks continue the own chain and are everybody's.
func (s *seat) deliver(final []consensus.FinalBlock) error {
	a := s.a
	for i := range final {
		f := &final[i]
		h := &f.Block.Header
		height, parent := uint64(len(s.stored)+len(s.ahead)+i), genesis
		if all := slices.Concat(s.stored, s.ahead, final[:i]); len(all) > 0 {
			parent = all[len(all)-1].Hash
		}
		if h.Height != height+1 || h.ParentHash != parent || h.Hash() != f.Hash {
			return fmt.Errorf("delivers height %d on %s after height %d, %s", h.Height, h.ParentHash, height, parent)
		}
		if other, known := a.chain[h.Height]; known && other != f.Hash {
			return fmt.Errorf("FORK: height %d is %s here and %s elsewhere", h.Height, f.Hash, other)
		}
		a.chain[h.Height] = f.Hash
		if verdict(f.Block) != consensus.Valid {
			return fmt.Errorf("delivers a block that it did not judge valid")
		}
		if c := f.Finalization; c != nil {
			if _, err := a.verifier.Verify(c); err != nil {
				return fmt.Errorf("delivers height %d with a bad finalization: %w", h.Height, err)
			}
			if c.Kind != consensus.Finalize || c.Hash != f.Hash {
				return fmt.Errorf("delivers height %d with a %s certificate of %s", h.Height, c.Kind, c.Hash)
			}
		}
	}
	return nil
}
