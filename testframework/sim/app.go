package sim

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/tercet-chain/tercet/consensus"
)

// app is what a node orders for: a pool of transactions, a rule for valid blocks, an executor, and a block
// store of which a crash may take what was not synced.
//
//	payload  be64(transaction)*                     the header commits to it
//	data     be64(transaction) ‖ ^be64(transaction)  for each, beside it
type app struct {
	n *node
	// store is what the disk holds.
	store []consensus.FinalBlock

	// Of the process.
	queue     []consensus.FinalBlock // delivered, not executed
	executing int                    // of queue, the group at work
	delivered uint64
	pool      []uint64                 // known and not delivered, oldest first
	known     map[uint64]bool          // ever seen by this process
	spoken    map[uint64]time.Duration // in a proposal on its way, until
	told      uint64                   // the latest demand
	acked     int                      // of store, what clients were told
	gossiping bool
}

// maxBlockTxs keeps blocks small, as a byte limit does.
const maxBlockTxs = 256

// restart begins a process at a height.
func (a *app) restart(height uint64) {
	a.queue, a.executing, a.delivered = nil, 0, height
	a.pool, a.told, a.gossiping = nil, 0, false
	a.known, a.spoken = map[uint64]bool{}, map[uint64]time.Duration{}
	a.acked = len(a.store)
}

// crash ends the process; keep says that the group at work had reached the disk.
func (a *app) crash(keep bool) {
	if keep && a.executing > 0 {
		a.commit(a.queue[:a.executing])
	}
	a.queue, a.executing = nil, 0
}

// tip is the newest stored block with a finalization.
func (a *app) tip() consensus.Tip {
	for _, f := range slices.Backward(a.store) {
		if f.Finalization != nil {
			return tipOf(&f)
		}
	}
	return consensus.GenesisTip(genesis, epochMs)
}

func tipOf(f *consensus.FinalBlock) consensus.Tip {
	h := &f.Block.Header
	return consensus.Tip{View: h.View, Height: h.Height, Hash: f.Hash, TimeMs: h.TimeMs, Finalization: f.Finalization}
}

// blocks serves ranges.
func (a *app) blocks(from uint64, count, maxBytes int) []consensus.FinalBlock {
	if from == 0 || from > uint64(len(a.store)) {
		return nil
	}
	out := a.store[from-1:]
	if len(out) > count {
		out = out[:count]
	}
	size := 0
	for i := range out {
		if size += len(out[i].Block.Payload) + len(out[i].Block.Data); i > 0 && size > maxBytes {
			return out[:i:i]
		}
	}
	return out[:len(out):len(out)]
}

// add takes a transaction from a client or a peer.
func (a *app) add(tx uint64) bool {
	if a.known[tx] {
		return false
	}
	a.known[tx] = true
	if a.n.w.chains.OrderedAt(tx) != 0 && a.executed(tx) {
		return false
	}
	a.pool = append(a.pool, tx)
	return true
}

// executed reports whether a delivered block of this node has the transaction.
func (a *app) executed(tx uint64) bool {
	at := a.n.w.chains.OrderedAt(tx)
	return at != 0 && at <= a.delivered
}

// gossip takes transactions from a peer.
func (a *app) gossip(txs []uint64) {
	for _, tx := range txs {
		a.add(tx)
	}
	a.repeatLater()
}

// repeatInterval is how often what is still pending is sent again.
const repeatInterval = 2 * time.Second

func (a *app) repeatLater() {
	if !a.gossiping && len(a.pool) > 0 {
		a.gossiping = true
		a.n.w.queue.push(a.n.w.now+repeatInterval, event{kind: evGossip, node: int32(a.n.index), life: a.n.life})
	}
}

// repeat sends the longest waiting transactions again.
func (a *app) repeat() {
	a.gossiping = false
	if len(a.pool) > 0 {
		a.n.w.publish(a.n, slices.Clone(a.pool[:min(len(a.pool), maxBlockTxs)]))
	}
	a.repeatLater()
}

// build chooses a payload.
func (a *app) build(req *consensus.BuildRequest) consensus.Built {
	b := consensus.Built{View: req.View, ParentHash: req.ParentHash, OK: true}
	taken := map[uint64]bool{}
	for _, block := range req.Ancestors {
		for _, tx := range transactions(block.Payload) {
			taken[tx] = true
		}
	}
	count := 0
	for _, tx := range a.pool {
		if !taken[tx] && count < maxBlockTxs && !a.censored(tx) {
			b.Payload = binary.BigEndian.AppendUint64(b.Payload, tx)
			b.Data = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b.Data, tx), ^tx)
			count++
		}
	}
	if count == 0 && !req.Force && !a.n.w.scenario.Work.Always {
		b.OK = false
		return b
	}
	a.speakFor(b.Payload)
	return b
}

