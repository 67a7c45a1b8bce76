package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	gethrpc "github.com/ethereum/go-ethereum/rpc"

	"github.com/tercet-chain/tercet/ledger/store"
)

const (
	// maxEvents and maxEventBytes bound one page; a page ends with a block's event at least.
	maxEvents     = 1000
	maxEventBytes = 4 << 20
	// maxStreams are open at a time, each with a goroutine that reads blocks.
	maxStreams = 1024
	// streamSilence is when a stream of events says that it lives.
	streamSilence = 15 * time.Second
)

// The kinds of events, in the order in which a block has them: itself, each transaction followed by its logs, and
// those that were ordered and dropped.
var eventKinds = []string{"block", "transaction", "log", "dropped"}

// position is a place in the chain's events: the next one is the event of this number in the block at this height.
// It is the same on every node, whatever is filtered.
type position struct{ height, index uint64 }

func (p position) String() string { return fmt.Sprintf("%d-%d", p.height, p.index) }

// parsePosition reads what String writes, or a height alone.
func parsePosition(s string) (position, error) {
	h, i, found := strings.Cut(s, "-")
	height, err := strconv.ParseUint(h, 10, 63)
	index := uint64(0)
	if err == nil && found {
		index, err = strconv.ParseUint(i, 10, 63)
	}
	if err != nil {
		return position{}, invalidParams("%q is no cursor: give one that an event had, or a height in decimal", s)
	}
	return position{height, index}, nil
}

// eventQuery is what a client wants to hear of.
type eventQuery struct {
	// From is a cursor; null for what comes from now on.
	From  *string `json:"from"`
	Limit int     `json:"limit"`
	// Types are some of block, transaction, log and dropped; null for all.
	Types   []string    `json:"types"`
	Address oneOrMore   `json:"address"`
	Topics  []oneOrMore `json:"topics"`
}

// eventFilter is a checked query.
type eventFilter struct {
	types []string
	logs  store.LogQuery
	limit int
}

func (s *Server) eventFilter(q *eventQuery) (*eventFilter, position, error) {
	f := &eventFilter{types: eventKinds, limit: maxEvents}
	logs := logQuery{Address: q.Address, Topics: q.Topics}
	if err := logs.check(); err != nil {
		return nil, position{}, err
	}
	f.logs = logs.storeQuery()
	if q.Limit != 0 {
		if q.Limit < 0 || q.Limit > maxEvents {
			return nil, position{}, invalidParams("limit is 1 to %d", maxEvents)
		}
		f.limit = q.Limit
	}
	if q.Types != nil {
		for _, t := range q.Types {
			if !slices.Contains(eventKinds, t) {
				return nil, position{}, invalidParams("there are no events of type %q: there are %s", t, strings.Join(eventKinds, ", "))
			}
		}
		f.types = q.Types
	}
	if q.From == nil {
		return f, position{s.head().Header.Number.Uint64() + 1, 0}, nil
	}
	from, err := parsePosition(*q.From)
	return f, from, err
}

// eventJSON is an event. Cursor is the place behind it, where whoever has seen it goes on.
type eventJSON struct {
	Cursor      string         `json:"cursor"`
	Type        string         `json:"type"`
	BlockNumber hexutil.Uint64 `json:"blockNumber"`
	BlockHash   common.Hash    `json:"blockHash"`
	// Of a block.
	ParentHash   *common.Hash    `json:"parentHash,omitempty"`
	TimestampMs  *hexutil.Uint64 `json:"timestampMs,omitempty"`
	Transactions *hexutil.Uint64 `json:"transactions,omitempty"`
	// Of a transaction, executed or dropped.
	TransactionHash  *common.Hash    `json:"transactionHash,omitempty"`
	TransactionIndex *hexutil.Uint64 `json:"transactionIndex,omitempty"`
	From             *common.Address `json:"from,omitempty"`
	To               *common.Address `json:"to,omitempty"`
	ContractAddress  *common.Address `json:"contractAddress,omitempty"`
	Status           *hexutil.Uint64 `json:"status,omitempty"`
	GasUsed          *hexutil.Uint64 `json:"gasUsed,omitempty"`
	Reason           string          `json:"reason,omitempty"`
	// Of a log.
	Log json.RawMessage `json:"log,omitempty"`
}

