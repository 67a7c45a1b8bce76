package rpc

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// socketPing is how often a silent WebSocket is asked whether it lives, socketSilence when it is given up.
	socketPing    = 30 * time.Second
	socketSilence = 75 * time.Second
)

// webSocket is a [duplex] over a WebSocket.
type webSocket struct {
	s    *Server
	conn *websocket.Conn
	stop chan struct{} // closed by close; ends the pings
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
			_ = k.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(socketWrite)) // silence tells
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

func (k *webSocket) send(parts ...[]byte) error {
	if err := k.conn.SetWriteDeadline(time.Now().Add(socketWrite)); err != nil {
		return err
	}
	w, err := k.conn.NextWriter(websocket.TextMessage)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return w.Close()
}

func (k *webSocket) close(why error) {
	close(k.stop)
	code := websocket.CloseGoingAway
	if why == errTooSlow { //nolint:errorlint // the cause of a context is what was given to it
		code = websocket.CloseTryAgainLater
	}
	_ = k.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, closeReason(why)), time.Now().Add(time.Second)) // it may be gone
	_ = k.conn.Close()                                                                                                                 // it was written to as far as it took it
}

// closeReason is a text for a close frame, whose room is 123 bytes.
func closeReason(why error) string {
	text := ""
	if why != nil {
		text = why.Error()
	}
	return text[:min(len(text), 120)]
}
