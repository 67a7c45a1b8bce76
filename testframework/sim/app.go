package sim

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger"
)

// app is what a node orders for: a pool of transactions, a rule for valid blocks, an executor, and a block
// store of which a crash may take what was not synced.
//
//	payload  mark ‖ be64(transaction)*               the header commits to it, see payload.go
//	data     be64(transaction) ‖ ^be64(transaction)  for each, beside it
type app struct {
	n *node
	// store is what the disk holds.
	store []consensus.FinalBlock
	exec  executor

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
	tail      tail
}

// maxBlockTxs keeps blocks small, as a byte limit does.
const maxBlockTxs = 256

// restart begins a process at a height.
func (a *app) restart(height uint64) {
	a.queue, a.executing, a.delivered = nil, 0, height
	a.pool, a.gossiping = nil, false
	a.known, a.spoken = map[uint64]bool{}, map[uint64]time.Duration{}
	a.acked = len(a.store)
	a.tail = a.tailAt(height)
	a.exec.restart()
	a.told = 0 // whatever it asked for meanwhile: the core does not run yet
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
	return slices.Clip(out)
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
	w := a.n.w
	mark, known := a.markOf(req.Height-1, req.ParentHash, req.Ancestors)
	if !known {
		b.OK = false
		return b
	}
	pl := ledger.EmptyPayload(req.Height, mark, a.exec.newest)
	b.Payload = appendMark(nil, pl.Watermark, w.exec.number(w, pl.Cert))
	mayOrder := ledger.MayOrder(req.Height, pl.Watermark, w.exec.maxAhead)
	taken := map[uint64]bool{}
	for _, block := range req.Ancestors {
		for _, tx := range transactions(block.Payload) {
			taken[tx] = true
		}
	}
	count := 0
	for _, tx := range a.pool {
		if mayOrder && !taken[tx] && count < maxBlockTxs && !a.censored(tx) {
			b.Payload = binary.BigEndian.AppendUint64(b.Payload, tx)
			b.Data = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b.Data, tx), ^tx)
			count++
		}
	}
	if count == 0 && !req.Force && !w.scenario.Work.Always && !a.tail.wanted(req.TimeMs) {
		b.OK = false
		return b
	}
	a.speakFor(b.Payload, req.TimeMs)
	return b
}

func (a *app) censored(tx uint64) bool { return a.n.liar != nil && a.n.liar.censors && tx%2 == 1 }

// judge is the rule for valid payloads.
func (a *app) judge(j *consensus.JudgeRequest) consensus.Verdict {
	p, d := j.Block.Payload, j.Block.Data
	w := a.n.w
	txs := transactions(p)
	pl, ok := w.exec.payload(p)
	if !ok || len(txs) > maxBlockTxs {
		return consensus.Invalid
	}
	if !complete(txs, d) {
		return consensus.Missing
	}
	mark, known := a.markOf(j.Block.Header.Height-1, j.Block.Header.ParentHash, parentOf(j))
	if !known {
		return consensus.Missing
	}
	if pl.CheckWatermark(j.Block.Header.Height, mark, w.exec.maxAhead) != nil || !w.exec.proven(&pl) {
		return consensus.Invalid
	}
	for i, tx := range txs {
		if !w.submitted(tx) || slices.Contains(txs[:i], tx) {
			return consensus.Invalid
		}
	}
	a.speakFor(p, j.Block.Header.TimeMs)
	return consensus.Valid
}

// complete reports that data is what a payload commits to.
func complete(txs []uint64, data []byte) bool {
	if len(data) != 16*len(txs) {
		return false
	}
	for i, tx := range txs {
		if tx != binary.BigEndian.Uint64(data[16*i:]) || ^tx != binary.BigEndian.Uint64(data[16*i+8:]) {
			return false
		}
	}
	return true
}

// speakFor notes a proposal: for 2Δ its transactions ask for no other block, nor does what it certifies.
func (a *app) speakFor(payload []byte, timeMs uint64) {
	until := a.n.w.now + 2*a.n.w.scenario.Timing.Delta
	a.tail.proposed(timeMs, until)
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
	if want == 0 && ledger.MayOrder(a.delivered+1, max(a.tail.mark, a.exec.tally.Certified()), a.n.w.exec.maxAhead) {
		for _, tx := range a.pool {
			if a.spoken[tx] <= a.n.w.now {
				want = 1
				break
			}
		}
	}
	if want == 0 {
		want = a.tail.late(a.n.w.now)
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
		a.tail.deliver(&f.Block.Header, f.Block.Payload)
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
	before := len(a.store)
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
	a.exec.executed(before)
	a.execute()
	a.n.iterate()
}

func (a *app) commit(blocks []consensus.FinalBlock) {
	a.store = append(a.store, blocks...)
	a.exec.commit(blocks)
}
