package host

import (
	"sync"
	"sync/atomic"

	"github.com/tercet-chain/tercet/p2p"
)

// sendQueue holds the frames that wait for one peer, a bounded queue per lane.
// Any goroutine pushes, the peer's writer fills its buffer from it. It lives as
// long as the stream it feeds.
type sendQueue struct {
	// wake is sent to by push and received from by the writer. Capacity 1: a
	// token means that there may be something to write; another is not needed.
	wake  chan struct{}
	drops *atomic.Uint64 // the peer's counter

	mu    sync.Mutex
	lanes [p2p.Lanes]laneQueue // guarded by mu
}

// laneQueue is a ring of frames.
type laneQueue struct {
	frames [][]byte
	head   int
	count  int
	bytes  int
	sent   int // bytes of the first frame that are written
}

// laneBounds bounds what waits for one peer. Frames are shared between the
// queues that hold them, so that a broadcast costs its bytes once.
var laneBounds = [p2p.Lanes]struct{ frames, bytes int }{
	p2p.LaneVote:     {1024, 1 << 20}, // a few views of a hundred validators
	p2p.LaneCert:     {256, 2 << 20},
	p2p.LaneProposal: {64, 12 << 20}, // six full blocks of the default size, three of the largest
	p2p.LaneSync:     {64, 24 << 20}, // three full answers
	p2p.LaneBulk:     {1024, 16 << 20},
}

func newSendQueue(drops *atomic.Uint64) *sendQueue {
	return &sendQueue{wake: make(chan struct{}, 1), drops: drops}
}

// push adds a frame that [p2p.CheckFrame] accepts. When the lane is full, the
// vote lane drops its oldest frames, because newer votes are worth more; the
// others drop the new one and push returns false.
func (q *sendQueue) push(lane p2p.Lane, frame []byte) bool {
	bounds := &laneBounds[lane]
	q.mu.Lock()
	l := &q.lanes[lane]
	for l.count > 0 && (l.count == bounds.frames || l.bytes+len(frame) > bounds.bytes) {
		q.drops.Add(1)
		if lane != p2p.LaneVote {
			q.mu.Unlock()
			return false
		}
		l.pop() // votes fit one chunk: the first is never half sent
	}
	l.add(frame)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return true
}

// fill appends chunks to buf, most urgent first, until it holds at least enough
// bytes or nothing is left, and returns it with the number of frames finished.
func (q *sendQueue) fill(buf []byte, enough int) ([]byte, int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	frames := 0
	for lane := range q.lanes {
		l := &q.lanes[lane]
		for l.count > 0 && len(buf) < enough {
			var n int
			first := l.frames[l.head]
			buf, n = p2p.AppendChunk(buf, p2p.Lane(lane), first, l.sent)
			if l.sent += n; l.sent == len(first) {
				l.pop()
				frames++
			}
		}
	}
	return buf, frames
}

func (l *laneQueue) add(frame []byte) {
	if l.count == len(l.frames) {
		bigger := make([][]byte, max(4, 2*l.count))
		n := copy(bigger, l.frames[l.head:])
		copy(bigger[n:], l.frames[:l.head])
		l.frames, l.head = bigger, 0
	}
	l.frames[(l.head+l.count)%len(l.frames)] = frame
	l.count++
	l.bytes += len(frame)
}

func (l *laneQueue) pop() {
	l.bytes -= len(l.frames[l.head])
	l.frames[l.head] = nil
	l.head = (l.head + 1) % len(l.frames)
	l.count--
	l.sent = 0
}
