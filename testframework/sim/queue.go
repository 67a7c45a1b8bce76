package sim

import (
	"time"

	"github.com/tercet-chain/tercet/consensus"
)

type eventKind uint8

const (
	evDeliver  eventKind = iota + 1 // a packet arrives
	evTick                          // a replica's alarm
	evCarry                         // a sync has ended: its outputs take effect
	evInput                         // an answer of the application
	evBuild                         // the application is to build a block
	evExecuted                      // a group of blocks was executed and synced
	evDemand                        // look again whether a block is wanted
	evGossip                        // repeat pending transactions
	evLink                          // a link notices that it is cut, or heals
	evFault                         // the next fault of the scenario
	evWork                          // the next transaction
	evAct                           // a liar's own initiative
	evResume                        // a paused node goes on
	evStart                         // a node that is down starts again
	evRepeat                        // repeat what has no certificate of execution
)

// event is something that happens at a moment. Which fields matter depends on the kind.
type event struct {
	kind   eventKind
	node   int32
	peer   int32
	life   uint32 // of the process that it is for; stale events are dropped
	packet *packet
	input  consensus.Input
	build  *consensus.BuildRequest
}

// queue is a binary heap of events by time, then by order of insertion.
type queue struct {
	heap []entry
	slab []event
	free []int32
	seq  uint64
}

type entry struct {
	at   time.Duration
	seq  uint64
	slot int32
}

func (e entry) before(o entry) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

func (q *queue) push(at time.Duration, e event) {
	var slot int32
	if n := len(q.free); n > 0 {
		slot = q.free[n-1]
		q.free = q.free[:n-1]
		q.slab[slot] = e
	} else {
		slot = int32(len(q.slab))
		q.slab = append(q.slab, e)
	}
	q.seq++
	q.heap = append(q.heap, entry{at, q.seq, slot})
	i := len(q.heap) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !q.heap[i].before(q.heap[parent]) {
			break
		}
		q.heap[i], q.heap[parent] = q.heap[parent], q.heap[i]
		i = parent
	}
}

// next is the time of the first event.
func (q *queue) next() (time.Duration, bool) {
	if len(q.heap) == 0 {
		return 0, false
	}
	return q.heap[0].at, true
}

func (q *queue) pop() (time.Duration, event) {
	top := q.heap[0]
	e := q.slab[top.slot]
	q.slab[top.slot] = event{}
	q.free = append(q.free, top.slot)
	last := len(q.heap) - 1
	q.heap[0] = q.heap[last]
	q.heap = q.heap[:last]
	i := 0
	for {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && q.heap[child+1].before(q.heap[child]) {
			child++
		}
		if !q.heap[child].before(q.heap[i]) {
			break
		}
		q.heap[i], q.heap[child] = q.heap[child], q.heap[i]
		i = child
	}
	return top.at, e
}
