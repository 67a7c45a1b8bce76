package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/txpool"
	"github.com/tercet-chain/tercet/p2p"
)

const (
	// gossipBytes and gossipInterval bound how long a transaction waits for company: one message
	// per transaction would cost thirty times as much.
	gossipBytes    = 64 << 10
	gossipInterval = 5 * time.Millisecond
	// gossipQueue is how many accepted transactions may wait to be sent. What does not fit is sent
	// by the repetition.
	gossipQueue = 16384
	// repeatInterval is how often pending transactions that nobody ordered are sent again.
	repeatInterval = 2 * time.Second
	// repeatBytes bounds one repetition.
	repeatBytes = 256 << 10
	// joinDelay is how long after a connection pending transactions are sent again: gossip needs a
	// moment to know the peer.
	joinDelay = 250 * time.Millisecond
	// recoverRate is how many signatures a peer may make this node recover per second, and at once:
	// about one core's worth.
	recoverRate = 25_000
)

// gossipMessage is what travels on the transactions topic.
type gossipMessage struct {
	// Salt tells a repetition apart: messages with one content count as one for a while.
	Salt uint64
	// Txs are encoded transactions.
	Txs [][]byte
}

// gossip passes transactions on to the other nodes, several to a message.
type gossip struct {
	log     *slog.Logger
	genesis *ledger.Genesis
	pool    *txpool.Pool
	publish func(data []byte) error
	now     func() time.Time
	// busy says why no transactions should be accepted, or nil.
	busy func() error
	// in: sent by Submit's callers, received by run, never closed; what finds it full is left to
	// the repetition.
	in chan *ledger.Transaction
	// joined: sent by the host when a peer comes up, received by run; capacity 1, a full channel
	// already says it.
	joined chan struct{}

	mu      sync.Mutex
	buckets map[p2p.PeerID]*bucket // guarded by mu; one per peer of the roster
}

// bucket is a peer's allowance of signature recoveries.
type bucket struct {
	left float64
	at   time.Time
}

func newGossip(log *slog.Logger, g *ledger.Genesis, pool *txpool.Pool, publish func([]byte) error, busy func() error) *gossip {
	return &gossip{
		log: log, genesis: g, pool: pool, publish: publish, now: time.Now, busy: busy,
		in: make(chan *ledger.Transaction, gossipQueue), joined: make(chan struct{}, 1), buckets: make(map[p2p.PeerID]*bucket),
	}
}

// offer queues a transaction that the pool accepted from a client.
func (g *gossip) offer(tx *ledger.Transaction) {
	select {
	case g.in <- tx:
	default:
	}
}

// peerUp arranges that a new peer learns what is pending.
func (g *gossip) peerUp() {
	select {
	case g.joined <- struct{}{}:
	default:
	}
}

// run sends what offer queued: at once when nothing was sent for gossipInterval, otherwise when
// gossipBytes have come together or the interval is over.
func (g *gossip) run(ctx context.Context) {
	repeat := time.NewTicker(repeatInterval)
	defer repeat.Stop()
	join := time.NewTimer(0)
	join.Stop()
	defer join.Stop()
	var before map[common.Hash]struct{}
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.joined:
			join.Reset(joinDelay)
		case <-join.C:
			g.send(g.oldest(), g.salt())
		case <-repeat.C:
			before = g.repeat(before)
		case tx := <-g.in:
			g.send(g.collect(ctx, tx, last.Add(gossipInterval)), 0)
			last = time.Now()
		}
	}
}

// collect gathers a message: what is queued, and what comes until the deadline.
func (g *gossip) collect(ctx context.Context, first *ledger.Transaction, until time.Time) []*ledger.Transaction {
	txs, size := []*ledger.Transaction{first}, first.Size()
	wait := time.NewTimer(time.Until(until))
	defer wait.Stop()
	for size < gossipBytes {
		select {
		case tx := <-g.in:
			txs, size = append(txs, tx), size+tx.Size()
			continue
		default:
		}
		select {
		case tx := <-g.in:
			txs, size = append(txs, tx), size+tx.Size()
		case <-wait.C:
			return txs
		case <-ctx.Done():
			return txs
		}
	}
	return txs
}

// send publishes transactions, in more than one message if they are too large for one.
func (g *gossip) send(txs []*ledger.Transaction, salt uint64) {
	m := gossipMessage{Salt: salt}
	size := 0
	flush := func() {
		if len(m.Txs) == 0 {
			return
		}
		data, err := rlp.EncodeToBytes(&m)
		if err != nil {
			panic("node: a list of byte strings does not encode: " + err.Error())
		}
		if err := g.publish(data); err != nil {
			g.log.Debug("transactions were not published; they are sent again", "transactions", len(m.Txs), "error", err)
		}
		m.Txs, size = nil, 0
	}
	for _, tx := range txs {
		if size > 0 && size+tx.Size() > gossipBytes {
			flush()
		}
		m.Txs, size = append(m.Txs, tx.Raw()), size+tx.Size()
	}
	flush()
}

