package consensustest

import (
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
)

// Config describes a network of replicas.
type Config struct {
	// Validators is n.
	Validators   int
	Term, Window uint64
	Timing       consensus.Timing
	// Latency is the one-way delay of every link.
	Latency time.Duration
	// Deliver, when not nil, decides for each message whether it arrives and
	// how much later than Latency.
	Deliver func(from, to int, m consensus.Message) (extra time.Duration, ok bool)
	// Work is how often the application wants a block: 0 never, otherwise
	// each replica demands one all the time.
	Work bool
	// Trace, when not nil, receives one line per event.
	Trace func(line string)
}

// Network is a committee in virtual time. It is not safe for concurrent use.
type Network struct {
	cfg       Config
	committee *consensus.Committee
	network   common.Hash
	scheme    *keyedHash
	nodes     []*Replica
	queue     eventQueue
	now       time.Duration
	seq       uint64
	labels    map[common.Hash]string
	err       error
}

// Replica is one validator of a [Network].
type Replica struct {
	Index    int
	net      *Network
	core     *consensus.Core
	verifier *consensus.Verifier
	behavior Behavior
	lied     bool // perhaps: it was not always honest
	up       bool
	epoch    int // counts restarts: events of an earlier life are dropped
	log      []consensus.Record
	wakeAt   time.Duration
	// delivered is the height up to which this life of the replica has been
	// handed blocks.
	delivered uint64
	// Chain is what was delivered, from height 1 on; it survives crashes.
	Chain    []consensus.FinalBlock
	Evidence []consensus.Evidence
	Fault    string
}

// start is the wall clock at virtual time 0, Unix ms.
const start = 1_700_000_000_000

// New builds the network; nothing runs before [Network.Run].
func New(cfg Config) (*Network, error) {
	n := &Network{cfg: cfg, network: crypto.Keccak256Hash([]byte("consensustest")), scheme: newKeyedHash(), labels: map[common.Hash]string{}}
	addresses := make([]common.Address, cfg.Validators)
	for i := range addresses {
		addresses[i] = common.BytesToAddress([]byte{0xA0, byte(i >> 8), byte(i)})
		n.scheme.add(addresses[i])
	}
	var err error
	if n.committee, err = consensus.NewCommittee(addresses); err != nil {
		return nil, err
	}
	for i := range cfg.Validators {
		r := &Replica{Index: i, net: n, behavior: Honest{}}
		r.verifier = &consensus.Verifier{Scheme: n.scheme, Network: n.network, Committee: n.committee, Schedule: r.config().Schedule()}
		n.nodes = append(n.nodes, r)
	}
	for i := range n.nodes {
		n.Start(i)
	}
	return n, n.err
}

// Replica returns validator i.
func (n *Network) Replica(i int) *Replica { return n.nodes[i] }

// Now is the virtual time since the network was made.
func (n *Network) Now() time.Duration { return n.now }

// Err is the first violation or failure seen.
func (n *Network) Err() error { return n.err }

// SetDeliver replaces the message filter; nil delivers everything.
func (n *Network) SetDeliver(f func(from, to int, m consensus.Message) (time.Duration, bool)) {
	n.cfg.Deliver = f
}

// SetWork turns the applications' demand on or off.
func (n *Network) SetWork(on bool) {
	n.cfg.Work = on
	for _, r := range n.nodes {
		if r.up {
			n.at(n.now, r, consensus.Demand{AtUnixMs: r.demand()})
		}
	}
}

// Become gives a replica another behaviour from its next message on.
func (n *Network) Become(i int, b Behavior) {
	r := n.nodes[i]
	r.behavior = b
	r.lied = r.lied || !honest(r)
}

// Crash stops a replica; what it recorded stays, all else is lost.
func (n *Network) Crash(i int) {
	r := n.nodes[i]
	n.trace(r, "crash")
	r.up, r.core = false, nil
	r.epoch++
	for _, other := range n.nodes {
		if other.up {
			n.at(n.now, other, consensus.PeerDown{Peer: i})
		}
	}
}

// Forget deletes a stopped replica's log and leaves the mark of amnesia.
func (n *Network) Forget(i int) {
	n.nodes[i].log = []consensus.Record{{Type: consensus.RecordAmnesia}}
}

// Start brings a replica up from its log and chain.
func (n *Network) Start(i int) {
	r := n.nodes[i]
	cfg := r.config()
	core, err := consensus.New(cfg)
	if err != nil {
		n.fail(fmt.Errorf("replica %d does not start: %w", i, err))
		return
	}
	r.core, r.up, r.delivered = core, true, cfg.Tip.Height
	n.trace(r, "start")
	n.at(n.now, r, consensus.Start{})
	n.at(n.now, r, consensus.Demand{AtUnixMs: r.demand()})
	for _, other := range n.nodes {
		if other != r && other.up {
			n.at(n.now+n.cfg.Latency, other, consensus.PeerUp{Peer: i})
			n.at(n.now+n.cfg.Latency, r, consensus.PeerUp{Peer: other.Index})
		}
	}
}

