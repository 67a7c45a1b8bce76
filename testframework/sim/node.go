package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/engine"
	"github.com/tercet-chain/tercet/consensus/wal"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

const (
	journalDir = "/journal"
	// segmentBytes keeps segments small, so that runs rotate and prune them.
	segmentBytes = 64 << 10 // unless the scenario has others
	// maxBatch is what the engine takes from its inbox for one sync.
	maxBatch = 64
	// maxHeld bounds what waits at a paused node, as its sockets do.
	maxHeld = 4096
)

// node is one machine with its disk and clock, and the process that runs on it.
type node struct {
	w     *World
	index int
	// peer is who the node is on its links: its index.
	peer int
	// signer is the validator whose key it has, -1 on an observer.
	signer int
	liar   *liar
	double *double // not nil while another process has the same key

	// The machine, which survives crashes.
	disk   *simdisk.Files
	memory *memoryLog
	clock  clock
	app    app
	// lost says that a fault took blocks or the journal since the last start.
	lost, rolledBack bool

	// The process.
	up      bool
	life    uint32 // counts processes
	started time.Duration
	replica *engine.Replica
	log     *wal.WAL
	final   uint64 // view of the final tip, for stale votes
	inbox   []consensus.Input
	batch   []consensus.Input
	busy    bool // a sync is under way
	outputs []consensus.Output
	wakeAt  time.Duration // when the core wants to be stepped, 0 for never
	tickAt  time.Duration // of the earliest alarm in the queue, 0 for none
	paused  time.Duration // until when
	held    []event
	slow    time.Duration // until when syncs are slow
	voting  bool

	// For checkers: the failures of the disk before the process, and the highest view of a vote that left.
	failures int
	topVote  uint64
}

func (n *node) instant() consensus.Instant { return n.clock.instant(n.w.now, n.started) }

// validator reports whether the node has a vote.
func (n *node) validator() bool { return n.signer >= 0 }

// correct reports whether the node keeps to the rules, and nobody else uses its key.
func (n *node) correct() bool { return n.liar == nil && (n.signer < 0 || !n.w.law.Liar[n.signer]) }

// walOptions are those of the node's journal. The salt is fixed: it must not differ between runs.
func (n *node) walOptions() wal.Options {
	size := int64(segmentBytes)
	if n.w.scenario.Disk.Segment != 0 {
		size = int64(n.w.scenario.Disk.Segment)
	}
	return wal.Options{Network: genesis, SegmentBytes: size, FS: n.disk, Salt: uint64(n.index)*2 + 1}
}

// format makes the node's disk as `init` does.
func (n *node) format() error {
	if n.w.scenario.Memory {
		n.memory = new(memoryLog)
		return nil
	}
	n.disk = simdisk.NewFiles(n.w.rng.Uint64())
	return wal.Create(journalDir, n.walOptions())
}

// forget replaces the journal by one that says that an earlier one was lost.
func (n *node) forget() error {
	n.lost = true
	if n.validator() {
		n.w.journals.Lost(n.signer)
	}
	if err := n.format(); err != nil {
		return err
	}
	mark := consensus.Record{Type: consensus.RecordAmnesia}
	if n.memory != nil {
		n.memory.synced = []consensus.Record{mark}
		return nil
	}
	log, _, err := wal.Open(journalDir, n.walOptions())
	if err != nil {
		return err
	}
	return errors.Join(log.Append(mark), log.Sync(), log.Close())
}

// open reads the journal.
func (n *node) open() (engine.Log, []consensus.Record, error) {
	if n.memory != nil {
		n.memory.waiting = nil
		return n.memory, n.memory.synced, nil
	}
	log, records, err := wal.Open(journalDir, n.walOptions())
	if err != nil {
		return nil, nil, err
	}
	n.log = log
	return log, records, nil
}

// start runs a process on what the disk holds.
func (n *node) start() {
	w := n.w
	n.watchDisk()
	log, records, err := n.open()
	if err != nil {
		n.failed(err)
		return
	}
	tip := n.app.tip()
	if n.double != nil {
		n.double.recovered(n, records)
	}
	cfg := w.coreConfig(n)
	cfg.Tip, cfg.Recovered = tip, records
	if n.replica, err = engine.NewReplica(cfg, log); err != nil {
		w.violate("recovery", "node %d does not start: %v", n.index, err)
		return
	}
	n.replica.PruneViews = w.machines.pruneViews
	w.recovered(n, &tip, records)
	n.up, n.started, n.final = true, w.now, tip.View
	n.life++
	n.app.restart(tip.Height)
	w.note(n, Entry{Kind: EntryUp, Height: tip.Height})
	n.inbox = append(n.inbox[:0], consensus.Start{})
	n.app.exec.begin()
	n.demand()
	n.iterate()
	if n.liar != nil {
		n.liar.begin()
	}
	for j := range w.nodes {
		if w.twins == nil && w.nodes[j].up && j != n.index && !w.link(n.index, j).cut && !w.link(j, n.index).cut {
			w.connect(n.index, j)
		}
	}
}

