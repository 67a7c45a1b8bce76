package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	mstream "github.com/multiformats/go-multistream"

	"github.com/tercet-chain/tercet/p2p"
)

// outbound is the stream that we write. It belongs to remote.run.
type outbound struct {
	conn  network.Conn
	queue *sendQueue
}

// inbound is a stream that we read. It belongs to its handler's goroutine.
type inbound struct {
	stream   network.Stream
	software string

	once  sync.Once
	ready chan struct{} // closed by open, at most once, when the peer is up
	gone  chan struct{} // closed by supersede, which is called at most once
}

func (in *inbound) open() { in.once.Do(func() { close(in.ready) }) }

// supersede ends the reader of a stream that a newer one replaces.
func (in *inbound) supersede() {
	close(in.gone)
	_ = in.stream.Reset() // unblocks the reader if it reads
}

// serve opens the stream to the peer and writes until something ends it, which
// it returns.
func (r *remote) serve(ctx context.Context) error {
	c, err := r.dial(ctx)
	if err != nil {
		return err
	}
	s, err := r.open(ctx, c)
	if err != nil {
		_ = c.Close() // begin again with a new connection
		return err
	}
	out := &outbound{conn: c, queue: newSendQueue(&r.counts.queueDrops)}
	r.mu.Lock()
	r.out = out
	r.mu.Unlock()
	r.settle()
	err = r.write(ctx, s, out)
	r.mu.Lock()
	r.out = nil
	r.mu.Unlock()
	r.settle()
	_ = s.Reset()
	_ = c.Close() // the peer opens its stream again, too
	return err
}

// open opens a stream on c and shakes hands.
func (r *remote) open(ctx context.Context, c network.Conn) (network.Stream, error) {
	timeout := r.host.cfg.Limits.HandshakeTimeout
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s, err := c.NewStream(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening a stream: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	theirs, err := r.shake(s, timeout)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = s.Reset()
		return nil, err
	}
	ours := r.host.handshake()
	r.saw(&theirs, time.Now())
	if err := theirs.Check(ours); err != nil {
		_ = s.Reset()
		return nil, err
	}
	return s, nil
}

func (r *remote) shake(s network.Stream, timeout time.Duration) (p2p.Handshake, error) {
	if err := s.SetDeadline(time.Now().Add(timeout)); err != nil {
		return p2p.Handshake{}, fmt.Errorf("opening a stream: %w", err)
	}
	if err := mstream.SelectProtoOrFail(r.host.frames, s); err != nil {
		return p2p.Handshake{}, fmt.Errorf("agreeing on %s: %w", r.host.frames, err)
	}
	if _, err := s.Write(p2p.EncodeHandshake(r.host.handshake())); err != nil {
		return p2p.Handshake{}, fmt.Errorf("writing the handshake: %w", err)
	}
	theirs, err := p2p.ReadHandshake(s)
	if err != nil {
		return theirs, err
	}
	if err := s.SetDeadline(time.Time{}); err != nil {
		return theirs, fmt.Errorf("opening a stream: %w", err)
	}
	return theirs, nil
}

const (
	// writeBytes is how much the writer takes from the queue at a time: enough to
	// send a burst of votes in one TLS record, and what a vote waits for at most
	// before it is next, with the chunk on top.
	writeBytes = 16 << 10
	// idleBuffer is the capacity that a writer without work may keep.
	idleBuffer = 4 << 10
)

var errConnClosed = errors.New("connection closed")

// write moves frames from the queue to the stream until either ends.
func (r *remote) write(ctx context.Context, s network.Stream, out *outbound) error {
	limits := &r.host.cfg.Limits
	var buf []byte
	var deadline time.Time
	last := time.Now()
	idle := time.NewTimer(limits.KeepAlive)
	defer idle.Stop()
	for {
		var frames int
		buf, frames = out.queue.fill(buf[:0], writeBytes)
		if len(buf) == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-out.queue.wake:
				continue
			case <-r.kick:
				if out.conn.IsClosed() {
					return errConnClosed
				}
				continue
			case <-idle.C:
				quiet := time.Since(last)
				if quiet < limits.KeepAlive {
					idle.Reset(limits.KeepAlive - quiet)
					continue
				}
				idle.Reset(limits.KeepAlive)
				if cap(buf) > idleBuffer {
					buf = nil
				}
				buf = p2p.AppendKeepalive(buf)
			}
		}
		last = time.Now()
		// Moving the deadline takes a timer: not for every write.
		if deadline.Sub(last) < limits.WriteTimeout {
			deadline = last.Add(limits.WriteTimeout * 5 / 4)
			if err := s.SetWriteDeadline(deadline); err != nil {
				return fmt.Errorf("writing to peer: %w", err)
			}
		}
		if _, err := s.Write(buf); err != nil {
			return fmt.Errorf("writing to peer: %w", err)
		}
		r.counts.framesOut.Add(uint64(frames))
		r.counts.bytesOut.Add(uint64(len(buf)))
	}
}