// Run lets virtual time pass. It stops at the first failure.
func (n *Network) Run(d time.Duration) error {
	end := n.now + d
	for n.err == nil && len(n.queue) > 0 && n.queue[0].at <= end {
		e := heap.Pop(&n.queue).(event)
		n.now = e.at
		if e.replica.up && e.epoch == e.replica.epoch {
			if _, tick := e.input.(consensus.Tick); tick && e.at != e.replica.wakeAt {
				continue // A later step moved the alarm.
			}
			e.replica.step(e.input)
		}
	}
	n.now = end
	return n.err
}

func (n *Network) at(t time.Duration, r *Replica, in consensus.Input) {
	n.seq++
	heap.Push(&n.queue, event{t, n.seq, r, r.epoch, in})
}

func (n *Network) fail(err error) {
	if n.err == nil {
		n.err = fmt.Errorf("at %v: %w", n.now, err)
	}
}

func (n *Network) trace(r *Replica, format string, args ...any) {
	if n.cfg.Trace != nil {
		n.cfg.Trace(fmt.Sprintf("%6d ms  n%d  %s", n.now.Milliseconds(), r.Index, fmt.Sprintf(format, args...)))
	}
}

// label names a block by view and order of appearance.
func (n *Network) label(h common.Hash, view uint64) string {
	if h == (common.Hash{}) {
		return ""
	}
	if n.labels[h] == "" {
		same := 0
		for _, l := range n.labels {
			if l == fmt.Sprintf("b%d", view) || bytes.HasPrefix([]byte(l), fmt.Appendf(nil, "b%d'", view)) {
				same++
			}
		}
		n.labels[h] = fmt.Sprintf("b%d", view) + string(bytes.Repeat([]byte("'"), same))
	}
	return n.labels[h]
}

func (r *Replica) config() consensus.Config {
	tip := consensus.GenesisTip(r.net.network, start-1)
	for _, f := range slices.Backward(r.Chain) {
		if f.Finalization != nil {
			h := f.Block.Header
			tip = consensus.Tip{View: h.View, Height: h.Height, Hash: f.Hash, TimeMs: h.TimeMs, Finalization: f.Finalization}
			break
		}
	}
	return consensus.Config{
		Network: r.net.network, Committee: r.net.committee,
		Signer: signer{r.net.scheme, r.net.committee.Address(r.Index)}, Peers: r.net.cfg.Validators,
		Term: r.net.cfg.Term, Window: r.net.cfg.Window, MaxBlockBytes: 1 << 20,
		Timing: r.net.cfg.Timing, Tip: tip, Recovered: r.log,
	}
}

func (r *Replica) demand() uint64 {
	if r.net.cfg.Work {
		return 1
	}
	return 0
}

// Snapshot is the core's; the zero value while the replica is down.
func (r *Replica) Snapshot() consensus.Snapshot {
	if r.core == nil {
		return consensus.Snapshot{}
	}
	return r.core.Snapshot()
}

func (r *Replica) step(in consensus.Input) {
	n := r.net
	out := r.core.Step(consensus.Instant{Mono: n.now + 1, UnixMs: start + uint64(n.now.Milliseconds())}, in)
	r.log = append(r.log, out.Record...)
	if out.Fault != "" {
		r.Fault = out.Fault
		n.trace(r, "fault: %s", out.Fault)
		r.up = false
		return
	}
	for _, s := range out.Send {
		r.send(s)
	}
	if out.Build != nil {
		payload := binary.BigEndian.AppendUint64(nil, out.Build.Height)
		n.at(n.now, r, consensus.Built{View: out.Build.View, ParentHash: out.Build.ParentHash, Payload: payload, OK: n.cfg.Work || out.Build.Force})
	}
	for _, j := range out.Judge {
		n.at(n.now, r, consensus.Judged{Hash: j.Hash, Verdict: consensus.Valid})
	}
	for _, q := range out.Serve {
		r.serve(q)
	}
	r.deliver(out.Final)
	r.Evidence = append(r.Evidence, out.Evidence...)
	for _, e := range out.Evidence {
		n.trace(r, "evidence against n%d: %s + %s in view %d", e.A.Signer, e.A.Kind, e.B.Kind, e.A.View)
		if !n.nodes[e.A.Signer].lied {
			n.fail(fmt.Errorf("replica %d has evidence against the honest replica %d: %s %d and %s %d", r.Index, e.A.Signer, e.A.Kind, e.A.View, e.B.Kind, e.B.View))
		}
	}
	if out.WakeAt != 0 {
		r.wakeAt = max(out.WakeAt-1, n.now)
		n.at(r.wakeAt, r, consensus.Tick{})
	}
}

