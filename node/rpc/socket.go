package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxSockets bounds open WebSockets and IPC connections, so that HTTP always finds room among the connections.
	maxSockets = maxConnections / 2
	// maxSocketCalls of a connection are at work at a time; it is not read on meanwhile.
	maxSocketCalls = 16
	// maxNotes and maxNoteBytes are what may wait to be sent to a connection: seconds of a busy chain. Who has more
	// waiting is cut off, because a gap that nobody notices is worse.
	maxNotes     = 4096
	maxNoteBytes = 16 << 20
	// socketWrite is what a peer gets to take a message.
	socketWrite = 10 * time.Second
)

// duplex carries messages both ways. Implementations: webSocket and pipe. Its methods are for one reader, and for any
// number of writers.
type duplex interface {
	// receive returns the next message. Whoever sends too much gets an error, which ends the connection.
	receive(ctx context.Context) ([]byte, error)
	// send sends messages, each of which is its parts in a row. It fails when the peer does not take them within
	// socketWrite.
	send(messages ...[][]byte) error
	// close ends the connection, also for those who wait in the other methods, and may tell the peer why.
	close(why error)
}

// Why a connection ends.
var (
	errTooSlow  = errors.New("you read too slowly: notifications were waiting to be sent")
	errStopping = errors.New("the node stops")
)

// socket is a connection that answers requests and carries subscriptions.
type socket struct {
	s      *Server
	conn   duplex
	nowait bool // ?sendwait=0
	// ctx ends with the connection, whose reason is its cause.
	ctx context.Context //nolint:containedctx // a socket is a context with its goroutines
	end context.CancelCauseFunc

	calls sync.WaitGroup

	// notes are sent in order by one goroutine. The hub fills it and never waits; never closed.
	notes   chan note
	waiting atomic.Int64 // bytes of the notes

	mu   sync.Mutex // guards subs
	subs map[string]*subscription
}

// note is a message in two parts, of which many connections share the second.
type note struct{ head, shared []byte }

// noteTail ends a notification.
var noteTail = []byte("}}\n")

// serveSocket answers a connection until it or ctx ends.
func (s *Server) serveSocket(ctx context.Context, conn duplex, nowait bool) {
	if s.sockets.Add(1) > maxSockets {
		s.sockets.Add(-1)
		conn.close(busy("%d connections are open", maxSockets))
		return
	}
	defer s.sockets.Add(-1)
	k := &socket{s: s, conn: conn, nowait: nowait, notes: make(chan note, maxNotes), subs: make(map[string]*subscription)}
	k.ctx, k.end = context.WithCancelCause(ctx)
	var parts sync.WaitGroup
	parts.Go(k.sendNotes)
	parts.Go(func() {
		<-k.ctx.Done()
		conn.close(context.Cause(k.ctx))
	})
	k.end(k.read())
	k.calls.Wait()
	k.unsubscribeAll()
	parts.Wait()
}

// read takes requests until the connection ends.
func (k *socket) read() error {
	atWork := make(chan struct{}, maxSocketCalls)
	for {
		body, err := k.conn.receive(k.ctx)
		if err != nil {
			return err
		}
		select {
		case atWork <- struct{}{}:
		case <-k.ctx.Done():
			return context.Cause(k.ctx)
		case <-k.s.stopping:
			return errStopping
		}
		k.calls.Go(func() {
			defer func() { <-atWork }()
			k.answer(body)
		})
	}
}

// answer answers a request. It holds its rights until the peer has the answer.
func (k *socket) answer(body []byte) {
	if k.subscribing(body) {
		return
	}
	w := &memory{header: make(http.Header)}
	r, err := http.NewRequestWithContext(k.ctx, http.MethodPost, "/", nil)
	if err != nil {
		panic("rpc: a request without anything in it is refused: " + err.Error())
	}
	r.Header.Set("Content-Type", "application/json")
	k.s.handle(w, r, body, k.nowait, func() {
		if w.body.Len() > 0 {
			k.send([][]byte{w.body.Bytes()})
		}
	})
}

// send sends messages, or ends the connection.
func (k *socket) send(messages ...[][]byte) {
	if k.ctx.Err() != nil {
		return
	}
	if err := k.conn.send(messages...); err != nil {
		k.end(err)
	}
}

// sendNotes sends what the hub has for this connection.
func (k *socket) sendNotes() {
	var batch [][][]byte
	for {
		select {
		case n := <-k.notes:
			batch = append(batch[:0], n.message())
			size := len(n.shared)
			for len(k.notes) > 0 && len(batch) < noteBatch && size < smallBody {
				n := <-k.notes // nobody else takes them
				batch, size = append(batch, n.message()), size+len(n.shared)
			}
			k.send(batch...)
			k.waiting.Add(-int64(size))
		case <-k.ctx.Done():
			return
		}
	}
}

// noteBatch is how many notifications are sent in one system call.
const noteBatch = 256

func (n note) message() [][]byte {
	if n.shared == nil {
		return [][]byte{n.head}
	}
	return [][]byte{n.head, n.shared, noteTail}
}

// note queues a message, or ends a connection that has too much waiting. It never blocks.
func (k *socket) note(n note) {
	if k.waiting.Add(int64(len(n.shared))) <= maxNoteBytes {
		select {
		case k.notes <- n:
			return
		default:
		}
	}
	k.end(errTooSlow)
}

// memory is a response that stays here.
type memory struct {
	header http.Header
	body   bytes.Buffer
}

// Header implements [http.ResponseWriter].
func (m *memory) Header() http.Header { return m.header }

// WriteHeader implements [http.ResponseWriter]; the status says nothing that the answer does not.
func (m *memory) WriteHeader(int) {}

// Write implements [http.ResponseWriter].
func (m *memory) Write(b []byte) (int, error) { return m.body.Write(b) }

// socketCall is a request about subscriptions.
type socketCall struct {
	ID     json.RawMessage   `json:"id"`
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
}

// subscribing answers a request about subscriptions and reports whether it was one. In a batch there is none: its
// answer and the notifications would have no order.
func (k *socket) subscribing(body []byte) bool {
	if !bytes.Contains(body, []byte("subscribe\"")) || isBatch(body) {
		return false
	}
	var c socketCall
	if json.Unmarshal(body, &c) != nil {
		return false // whose complaint is the registry's
	}
	var start func(reply []byte)
	var result any
	var err error
	switch c.Method {
	case "eth_subscribe":
		result, start, err = k.subscribe(c.Params)
	case "tercet_subscribe":
		result, start, err = k.stream(c.Params)
	case "eth_unsubscribe", "tercet_unsubscribe":
		result, err = k.unsubscribe(c.Params)
	default:
		return false
	}
	answer := append(reply(c.ID, result, err), '\n')
	if start != nil {
		start(answer)
	} else {
		k.send([][]byte{answer})
	}
	return true
}

// reply encodes an answer.
func reply(id json.RawMessage, result any, err error) []byte {
	if len(id) == 0 {
		id = json.RawMessage("null")
	}
	out := map[string]any{"jsonrpc": "2.0", "id": id}
	if err == nil {
		out["result"] = result
	} else {
		code := -32000
		var coded interface{ ErrorCode() int }
		if errors.As(err, &coded) {
			code = coded.ErrorCode()
		}
		out["error"] = map[string]any{"code": code, "message": err.Error()}
	}
	encoded, err := json.Marshal(out)
	if err != nil {
		panic("rpc: an answer does not encode: " + err.Error()) // the id is JSON that was decoded
	}
	return encoded
}
