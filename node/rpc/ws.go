package rpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// socketPing is how often a silent WebSocket is asked whether it lives, socketSilence when it is given up.
	socketPing    = 30 * time.Second
	socketSilence = 75 * time.Second
)

// webSocket is a [duplex] over a WebSocket (RFC 6455).
type webSocket struct {
	s    *Server
	conn *websocket.Conn
	stop chan struct{} // closed by close; ends the pings

	writing sync.Mutex // guards writes to the connection
}

// upgrade makes a WebSocket of an HTTP request and serves it.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{
		HandshakeTimeout: socketWrite,
		ReadBufferSize:   4096, WriteBufferSize: 4096,
		CheckOrigin: s.originAllowed,
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the upgrader has answered
	}
	k := &webSocket{s: s, conn: conn, stop: make(chan struct{})}
	alive := func(string) error { return conn.SetReadDeadline(time.Now().Add(socketSilence)) }
	_ = alive("") // as below: a connection that is gone says so when it is read
	conn.SetPongHandler(alive)
	conn.SetPingHandler(func(data string) error { return k.control(websocket.PongMessage, []byte(data)) })
	conn.SetCloseHandler(func(code int, _ string) error {
		return k.control(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""))
	})
	conn.SetReadLimit(int64(s.cfg.MaxBodyBytes))
	go k.ping()
	s.serveSocket(r.Context(), k, r.URL.Query().Get("sendwait") == "0")
}

// originAllowed is what CORS is for HTTP, which browsers do not apply to WebSockets. Programs send no origin.
func (s *Server) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return origin == "" || slices.Contains(s.cfg.CORS, "*") || slices.Contains(s.cfg.CORS, origin)
}

func (k *webSocket) ping() {
	ticker := time.NewTicker(socketPing)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = k.control(websocket.PingMessage, nil) // silence tells
		case <-k.stop:
			return
		}
	}
}

func (k *webSocket) receive(ctx context.Context) ([]byte, error) {
	_, r, err := k.conn.NextReader()
	if err != nil {
		return nil, err
	}
	return k.s.receive(ctx, r)
}

// receive reads a message, of which few large ones are in memory at a time. The reader bounds it.
func (s *Server) receive(ctx context.Context, r io.Reader) ([]byte, error) {
	var body bytes.Buffer
	n, err := body.ReadFrom(io.LimitReader(r, smallBody))
	if err != nil || n < smallBody {
		return body.Bytes(), err
	}
	select {
	case s.body <- struct{}{}:
		defer func() { <-s.body }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	_, err = body.ReadFrom(r)
	return body.Bytes(), err
}

// send writes one frame for each message. [websocket.Conn] only reads: it would write between the frames.
func (k *webSocket) send(messages ...[][]byte) error {
	var out []byte
	for _, parts := range messages {
		size := 0
		for _, part := range parts {
			size += len(part)
		}
		out = appendFrameHead(slices.Grow(out, maxFrameHead+size), websocket.TextMessage, size)
		for _, part := range parts {
			out = append(out, part...)
		}
	}
	return k.write(out)
}

// control sends a control frame.
func (k *webSocket) control(opcode byte, payload []byte) error {
	return k.write(append(appendFrameHead(nil, opcode, len(payload)), payload...))
}

func (k *webSocket) write(frames []byte) error {
	k.writing.Lock()
	defer k.writing.Unlock()
	return k.s.writeInTurn(k.conn.NetConn(), frames)
}

// maxFrameHead is the longest head of a frame that a server sends.
const maxFrameHead = 10

// appendFrameHead appends the head of a final, unmasked frame (RFC 6455, 5.2).
func appendFrameHead(b []byte, opcode byte, size int) []byte {
	const final = 0x80
	b = append(b, final|opcode)
	switch {
	case size < 126:
		return append(b, byte(size))
	case size <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(size))
	default:
		return binary.BigEndian.AppendUint64(append(b, 127), uint64(size))
	}
}

func (k *webSocket) close(why error) {
	close(k.stop)
	code := websocket.CloseGoingAway
	if why == errTooSlow { //nolint:errorlint // the cause of a context is what was given to it
		code = websocket.CloseTryAgainLater
	}
	if k.writing.TryLock() { // else somebody waits for a peer that does not read
		_ = k.conn.NetConn().SetWriteDeadline(time.Now().Add(time.Second)) // as below
		frame := websocket.FormatCloseMessage(code, closeReason(why))
		_, _ = k.conn.NetConn().Write(append(appendFrameHead(nil, websocket.CloseMessage, len(frame)), frame...)) // it may be gone
		k.writing.Unlock()
	}
	_ = k.conn.Close() // it was written to as far as it took it
}

// closeReason is a text for a close frame, whose room is 123 bytes.
func closeReason(why error) string {
	text := ""
	if why != nil {
		text = why.Error()
	}
	return text[:min(len(text), 120)]
}