// reopened tells the checkers which blocks the store has. Those above the last finalization of its own are
// there with their receipts, and consensus delivers them again.
func (n *node) reopened(tip uint64) {
	w, stored := n.w, uint64(len(n.app.store))
	if err := w.chains.Started(n.index, stored, n.rolledBack); err != nil {
		w.fail(err)
	}
	w.check(w.chains.Started(n.index, tip, true))
	w.judge(w.chains.Acknowledged(n.index, stored))
	n.rolledBack = false
}

// stop ends the process, without a word.
func (n *node) stop() {
	if !n.up {
		return
	}
	n.up, n.replica, n.log = false, nil, nil
	n.inbox, n.held, n.outputs = n.inbox[:0], nil, nil
	n.busy, n.paused, n.wakeAt, n.tickAt, n.slow = false, 0, 0, 0, 0
	n.life++
	n.w.note(n, Entry{Kind: EntryDown})
	for j, other := range n.w.nodes {
		if j != n.index && !n.w.link(n.index, j).down {
			n.w.link(n.index, j).down, n.w.link(j, n.index).down = true, true
			if other.up {
				n.w.input(other, consensus.PeerDown{Peer: n.peer})
			}
		}
	}
}

// crash ends the process and, unless it is a kill, the machine's page cache.
func (n *node) crash(kill bool, mode simdisk.Retention) {
	n.stop()
	if kill {
		n.app.crash(true)
		return
	}
	n.app.crash(mode != simdisk.LoseUnsynced && n.w.rng.IntN(2) == 0)
	if n.disk != nil {
		old := n.disk
		n.disk = old.Reboot(mode)
		if w := n.w; w.machines.rebooted != nil {
			w.machines.rebooted(n, old)
		}
	}
}

// receive takes a packet from a link.
func (n *node) receive(from int, p *packet) {
	if p.exec != nil {
		n.app.exec.receive(from, p)
		n.iterate()
		return
	}
	if p.message == nil {
		n.app.gossip(p.txs)
		n.demand()
		n.iterate()
		return
	}
	if n.liar != nil {
		n.liar.hear(p.message)
	}
	if n.double != nil {
		n.double.hears(n, p.message)
	}
	if view, stale := engine.Stale(p.message, n.final); stale {
		n.inbox = append(n.inbox, consensus.Stale{From: from, View: view})
	} else {
		n.inbox = append(n.inbox, consensus.Received{From: from, Message: p.verified})
	}
	n.iterate()
}

// iterate is the engine's loop: what waits is stepped through, synced, and carried out.
func (n *node) iterate() {
	for n.up && !n.busy && len(n.inbox) > 0 {
		k := min(len(n.inbox), maxBatch)
		n.batch = append(n.batch[:0], n.inbox[:k]...)
		n.inbox = n.inbox[:copy(n.inbox, n.inbox[k:])]
		n.w.stats.Steps += uint64(k)
		outputs, err := n.replica.Step(n.instant, n.batch)
		if err != nil {
			n.failed(err)
			return
		}
		n.outputs, n.wakeAt = outputs, 0
		if wait := n.syncTime(outputs); wait > 0 {
			n.busy = true
			n.w.queue.push(n.w.now+wait, event{kind: evCarry, node: int32(n.index), life: n.life})
			return
		}
		n.carryOut()
	}
	n.arm()
}

// syncTime is how long the sync of what the outputs record takes.
func (n *node) syncTime(outputs []consensus.Output) time.Duration {
	longest := n.w.scenario.Disk.Sync
	if n.slow > n.w.now {
		longest = max(longest, slowSync)
	}
	if longest == 0 {
		return 0
	}
	for i := range outputs {
		if len(outputs[i].Record) > 0 {
			return time.Duration(n.w.rng.Int64N(int64(longest)))
		}
	}
	return 0
}

