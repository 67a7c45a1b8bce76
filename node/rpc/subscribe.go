package rpc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	gethrpc "github.com/ethereum/go-ethereum/rpc"

	"github.com/tercet-chain/tercet/ledger/store"
)

// maxSocketSubscriptions of one connection.
const maxSocketSubscriptions = 1024

// topic is what a subscription is to.
type topic uint8

const (
	topicHeads topic = iota
	topicLogs
	topicPending
	topics
)

// subscription is a client's wish to be told.
type subscription struct {
	id     string
	head   []byte // of each of its notifications
	socket *socket
	topic  topic
	query  store.LogQuery // of logs
	full   bool           // whole transactions, not hashes
	next   uint64         // the height that it begins at
	stop   func()         // of a stream
}

// hub tells subscribers. Its lock is held while notifications are queued, which never waits.
type hub struct {
	wake chan struct{} // capacity 1; Executed sends, run receives; a full one already says it

	mu   sync.Mutex
	subs [topics]map[*subscription]struct{} // guarded by mu
	all  int                                // subscriptions, streams included; guarded by mu
	// rewound is the lowest height after which the chain goes on since run looked; guarded by mu. Zero: it did not go back.
	rewound uint64
}

func newHub() *hub {
	h := &hub{wake: make(chan struct{}, 1)}
	for i := range h.subs {
		h.subs[i] = make(map[*subscription]struct{})
	}
	return h
}

// poke says that there is a new head. It never blocks.
func (h *hub) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// rewind says that the chain goes on with a height. It never blocks.
func (h *hub) rewind(next uint64) {
	h.mu.Lock()
	if h.rewound == 0 || next < h.rewound {
		h.rewound = next
	}
	h.mu.Unlock()
	h.poke()
}

// place is where to go on after next, of which the chain may have gone back. It is for run.
func (h *hub) place(next uint64) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rewound == 0 {
		return next
	}
	next = min(next, h.rewound)
	h.rewound = 0
	for i := range h.subs {
		for sub := range h.subs[i] {
			sub.next = min(sub.next, next)
		}
	}
	return next
}

func newID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	return "0x" + hex.EncodeToString(id[:])
}

