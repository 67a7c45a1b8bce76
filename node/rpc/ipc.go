package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
)

// maxSocketPath is what the address of a Unix socket may have on all systems that we know.
const maxSocketPath = 104

// pipe is a [duplex] of JSON values, one after the other, over a local connection.
type pipe struct {
	s    *Server
	conn net.Conn
	in   *json.Decoder
	room *budget

	writing sync.Mutex // guards writes to conn
}

// budget is a reader that ends in an error when it has given more than it may since it was last reset.
type budget struct {
	from io.Reader
	left int
	most int
}

// Read implements [io.Reader].
func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("a request has more than %d bytes", b.most)
	}
	n, err := b.from.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func (s *Server) newPipe(conn net.Conn) *pipe {
	room := &budget{conn, s.cfg.MaxBodyBytes, s.cfg.MaxBodyBytes}
	return &pipe{s: s, conn: conn, in: json.NewDecoder(room), room: room}
}

func (p *pipe) receive(context.Context) ([]byte, error) {
	p.room.left = p.room.most
	var body json.RawMessage
	err := p.in.Decode(&body)
	return body, err
}

func (p *pipe) send(messages ...[][]byte) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	var out []byte
	for _, parts := range messages {
		out = append(out, slices.Concat(parts...)...)
	}
	return p.s.writeInTurn(p.conn, out)
}

func (p *pipe) close(error) { _ = p.conn.Close() } // it was written to as far as it took it

// listenIPC makes the Unix socket, in place of one that a process left which is gone: the home's lock says so. Only
// the user of the process may use it.
func listenIPC(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d are possible: set rpc.ipc to a shorter path, or to \"\"", errLongPath, path, len(path), maxSocketPath)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing the old socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening for JSON-RPC on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("restricting %s: %w", path, err), l.Close())
	}
	return l, nil
}

var errLongPath = errors.New("the path of the Unix socket is too long")

// serveIPC serves connections until the listener is closed.
func (s *Server) serveIPC(ctx context.Context) error {
	for {
		conn, err := s.ipc.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("serving JSON-RPC on %s: %w", s.ipc.Addr(), err)
		}
		s.local.Go(func() { s.serveSocket(ctx, s.newPipe(conn), false) })
	}
}