// slowSync is the longest sync of a slow disk.
const slowSync = 400 * time.Millisecond

// failed is the end of a process whose log failed: it must not vote again before a restart. Somebody then
// looks after the disk; half of the time the machine restarts too.
func (n *node) failed(err error) {
	w := n.w
	w.note(n, Entry{Kind: EntryRemark, Text: "stops: " + err.Error()})
	if w.machines.broke != nil && w.machines.broke(n, err) {
		return
	}
	if n.disk == nil || !w.diskFaulty[n.index] {
		w.violate("journal", "node %d: %v", n.index, err)
		return
	}
	w.diskFaulty[n.index] = false
	n.stop()
	if errors.Is(err, simdisk.ErrPowerOff) || w.rng.IntN(2) == 0 {
		all := simdisk.Retentions()
		n.crash(false, all[w.rng.IntN(len(all))])
		return
	}
	n.disk.Mend()
	n.app.crash(true)
}

// carryOut does what the outputs ask for, in their order.
func (n *node) carryOut() {
	n.busy = false
	s := n.replica.Snapshot()
	n.final, n.voting = s.Final.View, s.Voting
	n.w.note(n, Entry{Kind: EntryView, View: s.View})
	for i := range n.outputs {
		out := &n.outputs[i]
		if out.Fault != "" {
			n.halted(out.Fault)
			return
		}
		n.carry(out)
		if !n.up {
			return
		}
		n.wakeAt = 0
		if out.WakeAt != 0 {
			n.wakeAt = n.clock.when(out.WakeAt, n.w.now, n.started)
		}
	}
	n.w.held(n, &s)
	if n.w.twins != nil {
		n.w.twins.stepped(n, &s)
	}
	if err := n.replica.Prune(); err != nil {
		n.failed(err)
	}
}

// halted is the end of a process that found a broken invariant.
func (n *node) halted(reason string) {
	n.w.note(n, Entry{Kind: EntryRemark, Text: "halts: " + reason})
	if n.correct() {
		n.w.violate("halt", "node %d: %s", n.index, reason)
	}
	n.stop()
	n.app.crash(true)
	if !n.correct() {
		n.revive()
	}
}

func (n *node) carry(out *consensus.Output) {
	w := n.w
	for i := range out.Send {
		w.send(n, &out.Send[i])
	}
	if out.Build != nil {
		w.queue.push(w.now+w.upTo(w.scenario.Disk.Judge), event{kind: evBuild, node: int32(n.index), life: n.life, build: out.Build})
	}
	for i := range out.Judge {
		j := &out.Judge[i]
		verdict := n.app.judge(j)
		w.queue.push(w.now+w.upTo(w.scenario.Disk.Judge), event{kind: evInput, node: int32(n.index), life: n.life, input: consensus.Judged{Hash: j.Hash, Verdict: verdict}})
	}
	if len(out.Judge) > 0 {
		n.demand() // What is proposed need not be asked for.
	}
	for _, r := range out.Serve {
		if answer := engine.RangeAnswer(n.app.blocks, r); answer != nil {
			w.send(n, &consensus.Send{To: r.Peer, Lane: consensus.LaneSync, Message: answer})
		}
	}
	if len(out.Final) > 0 {
		n.app.deliver(out.Final)
		n.demand()
	}
	for i := range out.Evidence {
		w.accused(n, &out.Evidence[i])
	}
}

// arm makes sure that an alarm is in the queue for when the core wants one.
func (n *node) arm() {
	if !n.up || n.busy || n.wakeAt == 0 || n.tickAt != 0 && n.tickAt <= n.wakeAt {
		return
	}
	n.tickAt = n.wakeAt
	n.w.queue.push(n.wakeAt, event{kind: evTick, node: int32(n.index), life: n.life})
}

// tick is an alarm. A later step may have moved it.
func (n *node) tick() {
	if n.tickAt <= n.w.now {
		n.tickAt = 0
	}
	if n.wakeAt != 0 && n.wakeAt <= n.w.now && !n.busy {
		n.inbox = append(n.inbox, consensus.Tick{})
	}
	n.iterate()
}

// demand tells the core whether the application wants a block, if that has changed.
func (n *node) demand() {
	if at, changed := n.app.wants(); changed {
		n.inbox = append(n.inbox, consensus.Demand{AtUnixMs: at})
	}
}

func (n *node) String() string { return fmt.Sprintf("n%d", n.index) }
