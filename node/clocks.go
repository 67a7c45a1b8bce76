package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/node/diagnosis"
	"github.com/tercet-chain/tercet/p2p"
)

// Frames with which nodes compare their wall clocks. Consensus does not use the result.
const (
	// frameClockAsk precedes a nonce be64.
	frameClockAsk byte = 0x50
	// frameClockTell precedes the nonce of the question and the sender's wall clock be64, Unix µs.
	frameClockTell byte = 0x51
)

const (
	// clockInterval is how often each peer is asked: a clock that jumps is noticed within a minute, and an
	// idle network carries some bytes more.
	clockInterval = 10 * time.Second
	// clockAnswers is the least time between two answers to one peer.
	clockAnswers = time.Second
	// keptClocks are the latest answers of a peer, of which the one with the shortest round trip counts.
	keptClocks = 3
	// clockTrip is the longest round trip of an answer that counts: it is uncertain by half of it.
	clockTrip = 2 * time.Second
)

// clocks compares this node's wall clock with those of its peers, as NTP does with one question and one
// answer. Its methods are safe for concurrent use.
type clocks struct {
	wall func() time.Time
	send func(peer int, lane consensus.Lane, frame []byte)

	mu    sync.Mutex
	peers []peerClock // guarded by mu; by number in the roster
}

type peerClock struct {
	up       bool
	answered time.Time // when the peer was answered last
	nonce    uint64    // of the open question; 0: none
	asked    time.Time // when it was asked, with the monotonic clock
	at       time.Time // the own wall clock then
	answers  []clockAnswer
}

type clockAnswer struct {
	at           time.Time
	offset, trip time.Duration
}

func newClocks(peers int, wall func() time.Time, send func(int, consensus.Lane, []byte)) *clocks {
	return &clocks{wall: wall, send: send, peers: make([]peerClock, peers)}
}

// run asks every connected peer now and then, until ctx ends.
func (c *clocks) run(ctx context.Context) {
	ticker := time.NewTicker(clockInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for i := range c.peers {
			c.ask(i)
		}
	}
}

// peer notes that a peer came up or went down; one that came up is asked at once.
func (c *clocks) peer(i int, up bool) {
	c.mu.Lock()
	c.peers[i] = peerClock{up: up} // it may be answered again at once: connections that cross replace each other
	c.mu.Unlock()
	c.ask(i)
}

func (c *clocks) ask(i int) {
	c.mu.Lock()
	p := &c.peers[i]
	if !p.up {
		c.mu.Unlock()
		return
	}
	p.nonce, p.asked, p.at = rand.Uint64()|1, time.Now(), c.wall()
	frame := binary.BigEndian.AppendUint64([]byte{frameClockAsk}, p.nonce)
	c.mu.Unlock()
	c.send(i, consensus.LaneVote, frame)
}

// receive takes a clock frame of a peer. The error wraps p2p.ErrInvalid when no honest node sends it, and
// p2p.ErrIgnore when it brings nothing.
func (c *clocks) receive(from int, frame []byte) error {
	now := time.Now()
	switch {
	case len(frame) == 9 && frame[0] == frameClockAsk:
		return c.answer(from, binary.BigEndian.Uint64(frame[1:]), now)
	case len(frame) == 17 && frame[0] == frameClockTell:
		return c.told(from, binary.BigEndian.Uint64(frame[1:]), binary.BigEndian.Uint64(frame[9:]), now)
	}
	return fmt.Errorf("%w: clock frame of %d bytes", p2p.ErrInvalid, len(frame))
}

func (c *clocks) answer(from int, nonce uint64, now time.Time) error {
	c.mu.Lock()
	p := &c.peers[from]
	early := now.Sub(p.answered) < clockAnswers
	if !early {
		p.answered = now
	}
	c.mu.Unlock()
	if early {
		return fmt.Errorf("%w: asked for the time again within %v", p2p.ErrIgnore, clockAnswers)
	}
	frame := binary.BigEndian.AppendUint64([]byte{frameClockTell}, nonce)
	c.send(from, consensus.LaneVote, binary.BigEndian.AppendUint64(frame, uint64(c.wall().UnixMicro())))
	return nil
}

func (c *clocks) told(from int, nonce, micros uint64, now time.Time) error {
	if micros > maxMicros {
		return fmt.Errorf("%w: a clock at %d µs", p2p.ErrInvalid, micros)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &c.peers[from]
	if p.nonce == 0 || p.nonce != nonce {
		return fmt.Errorf("%w: an answer to no question about the time", p2p.ErrIgnore)
	}
	p.nonce = 0
	trip := now.Sub(p.asked)
	if trip > clockTrip {
		return fmt.Errorf("%w: the time after a round trip of %v", p2p.ErrIgnore, trip)
	}
	a := clockAnswer{at: now, offset: time.UnixMicro(int64(micros)).Sub(p.at.Add(trip / 2)), trip: trip}
	p.answers = append([]clockAnswer{a}, p.answers[:min(len(p.answers), keptClocks-1)]...)
	return nil
}

// maxMicros is the year 2200: differences of times up to there fit a time.Duration.
const maxMicros = 7_258_118_400_000_000

// known returns what the clocks of connected peers showed lately.
func (c *clocks) known(names []string) []diagnosis.Clock {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []diagnosis.Clock
	for i := range c.peers {
		var best *clockAnswer
		for k := range c.peers[i].answers {
			a := &c.peers[i].answers[k]
			if now.Sub(a.at) < (keptClocks+1)*clockInterval && (best == nil || a.trip < best.trip) {
				best = a
			}
		}
		if best != nil {
			list = append(list, diagnosis.Clock{Peer: names[i], Offset: best.offset, Error: best.trip / 2})
		}
	}
	return list
}
