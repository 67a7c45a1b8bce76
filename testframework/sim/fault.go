package sim

import (
	"fmt"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/wal"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

// plan puts the first fault into the queue; each one plans the next.
func (w *World) plan() {
	if len(w.scenario.Faults) > 0 {
		w.queue.push(w.scenario.Faults[0].At, event{kind: evFault})
	}
}

func (w *World) nextFault() {
	i := w.faults
	w.faults++
	if i+1 < len(w.scenario.Faults) {
		w.queue.push(max(w.now, w.scenario.Faults[i+1].At), event{kind: evFault})
	}
	f := &w.scenario.Faults[i]
	if w.OnEvent != nil || w.Trace != nil {
		w.note(nil, Entry{Kind: EntryFault, Text: f.text(len(w.nodes)), fault: f})
	}
	w.inflict(f)
}

// each calls a function for the node of a fault, or for all.
func (w *World) each(f *Fault, do func(*node)) {
	for i, n := range w.nodes {
		if f.Node == i || f.Node < 0 {
			do(n)
		}
	}
}

// inflict makes a fault happen. Faults that make no sense at the moment, such as starting what runs, do
// nothing, so that leaving some out keeps a scenario meaningful.
func (w *World) inflict(f *Fault) {
	switch f.Kind {
	case Crash, Kill:
		w.each(f, func(n *node) { w.crash(n, f) })
	case Start:
		w.each(f, w.restart)
	case Pause:
		w.each(f, func(n *node) { n.pause(f.For) })
	case Wipe, Forget, Corrupt, Rollback:
		w.each(f, func(n *node) { w.damage(n, f) })
	case Partition, Bridge, Ring, Funnel, OneWay, Heal:
		w.cut(w.severs(f))
	case Clog:
		w.clog(f)
	case Lossy:
		w.net.Loss = float64(f.Count) / 1000
	case Mute:
		w.muted = MessageKind(f.Count)
	case Step:
		w.clockSeen = w.latestClock()
		w.each(f, func(n *node) { n.clock.offset += f.For })
	case Drift:
		w.each(f, func(n *node) { n.drift(f.Count) })
	case FailWrite, FailSync, Full, ShortWrite, PowerOff:
		w.each(f, func(n *node) { w.failDisk(n, f) })
	case SlowDisk:
		w.each(f, func(n *node) { n.slow = w.now + f.For })
	case Twin:
		w.each(f, w.twin)
	case Diverge:
		w.each(f, w.diverge)
	case Rate:
		w.setRate(float64(f.Count) / 1000)
	}
}

func (w *World) crash(n *node, f *Fault) {
	if n.up {
		n.crash(f.Kind == Kill, f.Retention)
		w.diskFaulty[n.index] = f.Kind == Kill && w.diskFaulty[n.index]
	}
}

func (w *World) restart(n *node) {
	if !n.up {
		n.start()
	}
}

// pause stops a process for a while; what is sent to it waits.
func (n *node) pause(d time.Duration) {
	if n.up && n.paused <= n.w.now {
		n.paused = n.w.now + d
		n.w.note(n, Entry{Kind: EntryPause, Until: n.paused})
		n.w.queue.push(n.paused, event{kind: evResume, node: int32(n.index)})
	}
}

func (n *node) resume() {
	if !n.up || n.paused > n.w.now {
		return
	}
	if n.paused != 0 {
		n.paused = 0
		n.w.note(n, Entry{Kind: EntryResume})
	}
	held := n.held
	n.held = nil
	for i := range held {
		if n.up && held[i].life == n.life {
			n.w.process(n, &held[i])
		}
	}
}

// drift changes a clock's speed without making it jump.
func (n *node) drift(ppm int64) {
	now := n.w.now
	n.clock.offset += n.clock.drift(now - n.clock.since)
	n.clock.ppm, n.clock.since = ppm, now
}

// damage takes something from a stopped node's disk; its operator then does what the manual says.
func (w *World) damage(n *node, f *Fault) {
	if n.up || n.liar != nil {
		return
	}
	w.wounded = true
	switch f.Kind {
	case Wipe:
		n.app.store, n.rolledBack = nil, true
		w.check(n.forget())
	case Forget:
		w.check(n.forget())
	case Corrupt:
		w.corruptJournal(n)
	case Rollback:
		n.app.store = n.app.store[:max(0, len(n.app.store)-int(f.Count))]
		n.rolledBack = true
	}
}

func (w *World) check(err error) {
	if err != nil {
		w.fail(fmt.Errorf("the simulation itself failed: %w", err))
	}
}

// severs is which links a fault of the network cuts; it replaces what was cut before.
func (w *World) severs(f *Fault) func(from, to int) bool {
	n := len(w.nodes)
	side := func(i int) bool { return f.Mask>>i&1 != 0 }
	switch f.Kind {
	case Partition:
		return func(from, to int) bool { return side(from) != side(to) }
	case Bridge:
		return func(from, to int) bool { return side(from) != side(to) && from != f.Node && to != f.Node }
	case Ring:
		return func(from, to int) bool { return (from+1)%n != to && (to+1)%n != from }
	case Funnel:
		return func(_, to int) bool { return to != f.Node }
	case OneWay:
		return func(from, to int) bool { return from == f.Node }
	}
	return func(int, int) bool { return false }
}

func (w *World) clog(f *Fault) {
	for to := range w.nodes {
		for from := range w.nodes {
			if from != to && (f.Node < 0 || from == f.Node) {
				w.link(from, to).clogged = w.now + f.For
			}
		}
	}
}

// setRate changes how often transactions come, from now on.
func (w *World) setRate(rate float64) {
	w.rate = rate
	w.shift++
	w.planWork()
}

// failDisk plans a fault of a node's journal some operations ahead.
func (w *World) failDisk(n *node, f *Fault) {
	if n.disk == nil || n.liar != nil {
		return
	}
	plan := simdisk.Fault{Err: simdisk.ErrIO}
	switch f.Kind {
	case Full:
		plan = simdisk.Fault{Err: simdisk.ErrFull, Sticky: true}
	case ShortWrite:
		plan = simdisk.Fault{Short: 100}
	case PowerOff:
		plan = simdisk.Fault{PowerOff: true}
	}
	op := "write"
	if f.Kind == FailSync {
		op = "sync"
	}
	n.disk.FailNext(op, int(f.Count), plan)
	w.diskFaulty[n.index] = true
}

// heal ends all faults: everything runs, every link works, disks are sound.
func (w *World) heal() {
	w.net = w.scenario.Network
	w.net.Loss, w.net.Duplicate, w.net.Reorder = 0, 0, 0
	w.muted = 0
	w.cut(func(int, int) bool { return false })
	for i := range w.links {
		w.links[i].clogged = 0
	}
	w.unite()
	w.clockSeen = w.latestClock() // Blocks carry the times of before.
	for _, n := range w.nodes {
		n.slow = 0
		n.drift(0)
		near := w.scenario.Timing.MaxDrift / 2
		n.clock.offset = min(max(n.clock.offset, -near), near) // As far apart as clocks may be.
		if n.paused > w.now {
			n.paused = w.now
			n.resume()
		}
		if n.disk != nil {
			n.disk.Mend()
		}
		w.diskFaulty[n.index] = false
		if w.absent(n) {
			n.crash(true, simdisk.LoseUnsynced)
			continue
		}
		w.restart(n)
	}
}

// absent reports that a validator stays away for the first half of the second phase: the others have to do
// without. A network with a validator whose memory was lost needs everybody until that one votes again.
func (w *World) absent(n *node) bool {
	liars := 0
	for _, liar := range w.law.Liar {
		if liar {
			liars++
		}
	}
	spare := consensus.Faulty(w.scenario.Validators) - liars
	if w.wounded || len(w.away) >= min(spare, w.scenario.Absent, w.exec.law.Spare()) || !n.validator() || !n.correct() {
		return false
	}
	faulty := len(w.away)
	for _, liar := range w.law.Liar { // Of the scenario, and those whose key ran twice: they may have to halt again.
		if liar {
			faulty++
		}
	}
	if faulty >= consensus.Faulty(w.scenario.Validators) {
		return false
	}
	w.away = append(w.away, n)
	return true
}

// corruptJournal flips a bit of what the journal of a stopped node has synced. Where that is noticed the
// operator gives the journal up; where nothing was written the journal is as good as before.
func (w *World) corruptJournal(n *node) {
	if n.disk == nil {
		return
	}
	names, err := n.disk.List(journalDir)
	if err != nil || len(names) == 0 {
		return
	}
	name := journalDir + "/" + names[w.rng.IntN(len(names))]
	n.disk.Corrupt(name, func(b []byte) []byte {
		used := len(b)
		for used > 0 && b[used-1] == 0 {
			used--
		}
		if used > 0 {
			b[w.rng.IntN(used)] ^= 1 << w.rng.IntN(8)
		}
		return b
	})
	log, _, err := wal.Open(journalDir, n.walOptions())
	if err != nil {
		w.check(n.forget())
		return
	}
	w.check(log.Close())
}