func (a *app) censored(tx uint64) bool { return a.n.liar != nil && a.n.liar.censors && tx%2 == 1 }

// judge is the rule for valid payloads.
func (a *app) judge(j *consensus.JudgeRequest) consensus.Verdict {
	p, d := j.Block.Payload, j.Block.Data
	if len(p)%8 != 0 || len(p) > 8*maxBlockTxs {
		return consensus.Invalid
	}
	if !complete(p, d) {
		return consensus.Missing
	}
	txs := transactions(p)
	for i, tx := range txs {
		if !a.n.w.submitted(tx) || slices.Contains(txs[:i], tx) {
			return consensus.Invalid
		}
	}
	a.speakFor(p)
	return consensus.Valid
}

// complete reports that data is what a payload commits to.
func complete(payload, data []byte) bool {
	if len(data) != 2*len(payload) {
		return false
	}
	for i, tx := range transactions(payload) {
		if tx != binary.BigEndian.Uint64(data[16*i:]) || ^tx != binary.BigEndian.Uint64(data[16*i+8:]) {
			return false
		}
	}
	return true
}

func transactions(payload []byte) []uint64 {
	txs := make([]uint64, len(payload)/8)
	for i := range txs {
		txs[i] = binary.BigEndian.Uint64(payload[8*i:])
	}
	return txs
}

// speakFor notes that a proposal has transactions: they ask for no block for 2Δ.
func (a *app) speakFor(payload []byte) {
	if len(payload) == 0 {
		return
	}
	until := a.n.w.now + 2*a.n.w.scenario.Timing.Delta
	for _, tx := range transactions(payload) {
		a.spoken[tx] = until
	}
	a.n.w.queue.push(until, event{kind: evDemand, node: int32(a.n.index), life: a.n.life})
}

// wants is the time from which a block is wanted, and whether that is news.
func (a *app) wants() (at uint64, changed bool) {
	want := uint64(0)
	if a.n.w.always {
		want = 1
	}
	for _, tx := range a.pool {
		if a.spoken[tx] <= a.n.w.now {
			want = 1
			break
		}
	}
	if want == a.told {
		return 0, false
	}
	a.told = want
	return want, true
}

// deliver takes final blocks.
func (a *app) deliver(blocks []consensus.FinalBlock) {
	w := a.n.w
	for i := range blocks {
		f := &blocks[i]
		if err := w.chains.Delivered(a.n.index, f, w.latestClock()); err != nil && a.n.liar == nil {
			w.fail(err)
			return
		}
		h := f.Block.Header.Height
		w.delivered(a.n, f)
		txs := transactions(f.Block.Payload)
		if len(txs) > 0 {
			a.pool = slices.DeleteFunc(a.pool, func(tx uint64) bool { return slices.Contains(txs, tx) })
			for _, tx := range txs {
				a.known[tx] = true
				delete(a.spoken, tx)
			}
		}
		a.delivered = h
		if h > uint64(len(a.store)) {
			a.queue = append(a.queue, *f)
		}
	}
	a.execute()
}

// execute begins with the next group.
func (a *app) execute() {
	if a.executing == 0 && len(a.queue) > 0 {
		a.executing = len(a.queue)
		w := a.n.w
		w.queue.push(w.now+w.upTo(w.scenario.Disk.Execute), event{kind: evExecuted, node: int32(a.n.index), life: a.n.life})
	}
}

// executedGroup ends a group: it is executed, synced and shown.
func (a *app) executedGroup() {
	a.commit(a.queue[:a.executing])
	a.queue = slices.Delete(a.queue, 0, a.executing)
	a.executing = 0
	w := a.n.w
	w.judge(w.chains.Acknowledged(a.n.index, uint64(len(a.store))))
	w.acknowledged(a.n)
	for i := len(a.store) - 1; i >= 0 && i >= len(a.store)-maxBatch; i-- {
		if a.store[i].Finalization != nil {
			a.n.inbox = append(a.n.inbox, consensus.Executed{Tip: tipOf(&a.store[i])})
			break
		}
	}
	a.execute()
	a.n.iterate()
}

func (a *app) commit(blocks []consensus.FinalBlock) { a.store = append(a.store, blocks...) }