// register adds a subscription to a connection, within the bounds of both.
func (k *socket) register(method string, sub *subscription) error {
	sub.id, sub.socket = newID(), k
	sub.head = fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"%s","params":{"subscription":"%s","result":`, method, sub.id)
	h := k.s.hub
	h.mu.Lock()
	if h.all >= k.s.cfg.MaxSubscriptions {
		h.mu.Unlock()
		return busy("%d subscriptions are open", k.s.cfg.MaxSubscriptions)
	}
	h.all++
	h.mu.Unlock()
	k.mu.Lock()
	full := len(k.subs) >= maxSocketSubscriptions
	if !full {
		k.subs[sub.id] = sub
	}
	k.mu.Unlock()
	if full {
		k.s.hub.forget(sub)
		return busy("%d subscriptions are open on this connection", maxSocketSubscriptions)
	}
	return nil
}

// begin answers a subscriber, through the queue, and lets it hear of what comes from its height on: nothing is told
// before the answer, and nothing is missed after it.
func (h *hub) begin(sub *subscription, reply []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sub.socket.note(note{head: reply})
	h.subs[sub.topic][sub] = struct{}{}
}

func (h *hub) forget(sub *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all--
	if sub.topic < topics {
		delete(h.subs[sub.topic], sub)
	}
}

// subscribe is eth_subscribe. The subscription begins when start is called with the answer.
func (k *socket) subscribe(params []json.RawMessage) (id any, start func(reply []byte), err error) {
	var name string
	if len(params) == 0 || json.Unmarshal(params[0], &name) != nil {
		return nil, nil, invalidParams("subscribe to newHeads, logs or newPendingTransactions")
	}
	sub := &subscription{next: k.s.head().Header.Number.Uint64() + 1}
	switch name {
	case "newHeads":
		sub.topic = topicHeads
	case "logs":
		sub.topic = topicLogs
		var q logQuery
		if len(params) > 1 {
			if err := json.Unmarshal(params[1], &q); err != nil {
				return nil, nil, invalidParams("invalid argument 1: %v", err)
			}
		}
		if err := q.check(); err != nil {
			return nil, nil, err
		}
		sub.query = q.storeQuery()
	case "newPendingTransactions":
		sub.topic = topicPending
		if len(params) > 1 {
			if err := json.Unmarshal(params[1], &sub.full); err != nil {
				return nil, nil, invalidParams("invalid argument 1: %v", err)
			}
		}
	default:
		return nil, nil, &codedError{-32601, fmt.Sprintf("no %q subscription in eth namespace: there are newHeads, logs and newPendingTransactions", name)}
	}
	if err := k.register("eth_subscription", sub); err != nil {
		return nil, nil, err
	}
	return sub.id, func(reply []byte) { k.s.hub.begin(sub, reply) }, nil
}

// unsubscribe is eth_unsubscribe.
func (k *socket) unsubscribe(params []json.RawMessage) (any, error) {
	var id string
	if len(params) == 0 || json.Unmarshal(params[0], &id) != nil {
		return nil, invalidParams("say which subscription")
	}
	k.mu.Lock()
	sub := k.subs[id]
	delete(k.subs, id)
	k.mu.Unlock()
	if sub == nil {
		return nil, &codedError{-32000, "subscription not found"}
	}
	k.drop(sub)
	return true, nil
}

func (k *socket) drop(sub *subscription) {
	if sub.stop != nil {
		sub.stop()
	}
	k.s.hub.forget(sub)
}

func (k *socket) unsubscribeAll() {
	k.mu.Lock()
	subs := k.subs
	k.subs = nil
	k.mu.Unlock()
	for _, sub := range subs {
		k.drop(sub)
	}
}

// runHub tells the subscribers of every new head and transaction until ctx ends.
func (s *Server) runHub(ctx context.Context) error {
	pending, cancel := s.cfg.Pool.Subscribe()
	defer cancel()
	next := s.head().Header.Number.Uint64() + 1
	_, arrived := s.cfg.Pool.Arrivals(math.MaxUint64)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.hub.wake:
		case <-pending:
			var hashes []common.Hash
			hashes, arrived = s.cfg.Pool.Arrivals(arrived)
			s.tellPending(hashes)
		}
		hold := s.developer.hold()
		next = s.hub.place(next)
		for head := s.head().Header.Number.Uint64(); next <= head; next++ {
			v, err := s.blockAt(next)
			if err != nil || v == nil {
				next = head // the chain jumped, as after a snapshot, or the store fails, of which its reader has told
				break
			}
			s.tellBlock(v)
		}
		hold.release()
	}
}

// listening lists the subscriptions to a topic.
func (h *hub) listening(t topic) []*subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]*subscription, 0, len(h.subs[t]))
	for sub := range h.subs[t] {
		list = append(list, sub)
	}
	return list
}

// tellBlock queues a block's head and logs. What many subscribers get is encoded once.
func (s *Server) tellBlock(v *view) {
	if subs := s.hub.listening(topicHeads); len(subs) > 0 {
		encoded := encode(headJSON(v))
		for _, sub := range subs {
			if v.height >= sub.next {
				sub.socket.note(note{sub.head, encoded})
			}
		}
	}
	subs := s.hub.listening(topicLogs)
	if len(subs) == 0 {
		return
	}
	for _, r := range v.block.Receipts {
		for _, l := range r.Logs {
			var encoded []byte
			for _, sub := range subs {
				if v.height < sub.next || !sub.query.Matches(l) {
					continue
				}
				if encoded == nil {
					encoded = appendLog(nil, l)
				}
				sub.socket.note(note{sub.head, encoded})
			}
		}
	}
}

// tellPending queues the transactions that came into the pool.
func (s *Server) tellPending(hashes []common.Hash) {
	subs := s.hub.listening(topicPending)
	if len(subs) == 0 {
		return
	}
	for _, hash := range hashes {
		short := encode(hash)
		var full []byte
		for _, sub := range subs {
			if !sub.full {
				sub.socket.note(note{sub.head, short})
				continue
			}
			if full == nil {
				tx := s.cfg.Pool.Get(hash)
				if tx == nil {
					break // it is in a block already, or evicted
				}
				full = encode(marshalTransaction(tx, nil))
			}
			sub.socket.note(note{sub.head, full})
		}
	}
}

// headJSON is a block as newHeads has it: its header.
func headJSON(v *view) *headFields {
	b := marshalHeader(v.block.Header)
	hash := v.hash
	b.Hash = &hash
	b.Size = 0
	return &headFields{blockJSON: b}
}

// headFields leaves out what only a whole block has.
type headFields struct {
	*blockJSON
	Size         *struct{} `json:"size,omitempty"`
	Transactions *struct{} `json:"transactions,omitempty"`
	Uncles       *struct{} `json:"uncles,omitempty"`
}

func encode(v any) []byte {
	encoded, err := json.Marshal(v)
	if err != nil {
		panic("rpc: an answer of ours does not encode: " + err.Error())
	}
	return encoded
}

// NewHeads, Logs and NewPendingTransactions are what eth_subscribe subscribes to over WebSockets and IPC, where
// [socket] answers; HTTP has no way to tell.
func (*ethAPI) NewHeads(context.Context) (*gethrpc.Subscription, error) {
	return nil, gethrpc.ErrNotificationsUnsupported
}

// Logs see NewHeads.
func (*ethAPI) Logs(context.Context, logQuery) (*gethrpc.Subscription, error) {
	return nil, gethrpc.ErrNotificationsUnsupported
}

// NewPendingTransactions see NewHeads.
func (*ethAPI) NewPendingTransactions(context.Context, *bool) (*gethrpc.Subscription, error) {
	return nil, gethrpc.ErrNotificationsUnsupported
}