// eventsOf lists the events of a block from an index on that pass the filter.
func (f *eventFilter) eventsOf(v *view, from uint64) []*eventJSON {
	var out []*eventJSON
	next := uint64(0)
	number := func(n uint64) *hexutil.Uint64 { return (*hexutil.Uint64)(&n) }
	add := func(kind string, fill func(e *eventJSON)) {
		if next++; next <= from || !slices.Contains(f.types, kind) {
			return
		}
		e := &eventJSON{Cursor: position{v.height, next}.String(), Type: kind, BlockNumber: hexutil.Uint64(v.height), BlockHash: v.hash}
		fill(e)
		out = append(out, e)
	}
	add("block", func(e *eventJSON) {
		head := headJSON(v)
		parent, timeMs := v.block.Header.ParentHash, head.TimestampMs
		e.ParentHash, e.TimestampMs, e.Transactions = &parent, &timeMs, number(uint64(len(v.block.Transactions)))
	})
	for i, tx := range v.block.Transactions {
		r := v.block.Receipts[i]
		hash := tx.Hash()
		add("transaction", func(e *eventJSON) {
			sender := tx.From()
			e.TransactionHash, e.TransactionIndex, e.From, e.To = &hash, number(uint64(i)), &sender, tx.To()
			e.Status, e.GasUsed = number(r.Status), number(r.GasUsed)
			if tx.To() == nil {
				e.ContractAddress = &r.ContractAddress
			}
		})
		for _, l := range r.Logs {
			if !f.logs.Matches(l) {
				next++
				continue
			}
			add("log", func(e *eventJSON) { e.TransactionHash, e.Log = &hash, appendLog(nil, l) })
		}
	}
	for i := range v.block.Drops {
		d := &v.block.Drops[i]
		add("dropped", func(e *eventJSON) { e.TransactionHash, e.Reason = &d.Hash, d.Reason.String() })
	}
	return out
}

// page is the events of blocks up to the head, from a place on.
type page struct {
	Events []*eventJSON `json:"events"`
	// Next is where to go on.
	Next string `json:"next"`
	// Head is the height of the newest block: behind it there is nothing yet.
	Head hexutil.Uint64 `json:"head"`
	next position
}

// eventsFrom returns a page, within the bounds of size and time.
func (s *Server) eventsFrom(ctx context.Context, f *eventFilter, from position) (*page, error) {
	head := s.head().Header.Number.Uint64()
	out := &page{Events: []*eventJSON{}, Head: hexutil.Uint64(head), next: from}
	size, deadline := 0, time.Now().Add(s.cfg.CallTimeout)
	for out.next.height <= head && len(out.Events) < f.limit && size < maxEventBytes && !time.Now().After(deadline) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		v, err := s.blockAt(out.next.height)
		if err != nil {
			return nil, err
		}
		if v == nil {
			return nil, fmt.Errorf("block %d is not here", out.next.height)
		}
		list := f.eventsOf(v, out.next.index)
		out.next = position{v.height + 1, 0}
		for i, e := range list {
			if len(out.Events) == f.limit || size >= maxEventBytes {
				if out.next, err = parsePosition(list[i-1].Cursor); err != nil {
					panic("rpc: a cursor of ours is none: " + err.Error())
				}
				break
			}
			out.Events, size = append(out.Events, e), size+len(e.Log)+400
		}
	}
	out.Next = out.next.String()
	return out, nil
}

// Events returns what happened in final blocks, in order, from a cursor on.
func (t *tercetAPI) Events(ctx context.Context, query *eventQuery) (*page, error) {
	if query == nil {
		query = &eventQuery{}
	}
	f, from, err := t.s.eventFilter(query)
	if err != nil {
		return nil, err
	}
	defer requestOf(ctx).waiting(ctx)()
	slot := t.s.searches.enter(ctx)
	if slot == nil {
		return nil, busy("too many searches at once")
	}
	defer slot.release()
	p, err := t.s.eventsFrom(ctx, f, from)
	if err != nil {
		return nil, err
	}
	return p, requestOf(ctx).answers(ctx, 2*maxEventBytes)
}

// NewEvents is a subscription of WebSockets and IPC: see socket.stream.
func (*tercetAPI) NewEvents(context.Context, eventQuery) (*gethrpc.Subscription, error) {
	return nil, gethrpc.ErrNotificationsUnsupported
}

// follow gives every event from a place on to send, whose pace is that of the reader, until it fails or ctx ends. idle
// is called when nothing happened for a while.
func (s *Server) follow(ctx context.Context, f *eventFilter, from position, send func(*eventJSON) error, idle func() error) error {
	quiet := time.NewTimer(streamSilence)
	defer quiet.Stop()
	for {
		news := s.recent.news() // before the look, so that nothing falls between
		for {
			p, err := s.eventsAgain(ctx, f, from)
			if err != nil {
				return err
			}
			for _, e := range p.Events {
				if err := send(e); err != nil {
					return err
				}
			}
			if from = p.next; from.height > uint64(p.Head) {
				break
			}
		}
		quiet.Reset(streamSilence)
		select {
		case <-news:
		case <-quiet.C:
			if err := idle(); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.stopping:
			return errStopping
		}
	}
}