func (r *Replica) deliver(blocks []consensus.FinalBlock) {
	n := r.net
	var top *consensus.FinalBlock
	for _, f := range blocks {
		h := f.Block.Header.Height
		if n.cfg.Trace != nil {
			n.trace(r, "final %s height %d", n.label(f.Hash, f.Block.Header.View), h)
		}
		if h != r.delivered+1 {
			n.fail(fmt.Errorf("replica %d delivered height %d after %d", r.Index, h, r.delivered))
			return
		}
		r.delivered = h
		if h <= uint64(len(r.Chain)) { // Delivered in an earlier life, but not proven to be final.
			if r.Chain[h-1].Hash != f.Hash {
				n.fail(fmt.Errorf("replica %d delivered two blocks at height %d", r.Index, h))
			}
			continue
		}
		for _, other := range n.nodes {
			if len(other.Chain) >= int(h) && other.Chain[h-1].Hash != f.Hash && honest(other) && honest(r) {
				n.fail(fmt.Errorf("replicas %d and %d disagree at height %d", r.Index, other.Index, h))
			}
		}
		r.Chain = append(r.Chain, f)
		if f.Finalization != nil {
			top = &r.Chain[len(r.Chain)-1]
		}
	}
	if top != nil {
		h := top.Block.Header
		n.at(n.now, r, consensus.Executed{Tip: consensus.Tip{View: h.View, Height: h.Height, Hash: top.Hash, TimeMs: h.TimeMs, Finalization: top.Finalization}})
	}
}

func (r *Replica) serve(q consensus.RangeRequest) {
	answer := new(consensus.BlockResponse)
	for h := q.From; h <= uint64(len(r.Chain)) && h < q.From+q.Count; h++ {
		answer.Blocks = append(answer.Blocks, r.Chain[h-1].Block)
		if f := r.Chain[h-1].Finalization; f != nil {
			answer.Finalization = f
		}
	}
	for len(answer.Blocks) > 0 && r.Chain[q.From-1+uint64(len(answer.Blocks))-1].Finalization == nil {
		answer.Blocks = answer.Blocks[:len(answer.Blocks)-1]
	}
	if len(answer.Blocks) > 0 {
		r.send(consensus.Send{To: q.Peer, Lane: consensus.LaneSync, Message: answer})
	}
}

// send passes messages through the replica's behaviour onto the links.
func (r *Replica) send(s consensus.Send) {
	r.traceSend(s)
	for to := range r.net.nodes {
		if to == r.Index || (s.To != consensus.Everyone && s.To != to) {
			continue
		}
		for _, m := range r.behavior.Rewrite(r, to, s.Message) {
			r.net.transmit(r, to, m)
		}
	}
}

func (n *Network) transmit(from *Replica, to int, m consensus.Message) {
	extra := time.Duration(0)
	if n.cfg.Deliver != nil {
		var ok bool
		if extra, ok = n.cfg.Deliver(from.Index, to, m); !ok {
			return
		}
	}
	r := n.nodes[to]
	if !r.up {
		return
	}
	frame := bytes.Clone(consensus.EncodeMessage(m))
	decoded, err := consensus.DecodeMessage(frame)
	if err == nil {
		var v consensus.Verified
		if v, err = r.verifier.Verify(decoded); err == nil {
			n.at(n.now+n.cfg.Latency+extra, r, consensus.Received{From: from.Index, Message: v})
			return
		}
	}
	if honest(from) && !errors.Is(err, consensus.ErrEpoch) {
		n.fail(fmt.Errorf("replica %d sent %T that replica %d refuses: %w", from.Index, m, to, err))
	}
}

func (r *Replica) traceSend(s consensus.Send) {
	n := r.net
	if n.cfg.Trace == nil {
		return
	}
	switch m := s.Message.(type) {
	case *consensus.Proposal:
		n.trace(r, "propose %s height %d on %s", n.label(m.Hash(), m.Block.Header.View), m.Block.Header.Height, n.parentLabel(&m.Block.Header))
	case *consensus.Vote:
		n.trace(r, "%s %d %s", m.Kind, m.View, n.label(m.Hash, m.View))
	case *consensus.Cert:
		n.trace(r, "cert %s %d", m.Kind, m.View)
	}
}

func (n *Network) parentLabel(h *consensus.Header) string {
	if h.ParentHash == n.network {
		return "genesis"
	}
	return n.label(h.ParentHash, h.ParentView)
}

type event struct {
	at      time.Duration
	seq     uint64
	replica *Replica
	epoch   int
	input   consensus.Input
}

type eventQueue []event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || (q[i].at == q[j].at && q[i].seq < q[j].seq)
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *eventQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}
