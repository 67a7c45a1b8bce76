package node

import (
	"fmt"
	"strings"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/diagnosis"
	"github.com/tercet-chain/tercet/node/metrics"
	"github.com/tercet-chain/tercet/node/rpc"
)

// Status describes the node for tercet_status.
func (n *Node) Status() rpc.Status {
	s := n.engine().Snapshot()
	committee := n.pipeline().Committee()
	out := rpc.Status{
		Epoch: s.Epoch, View: s.View, Leader: committee.Address(s.Leader), Ordered: s.Final.Height,
		Syncing: s.CatchingUp, Highest: s.Highest, PeerNames: []string{}, Reasons: []string{},
		Evidence: n.evidence.count(), Transactions: n.executed.Load(),
		ClockOffsetMs: n.engine().Shift().Milliseconds(),
	}
	if n.validator >= 0 {
		address := committee.Address(n.validator)
		out.Validator = &address
	}
	for _, p := range n.host.Peers() {
		out.Roster++
		if p.Connected {
			out.Peers++
			out.PeerNames = append(out.PeerNames, p.Name)
		}
	}
	f := n.facts()
	found := diagnosis.Diagnose(f)
	out.Diagnosis = rpc.Diagnosis{
		Name: n.name(), PeerID: string(n.self), Instance: n.host.Instance(), WallMs: n.engine().Wall().UnixMilli(), Findings: found,
	}
	for _, r := range reasons(f, found) {
		out.Reasons = append(out.Reasons, r.Code+": "+r.Message)
	}
	return out
}

// name is what this node is called in its own roster, where it is listed as peers list it.
func (n *Node) name() string {
	if i, listed := n.roster.index[n.self]; listed {
		return n.roster.names[i]
	}
	return ""
}

// Evidence lists the kept proofs that validators broke the rules.
func (n *Node) Evidence() []rpc.Evidence { return n.evidence.list() }

// connected counts the peers that are up.
func (n *Node) connected() int {
	up := 0
	for _, p := range n.host.Peers() {
		if p.Connected {
			up++
		}
	}
	return up
}

// live says why the process should be restarted, nil when it need not.
func (n *Node) live() error {
	if err := n.failure.Load(); err != nil {
		return *err
	}
	return n.store.Err()
}

// quarantined says why this node's state must not be trusted, nil when it may be.
func (n *Node) quarantined() error {
	d := n.pipeline().Divergence()
	if d == nil {
		return nil
	}
	return fmt.Errorf("block %d was executed differently here (%s) than by a quorum (%s)",
		d.Height, d.Have.HeaderHash, d.Certified.HeaderHash)
}

// follows says how long a validator that lost its votes only follows, and what it waits for.
func (n *Node) follows(s *consensus.Snapshot) string {
	if s.VotesFrom != 0 {
		idle := ""
		if d := n.cfg.Consensus.MaxIdle; d > 0 {
			idle = fmt.Sprintf(", and without traffic each lasts %v", d)
		}
		return fmt.Sprintf("it follows until view %d and then votes again by itself; the network is in view %d%s", s.VotesFrom, s.View, idle)
	}
	others := len(n.genesis.Validators) - 1
	if n.quorumInReach() > others {
		return fmt.Sprintf("it follows for good, because a validator votes again only after it has heard %d others, and the network has %d", n.quorumInReach(), others)
	}
	var names []string
	for _, a := range s.Awaits {
		name := n.roster.names[a.Validator]
		switch {
		case a.Observes:
			name += " (which follows itself)"
		case a.Unproven:
			name += " (which is ahead of what this node has certificates for, or lies)"
		}
		names = append(names, name)
	}
	return fmt.Sprintf("it follows, and waits for statuses of %s: it has to hear %d of the %d others, start those that are down or check the network between",
		strings.Join(names, ", "), n.quorumInReach(), others)
}

// observe feeds the metrics that count blocks.
func (n *Node) observe(b *ledger.Block) {
	m := n.metrics
	m.Blocks.Inc()
	m.Transactions.Add(float64(len(b.Transactions)))
	m.Gas.Add(float64(b.Header.GasUsed))
	for _, d := range b.Drops {
		m.Drops.WithLabelValues(d.Reason.String()).Inc()
	}
	if len(b.Transactions) > 0 {
		m.BlockSize.Observe(float64(len(b.Transactions)))
		m.BlockDelay.Observe(float64(time.Now().UnixMilli()-int64(b.Ordered.TimeMs)) / 1000)
	}
}

// sample refreshes the gauges before a scrape.
func (n *Node) sample(m *metrics.Metrics) {
	s, head, pool := n.engine().Snapshot(), n.Newest(), n.pool.Stats()
	m.Epoch.Set(float64(s.Epoch))
	m.View.Set(float64(s.View))
	m.FinalHeight.Set(float64(s.Final.Height))
	m.IsLeader.Set(flag(n.validator >= 0 && s.Leader == n.validator))
	m.VotesStopped.Set(flag(n.live() != nil || n.validator >= 0 && !s.Voting))
	m.Evidence.Set(float64(n.evidence.count()))
	m.ExecutedHeight.Set(float64(head.Height()))
	m.CertifiedHeight.Set(float64(head.Certified))
	if indexed, ok := n.store.IndexProgress(); ok {
		m.IndexedHeight.Set(float64(indexed))
	}
	m.PoolTransactions.Set(float64(pool.Pending + pool.Queued))
	m.PoolBytes.Set(float64(pool.Bytes))
	f := n.facts()
	m.Findings.Reset()
	for _, x := range diagnosis.Diagnose(f) {
		m.Findings.WithLabelValues(string(x.Cause), string(x.Severity)).Inc()
	}
	if len(f.Disks) > 0 {
		m.DiskFree.Set(float64(f.Disks[0].Free))
	}
	up := 0
	peers := n.host.Peers()
	n.sampling.Lock()
	defer n.sampling.Unlock()
	for _, p := range peers {
		up += int(flag(p.Connected))
		before := n.counted[p.Name]
		m.PeerInvalid.WithLabelValues(p.Name).Add(float64(p.Invalid - before[0]))
		m.QueueDrops.WithLabelValues(p.Name).Add(float64(p.QueueDrops - before[1]))
		n.counted[p.Name] = [2]uint64{p.Invalid, p.QueueDrops}
	}
	m.PeersConfigured.Set(float64(len(peers)))
	m.PeersConnected.Set(float64(up))
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