// accept handles a frame stream that a peer opened. It runs on the stream's own
// goroutine, which becomes the peer's reader.
func (h *Host) accept(ctx context.Context, s network.Stream) {
	r := h.byPeer[s.Conn().RemotePeer()]
	theirs, err := h.answer(s, r)
	if err == nil {
		err = theirs.Check(h.handshake())
		if errors.Is(err, p2p.ErrNetwork) || errors.Is(err, p2p.ErrVersion) {
			r.failed(err, true)
		}
	}
	if err != nil {
		if errors.Is(err, p2p.ErrInvalid) {
			r.blame(h.cfg.Limits.InvalidFrames, err)
		}
		_ = s.Reset()
		return
	}
	in := &inbound{stream: s, software: theirs.Software, ready: make(chan struct{}), gone: make(chan struct{})}
	r.mu.Lock()
	old := r.in
	r.in = in
	r.mu.Unlock()
	if old != nil {
		old.supersede()
	}
	r.settle()
	err = r.read(ctx, in)
	r.mu.Lock()
	superseded := r.in != in
	if !superseded {
		r.in = nil
	}
	r.mu.Unlock()
	r.settle()
	_ = s.Reset()
	if !superseded {
		r.reached(reachOf(err))
		r.logger.Debug("stream from peer ended", "err", err)
		_ = s.Conn().Close()
	}
}

// answer shakes hands on a stream that a peer opened. Whatever the peer is, it
// learns what we are.
func (h *Host) answer(s network.Stream, r *remote) (p2p.Handshake, error) {
	if err := s.SetDeadline(time.Now().Add(h.cfg.Limits.HandshakeTimeout)); err != nil {
		return p2p.Handshake{}, fmt.Errorf("accepting a stream: %w", err)
	}
	theirs, err := p2p.ReadHandshake(s)
	if err != nil {
		return theirs, err
	}
	r.saw(&theirs, time.Now())
	if _, err := s.Write(p2p.EncodeHandshake(r.answered(time.Now()))); err != nil {
		return theirs, fmt.Errorf("writing the handshake: %w", err)
	}
	if err := s.CloseWrite(); err != nil {
		return theirs, fmt.Errorf("writing the handshake: %w", err)
	}
	return theirs, nil
}

// readBuffer is the size of a reader's buffer: dozens of votes per read; chunks
// of large frames go past it.
const readBuffer = 8 << 10

// read hands the frames of a stream to OnFrame until the stream ends or breaks
// the rules.
func (r *remote) read(ctx context.Context, in *inbound) error {
	limits := &r.host.cfg.Limits
	timer := time.NewTimer(2 * limits.HandshakeTimeout)
	defer timer.Stop()
	select {
	case <-in.ready:
	case <-ctx.Done():
		return ctx.Err()
	case <-in.gone:
		return errors.New("replaced by a newer stream")
	case <-timer.C:
		return errors.New("the stream to the peer does not come up")
	}
	now := time.Now()
	bytes, frames := newBucket(limits.FrameBytes, now), newBucket(limits.Frames, now)
	decoder := p2p.NewDecoder(bufio.NewReaderSize(&watched{stream: in.stream, dead: limits.DeadAfter}, readBuffer))
	for {
		lane, frame, err := decoder.Next()
		if errors.Is(err, p2p.ErrInvalid) {
			r.blame(limits.InvalidFrames, err) // the stream is beyond repair
		}
		if err != nil {
			return err
		}
		now := time.Now()
		r.heard.Store(now.UnixNano())
		if pause := max(frames.take(1, now), bytes.take(len(frame), now)); pause > 0 {
			if err := sleep(ctx, pause); err != nil {
				return err
			}
		}
		if lane == p2p.Keepalive {
			continue
		}
		r.counts.framesIn.Add(1)
		r.counts.bytesIn.Add(uint64(len(frame)))
		if err := r.deliver(lane, frame); err != nil {
			return err
		}
	}
}

// deliver calls OnFrame and returns an error if the peer has to go.
func (r *remote) deliver(lane p2p.Lane, frame []byte) error {
	err := r.host.cfg.OnFrame(r.id, lane, frame)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, p2p.ErrInvalid):
		if r.blame(1, err) {
			return err
		}
	case !errors.Is(err, p2p.ErrIgnore):
		r.logger.Debug("frame not used", "lane", lane.String(), "err", err)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// watched fails a read that waits for dead without a single byte. Time that
// passes between reads does not count: it is we who are slow then.
type watched struct {
	stream   network.Stream
	dead     time.Duration
	deadline time.Time
}

// Read implements [io.Reader].
func (w *watched) Read(p []byte) (int, error) {
	// Moving the deadline takes a timer: not for every read.
	if now := time.Now(); w.deadline.Sub(now) < w.dead {
		w.deadline = now.Add(w.dead * 5 / 4)
		if err := w.stream.SetReadDeadline(w.deadline); err != nil {
			return 0, err
		}
	}
	return w.stream.Read(p)
}

var _ io.Reader = (*watched)(nil)