// eventsAgain is eventsFrom for a follower, who is behind the head again when a development chain went back.
func (s *Server) eventsAgain(ctx context.Context, f *eventFilter, from position) (*page, error) {
	hold := s.developer.hold()
	defer hold.release()
	if behind := s.head().Header.Number.Uint64() + 1; s.developer != nil && from.height > behind {
		from = position{behind, 0}
	}
	return s.eventsFrom(ctx, f, from)
}

// stream is tercet_subscribe: the events from a cursor on, sent at the pace at which the client reads them.
func (k *socket) stream(params []json.RawMessage) (id any, start func(reply []byte), err error) {
	var name string
	if len(params) == 0 || json.Unmarshal(params[0], &name) != nil || name != "newEvents" {
		return nil, nil, invalidParams("subscribe to newEvents")
	}
	var q eventQuery
	if len(params) > 1 {
		if err := json.Unmarshal(params[1], &q); err != nil {
			return nil, nil, invalidParams("invalid argument 1: %v", err)
		}
	}
	f, from, err := k.s.eventFilter(&q)
	if err != nil {
		return nil, nil, err
	}
	if !k.s.openStream() {
		return nil, nil, busy("%d streams of events are open", maxStreams)
	}
	ctx, stop := context.WithCancel(k.ctx)
	sub := &subscription{topic: topics, stop: stop}
	if err := k.register("tercet_subscription", sub); err != nil {
		stop()
		k.s.streams.Add(-1)
		return nil, nil, err
	}
	return sub.id, func(reply []byte) {
		k.send([][]byte{reply})
		k.calls.Go(func() {
			defer k.s.streams.Add(-1)
			err := k.s.follow(ctx, f, from, func(e *eventJSON) error {
				k.send([][]byte{sub.head, encode(e), noteTail})
				return k.ctx.Err()
			}, func() error { return nil })
			if ctx.Err() == nil {
				k.end(err) // who reads on would wait for ever
			}
		})
	}, nil
}

func (s *Server) openStream() bool {
	if s.streams.Add(1) > maxStreams {
		s.streams.Add(-1)
		return false
	}
	return true
}

// serveEvents is GET /events?from=CURSOR&types=block,log&address=0x…&topic0=0x…: server-sent events, whose id is
// the cursor, so that a browser's EventSource goes on by itself where it was.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	q, err := eventQueryOf(r)
	var f *eventFilter
	var from position
	if err == nil {
		f, from, err = s.eventFilter(q)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !s.openStream() {
		http.Error(w, busy("%d streams of events are open", maxStreams).Error(), http.StatusServiceUnavailable)
		return
	}
	defer s.streams.Add(-1)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	control := http.NewResponseController(w)
	write := func(text string) error {
		if err := control.SetWriteDeadline(time.Now().Add(socketWrite)); err != nil {
			return err
		}
		if _, err := w.Write([]byte(text)); err != nil {
			return err
		}
		return control.Flush()
	}
	if write(": events of final blocks; the id of each is where to go on behind it\n\n") != nil {
		return
	}
	_ = s.follow(r.Context(), f, from, func(e *eventJSON) error {
		return write("id: " + e.Cursor + "\nevent: " + e.Type + "\ndata: " + string(encode(e)) + "\n\n")
	}, func() error { return write(": alive\n\n") }) // the client sees the end, and goes on with its last id
}

// eventQueryOf reads the query of a URL. The id that a client had last is where it goes on.
func eventQueryOf(r *http.Request) (*eventQuery, error) {
	values := r.URL.Query()
	q := &eventQuery{}
	from := values.Get("from")
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		from = last
	}
	if from != "" {
		q.From = &from
	}
	if types := values.Get("types"); types != "" {
		q.Types = strings.Split(types, ",")
	}
	hexes := func(text string) (oneOrMore, error) {
		if text == "" {
			return nil, nil
		}
		var out oneOrMore
		err := json.Unmarshal(encode(strings.Split(text, ",")), &out)
		return out, err
	}
	address, err := hexes(values.Get("address"))
	if err != nil {
		return nil, invalidParams("address: %v", err)
	}
	q.Address = address
	for i := range maxTopics {
		topics, err := hexes(values.Get("topic" + strconv.Itoa(i)))
		if err != nil {
			return nil, invalidParams("topic%d: %v", i, err)
		}
		q.Topics = append(q.Topics, topics)
	}
	for n := len(q.Topics); n > 0 && q.Topics[n-1] == nil; n-- {
		q.Topics = q.Topics[:n-1] // a place asks for a topic there, whatever it is
	}
	return q, nil
}