// repeat sends the longest waiting pending transactions again if they were among those in the
// round before: a node that was alone when it accepted them would otherwise keep them to itself. It
// returns this round's.
func (g *gossip) repeat(before map[common.Hash]struct{}) map[common.Hash]struct{} {
	oldest := g.oldest()
	now := make(map[common.Hash]struct{}, len(oldest))
	var again []*ledger.Transaction
	for _, tx := range oldest {
		now[tx.Hash()] = struct{}{}
		if _, ok := before[tx.Hash()]; ok {
			again = append(again, tx)
		}
	}
	g.send(again, g.salt())
	return now
}

// oldest lists the longest waiting pending transactions: repeatBytes of them, and at least one, however
// large and whatever gas they declare. A replica proposes nothing: what it does not repeat is stuck.
func (g *gossip) oldest() []*ledger.Transaction {
	txs := g.pool.Select(p2p.MaxGossip, math.MaxUint64, nil)
	size := 0
	for i, tx := range txs {
		if size += tx.Size(); i > 0 && size > repeatBytes {
			return txs[:i]
		}
	}
	return txs
}

func (g *gossip) salt() uint64 { return uint64(g.now().UnixMilli()) }

// receive judges a message of the transactions topic and adds what is new to the pool. The error
// wraps p2p.ErrInvalid when no honest node sends such a message, p2p.ErrIgnore when it brings
// nothing. It keeps nothing of data.
func (g *gossip) receive(from p2p.PeerID, data []byte) error {
	raws, err := decodeGossip(data)
	if err != nil {
		return fmt.Errorf("%w: transactions: %w", p2p.ErrInvalid, err)
	}
	unknown := raws[:0]
	for _, raw := range raws {
		if g.pool.Get(crypto.Keccak256Hash(raw)) == nil {
			unknown = append(unknown, bytes.Clone(raw))
		}
	}
	if len(unknown) == 0 {
		return fmt.Errorf("%w: all transactions are known", p2p.ErrIgnore)
	}
	if err := g.busy(); err != nil {
		return fmt.Errorf("%w: %w", p2p.ErrIgnore, err)
	}
	if !g.take(from, len(unknown)) {
		return fmt.Errorf("%w: more transactions per second than a peer may send", p2p.ErrIgnore)
	}
	txs, err := g.decode(unknown)
	if err != nil {
		return fmt.Errorf("%w: %w", p2p.ErrInvalid, err)
	}
	return g.add(txs)
}

// decodeGossip returns the transactions of an encoded [gossipMessage], which share its memory: by hand,
// because a list of empty strings would become 70 times as many bytes before anybody counted it.
func decodeGossip(data []byte) ([][]byte, error) {
	fields, rest, err := rlp.SplitList(data)
	if err != nil {
		return nil, err
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("%d bytes follow the message", len(rest))
	}
	_, list, err := rlp.SplitUint64(fields)
	if err != nil {
		return nil, err
	}
	raws, err := ledger.DecodeData(list)
	if err == nil && len(raws) == 0 {
		err = errors.New("none")
	}
	return raws, err
}

// take charges a peer for signature recoveries.
func (g *gossip) take(from p2p.PeerID, n int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	b := g.buckets[from]
	if b == nil {
		b = &bucket{left: recoverRate, at: now}
		g.buckets[from] = b
	}
	b.left = min(recoverRate, b.left+now.Sub(b.at).Seconds()*recoverRate)
	b.at = now
	if b.left < float64(n) {
		return false
	}
	b.left -= float64(n)
	return true
}

// decode recovers the senders, on all processors.
func (g *gossip) decode(raws [][]byte) ([]*ledger.Transaction, error) {
	txs := make([]*ledger.Transaction, len(raws))
	errs := make([]error, len(raws))
	limits := g.genesis.Limits()
	workers := min(runtime.GOMAXPROCS(0), (len(raws)+3)/4)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(raws); i += workers {
				txs[i], errs[i] = ledger.DecodeTransaction(raws[i], g.genesis.ChainID, limits)
			}
		})
	}
	wg.Wait()
	return txs, errors.Join(errs...)
}

// add puts decoded transactions into the pool. What the pool refuses is nobody's fault: the sender's
// pool may be behind or ahead.
func (g *gossip) add(txs []*ledger.Transaction) error {
	now := g.now()
	added := 0
	var last error
	for _, tx := range txs {
		if err := g.pool.Add(tx, now); err != nil {
			last = err
			continue
		}
		added++
	}
	if added == 0 {
		return fmt.Errorf("%w: %w", p2p.ErrIgnore, last)
	}
	return nil
}
