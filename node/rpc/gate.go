package rpc

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// maxConnections bounds open connections; more wait in the kernel.
	maxConnections = 4096
	// smallBody is a request that is read without asking: 4,096 connections hold 256 MiB at the worst.
	smallBody = 64 << 10
	// maxLargeBodies may be in memory at once.
	maxLargeBodies = 16
	// smallAnswer is an answer that is given without asking, maxLargeAnswers the others that may be in memory
	// at once, each 60 MB at the worst. A client may take its time to read.
	smallAnswer     = 1 << 20
	maxLargeAnswers = 8
	// queueFactor times MaxConcurrent requests may wait for up to queueTimeout.
	queueFactor  = 16
	queueTimeout = time.Second
)

// gate admits a bounded number of requests to work, and lets a bounded number wait for it.
type gate struct {
	slots   chan struct{} // a value for each request at work
	waiting atomic.Int64
	most    int64
}

// newGate admits n at a time, while at most waiting others may wait.
func newGate(n, waiting int) *gate {
	return &gate{slots: make(chan struct{}, n), most: int64(waiting)}
}

// enter returns a slot, or nil when there is none in time.
func (g *gate) enter(ctx context.Context) *slot {
	select {
	case g.slots <- struct{}{}:
		return &slot{gate: g}
	default:
	}
	if g.waiting.Add(1) > g.most {
		g.waiting.Add(-1)
		return nil
	}
	defer g.waiting.Add(-1)
	timer := time.NewTimer(queueTimeout)
	defer timer.Stop()
	select {
	case g.slots <- struct{}{}:
		return &slot{gate: g}
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// slot is the right to work. A request that only waits gives it back early.
type slot struct {
	gate *gate
	once sync.Once
}

func (s *slot) release() {
	s.once.Do(func() { <-s.gate.slots })
}

// turn is the right of a request to a processor, of which consensus is left one: decoding, answering and
// encoding take it, waiting does not. Without it the handlers of a few clients who ask for much hold all
// processors for 10 ms at a time, and each of the steps between a vote and the next waits for them.
type turn struct {
	gate *gate

	mu   sync.Mutex // guards what follows: an answer that is late is written by another goroutine
	held *slot      // nil while the request waits for something
	over bool       // it will not be taken again
}

// begin waits for a processor. It reports false when there is none in time.
func (t *turn) begin(ctx context.Context) bool {
	t.held = t.gate.enter(ctx)
	return t.held != nil
}

// pause gives the processor back before a wait, and reports whether there was one to give; resume takes it again,
// however long that takes.
func (t *turn) pause() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held == nil {
		return false
	}
	t.held.release()
	t.held = nil
	return true
}

func (t *turn) resume(ctx context.Context) {
	select {
	case t.gate.slots <- struct{}{}:
	case <-ctx.Done(): // nobody waits for the answer
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := (&slot{gate: t.gate}); t.over || t.held != nil {
		s.release()
	} else {
		t.held = s
	}
}

// end gives the processor back for good.
func (t *turn) end() {
	t.pause()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
}

// answering is a response whose request has done its work when it begins to write: clients may read slowly.
type answering struct {
	http.ResponseWriter
	turn *turn
	hold *hold
}

func (a *answering) Write(b []byte) (int, error) {
	a.turn.end()
	a.hold.release()
	return a.ResponseWriter.Write(b)
}

// largeAnswer is the right of a request to an answer of more than [smallAnswer] until it is written. It
// belongs to the goroutine that makes the answer.
type largeAnswer struct {
	gate *gate
	held *slot // nil until it is needed
}

// answers reports whether there is room for an answer of about so many bytes.
func (r request) answers(ctx context.Context, bytes int) error {
	if bytes <= smallAnswer || r.large == nil || r.large.held != nil {
		return nil
	}
	defer r.waiting(ctx)()
	if r.large.held = r.large.gate.enter(ctx); r.large.held == nil {
		return busy("%d answers of more than %d bytes are on their way", maxLargeAnswers, smallAnswer)
	}
	return nil
}

func (l *largeAnswer) release() {
	if l.held != nil {
		l.held.release()
	}
}

// limitListener stops accepting while too many connections are open.
type limitListener struct {
	net.Listener
	free chan struct{} // a value for each open connection
}

func (l *limitListener) Accept() (net.Conn, error) {
	l.free <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &limitedConn{Conn: c, free: l.free}, nil
}

type limitedConn struct {
	net.Conn
	free chan struct{}
	once sync.Once
}

// SyscallConn implements [syscall.Conn].
func (c *limitedConn) SyscallConn() (syscall.RawConn, error) {
	return c.Conn.(syscall.Conn).SyscallConn() // of package net: all have it
}

// writeInTurn writes to a connection within socketWrite. It takes one of the processors of requests for the system call
// only, which does not block, and not for the wait until the peer has read: ten thousand subscribers would otherwise
// keep all of them busy.
func (s *Server) writeInTurn(conn net.Conn, b []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(socketWrite)); err != nil {
		return err
	}
	raw, err := conn.(syscall.Conn).SyscallConn() // of package net, or limitedConn
	if err != nil {
		return err
	}
	var failed error
	err = raw.Write(func(fd uintptr) (done bool) {
		for len(b) > 0 {
			s.processors.slots <- struct{}{}
			n, err := syscall.Write(int(fd), b)
			<-s.processors.slots
			switch {
			case errors.Is(err, syscall.EAGAIN):
				return false // again when there is room
			case err != nil && !errors.Is(err, syscall.EINTR):
				failed = err
				return true
			}
			b = b[max(n, 0):]
		}
		return true
	})
	return errors.Join(err, failed)
}

func (c *limitedConn) Close() error {
	c.once.Do(func() { <-c.free })
	return c.Conn.Close()
}

// closeUnused is a ConnState hook that closes, when ctx ends, the connections which have not carried a
// request: [http.Server.Shutdown] would give each 5 s for its first.
func closeUnused(ctx context.Context) func(net.Conn, http.ConnState) {
	var unused sync.Map // net.Conn → func() bool, which lets it live
	return func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			unused.Store(c, context.AfterFunc(ctx, func() { _ = c.Close() })) // nothing was sent on it
		} else if keep, found := unused.LoadAndDelete(c); found {
			keep.(func() bool)()
		}
	}
}
