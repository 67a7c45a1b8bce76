package node

import (
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/node/diagnosis"
	"github.com/tercet-chain/tercet/node/metrics"
	"github.com/tercet-chain/tercet/p2p"
)

// facts is a snapshot of what the node knows of itself.
func (n *Node) facts() *diagnosis.Facts {
	s, now, pool := n.engine().Snapshot(), n.heights(), n.pool.Stats()
	f := &diagnosis.Facts{
		Now:      now.at,
		Software: n.software(), Network: n.network(), Version: p2p.Version,
		Validators: len(n.genesis.Validators), Quorum: n.quorumInReach(),
		Validator: n.validator >= 0, Voting: s.Voting,
		View: s.View, Final: now.final, Executed: now.executed, Highest: now.highest, CatchingUp: s.CatchingUp,
		Lag: n.pipeline().Lag(), MaxIdle: n.cfg.Consensus.MaxIdle, MaxDrift: n.cfg.Consensus.MaxDrift,
		Pool: diagnosis.Pool{
			Pending: pool.Pending, Transactions: pool.Pending + pool.Queued, MaxTransactions: n.cfg.Pool.MaxTransactions,
			Bytes: pool.Bytes, MaxBytes: n.cfg.Pool.MaxBytes,
		},
		Peers: n.peerFacts(now.final), Clocks: n.clocks.known(n.roster.names), Accusations: n.accusations(),
	}
	if f.Validator && !f.Voting {
		f.Follows = n.follows(&s)
	}
	if err := n.live(); err != nil {
		f.StorageFault = err.Error()
	}
	if err := n.quarantined(); err != nil {
		f.Quarantine = err.Error()
	}
	n.watch.fill(f, now)
	return f
}

func (n *Node) peerFacts(final uint64) []diagnosis.Peer {
	var list []diagnosis.Peer
	for _, p := range n.host.Peers() {
		i := n.roster.index[p.ID]
		d := diagnosis.Peer{PeerStatus: p, Validator: i < len(n.genesis.Validators)}
		if pulse := &n.watch.pulses[i]; p.Connected {
			d.LastVote, d.Since = time.Unix(0, pulse.at.Load()), final-min(final, pulse.height.Load())
		}
		list = append(list, d)
	}
	return list
}

// accusations sums up the proofs against each validator, in the order of the genesis.
func (n *Node) accusations() []diagnosis.Accusation {
	by := make([]diagnosis.Accusation, len(n.genesis.Validators))
	n.evidence.each(func(signer int, seen time.Time) {
		a := &by[signer]
		if a.Proofs++; a.Proofs == 1 {
			a.Name, a.Own, a.First = n.roster.names[signer], signer == n.validator, seen
		}
		a.Last = seen
	})
	var list []diagnosis.Accusation
	for _, a := range by {
		if a.Proofs > 0 {
			list = append(list, a)
		}
	}
	return list
}

// ready lists why requests should go to another node; none when there is no reason.
func (n *Node) ready() []metrics.Reason {
	f := n.facts()
	return reasons(f, diagnosis.Diagnose(f))
}

// reasons are the findings with which a node should not be asked. A node that fetches blocks is not ready either,
// though a few blocks are no finding.
func reasons(f *diagnosis.Facts, found []diagnosis.Finding) []metrics.Reason {
	var list []metrics.Reason
	behind := false
	for _, x := range found {
		if x.Unready {
			list = append(list, metrics.Reason{Code: string(x.Cause), Message: x.Text + ": " + x.Do})
			behind = behind || x.Cause == diagnosis.Behind
		}
	}
	if f.CatchingUp && !behind {
		list = append(list, metrics.Reason{Code: string(diagnosis.Behind), Message: "blocks that others have are being fetched from peers: wait"})
	}
	return list
}

// quorumInReach is how many validators must be in reach for a node to make progress, itself included.
func (n *Node) quorumInReach() int { return consensus.Quorum(len(n.genesis.Validators)) }
