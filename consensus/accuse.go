package consensus

// This file is about proofs that a validator signed what no honest one signs.
// They change nothing about what is safe: people act on them.

// maxTold bounds how many proofs against one validator this replica sends to
// everyone. A validator can prove itself guilty in each view; the first proofs
// say all that anybody needs.
const maxTold = 16

// accuse reports two votes that this replica counted itself and sends them to
// everyone, once per view and signer.
func (c *Core) accuse(s *viewState, a, b *Vote) {
	if s.accused == nil {
		s.accused = make([]bool, c.cfg.Committee.Size())
	}
	if !s.accused[a.Signer] {
		s.accused[a.Signer] = true
		e := Evidence{*a, *b}
		c.out.Evidence = append(c.out.Evidence, e)
		if c.told == nil {
			c.told = make([]int, c.cfg.Committee.Size())
		}
		if c.told[a.Signer] < maxTold {
			c.told[a.Signer]++
			c.send(Everyone, LaneCert, &e)
		}
	}
	if a.Kind == Notarize && int(a.Signer) == c.sched.Leader(a.View) {
		s.equivocated = true
	}
}

// onEvidence reports what another replica proved, each time for a later view,
// so that nobody can repeat it for ever. It is not sent on: who found it sent
// it to everyone.
func (c *Core) onEvidence(e *Evidence) {
	if c.proven == nil {
		c.proven = make([]uint64, c.cfg.Committee.Size())
	}
	if view := max(e.A.View, e.B.View); view > c.proven[e.A.Signer] {
		c.proven[e.A.Signer] = view
		c.out.Evidence = append(c.out.Evidence, *e)
	}
}

// confront looks at a NOTARIZE for another block than the one that this replica
// has of the view. A vote does not carry the leader's, so a leader that shows
// each half of the validators one block would stay unnoticed if neither got the
// other one: the voter is sent what the leader signed for this one. One vote
// per voter and view, because only the first one of a voter is counted.
func (c *Core) confront(s *viewState, v *Vote) {
	if v.Kind != Notarize || s.proposal == nil || v.Hash == s.proposal.hash || int(v.Signer) == c.self {
		return
	}
	if int(v.Signer) == c.sched.Leader(v.View) {
		c.accuse(s, &s.proposal.LeaderVote, v) // The proposal may be from the log, its vote not counted.
		return
	}
	c.send(int(v.Signer), LaneVote, &s.proposal.LeaderVote)
}
