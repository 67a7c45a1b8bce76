package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/consensus/engine"
	"github.com/tercet-chain/tercet/consensus/sig"
	"github.com/tercet-chain/tercet/consensus/wal"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

// committee is a set of engines in one process, joined by function calls.
type committee struct {
	t        *testing.T
	keys     []*sig.Key
	members  *consensus.Committee
	genesis  common.Hash
	dir      string
	replicas []*replica
	inboxes  []chan delivery
}

type replica struct {
	*engine.Engine
	net    *link
	app    *application
	log    *wal.WAL
	cancel context.CancelFunc
	ended  chan error
}

// link delivers frames in a goroutine per receiver, as a transport would.
type link struct {
	c    *committee
	from int
	mu   sync.Mutex
	seen []byte // tags of sent frames
	off  bool
}

func (l *link) Send(to int, _ consensus.Lane, frame []byte) {
	l.mu.Lock()
	off := l.off
	l.seen = append(l.seen, frame[0])
	l.mu.Unlock()
	if off {
		return
	}
	for i, inbox := range l.c.inboxes {
		if i != l.from && (to == consensus.Everyone || to == i) {
			select {
			case inbox <- delivery{l.from, bytes.Clone(frame)}:
			default: // The replica is down or slow.
			}
		}
	}
}

type delivery struct {
	from  int
	frame []byte
}

// application orders its own height as payload and remembers what it got.
type application struct {
	mu     sync.Mutex
	chain  []consensus.FinalBlock
	grew   chan struct{} // closed and replaced when chain grows
	engine *engine.Engine
}

func (a *application) Build(req consensus.BuildRequest) (payload, data []byte, ok bool) {
	return binary.BigEndian.AppendUint64(nil, req.Height), []byte("data"), true
}

func (a *application) Judge(req consensus.JudgeRequest) consensus.Verdict {
	switch {
	case string(req.Block.Data) != "data":
		return consensus.Missing
	case binary.BigEndian.Uint64(req.Block.Payload) != req.Block.Header.Height:
		return consensus.Invalid
	}
	return consensus.Valid
}

func (a *application) Deliver(blocks []consensus.FinalBlock) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range blocks {
		if b.Block.Header.Height == uint64(len(a.chain))+1 {
			a.chain = append(a.chain, b)
		}
		if b.Finalization != nil {
			h := b.Block.Header
			a.engine.Executed(consensus.Tip{View: h.View, Height: h.Height, Hash: b.Hash, TimeMs: h.TimeMs, Finalization: b.Finalization})
		}
	}
	close(a.grew)
	a.grew = make(chan struct{})
}

func (a *application) Blocks(from uint64, count, _ int) []consensus.FinalBlock {
	a.mu.Lock()
	defer a.mu.Unlock()
	if from == 0 || from > uint64(len(a.chain)) {
		return nil
	}
	return a.chain[from-1 : min(uint64(len(a.chain)), from-1+uint64(count))]
}

func (a *application) wait(t *testing.T, height int) []consensus.FinalBlock {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		a.mu.Lock()
		chain, grew := a.chain, a.grew
		a.mu.Unlock()
		if len(chain) >= height {
			return chain
		}
		select {
		case <-grew:
		case <-deadline:
			t.Fatalf("height %d after 20 s, want %d", len(chain), height)
		}
	}
}

func newCommittee(t *testing.T, n int) *committee {
	c := &committee{t: t, genesis: crypto.Keccak256Hash([]byte(t.Name())), dir: t.TempDir(), replicas: make([]*replica, n)}
	var addresses []common.Address
	byAddress := map[common.Address]*sig.Key{}
	for range n {
		k, err := sig.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		addresses, byAddress[k.Address()] = append(addresses, k.Address()), k
	}
	var err error
	if c.members, err = consensus.NewCommittee(addresses); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		c.keys = append(c.keys, byAddress[c.members.Address(i)])
		if err := wal.Create(c.logDir(i), wal.Options{Network: c.genesis, SegmentBytes: 1 << 20}); err != nil {
			t.Fatal(err)
		}
		c.inboxes = append(c.inboxes, make(chan delivery, 4096))
		c.open(i, &application{grew: make(chan struct{})}, wal.Options{})
	}
	return c
}

func (c *committee) logDir(i int) string { return filepath.Join(c.dir, string(rune('a'+i)), "wal") }

// open makes replica i from its log and chain; it does not run yet.
func (c *committee) open(i int, app *application, opts wal.Options) {
	opts.Network, opts.SegmentBytes = c.genesis, 1<<20
	log, records, err := wal.Open(c.logDir(i), opts)
	if err != nil {
		c.t.Fatal(err)
	}
	tip := consensus.GenesisTip(c.genesis, 1)
	for _, b := range app.chain {
		if h := b.Block.Header; b.Finalization != nil {
			tip = consensus.Tip{View: h.View, Height: h.Height, Hash: b.Hash, TimeMs: h.TimeMs, Finalization: b.Finalization}
		}
	}
	r := &replica{net: &link{c: c, from: i}, app: app, log: log}
	timing := consensus.DefaultTiming()
	timing.MaxIdle = 20 * time.Millisecond
	r.Engine, err = engine.New(engine.Config{
		Core: consensus.Config{
			Network: c.genesis, Committee: c.members, Signer: c.keys[i], Peers: c.members.Size(),
			Term: 1, MaxBlockBytes: 1 << 20, Timing: timing, Tip: tip, Recovered: records,
		},
		Scheme: sig.NewCache(sig.Secp256k1{}, 1024), Log: log, Network: r.net, App: app,
		OnEvidence: func(e consensus.Evidence) { c.t.Errorf("evidence among honest replicas: %+v", e) },
	})
	if err != nil {
		c.t.Fatal(err)
	}
	app.engine = r.Engine
	c.replicas[i] = r
}

// run starts replica i and its reader.
func (c *committee) run(i int) {
	r := c.replicas[i]
	ctx, cancel := context.WithCancel(c.t.Context())
	r.cancel, r.ended = cancel, make(chan error, 1)
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			select {
			case d := <-c.inboxes[i]:
				if err := r.Receive(d.from, d.frame); err != nil {
					c.t.Errorf("replica %d refuses a frame of %d: %v", i, d.from, err)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	go func() {
		err := r.Run(ctx)
		cancel()
		reader.Wait()
		r.ended <- errors.Join(err, r.log.Close())
	}()
}

func (c *committee) stop(i int) error {
	c.replicas[i].cancel()
	return <-c.replicas[i].ended
}

func TestEngine_finalizes_andRestartsFromItsLog(t *testing.T) {
	c := newCommittee(t, 4)
	for i := range 4 {
		c.run(i)
	}
	for i := range 4 {
		c.replicas[i].app.wait(t, 10)
	}
	if err := c.stop(2); err != nil {
		t.Fatal(err)
	}
	at := len(c.replicas[0].app.wait(t, 20))
	app := c.replicas[2].app
	c.open(2, app, wal.Options{})
	c.run(2)
	want := c.replicas[0].app.wait(t, at+20)
	got := app.wait(t, at+10)
	for h := range min(len(got), len(want)) {
		if got[h].Hash != want[h].Hash {
			t.Fatalf("height %d: %s and %s", h+1, got[h].Hash, want[h].Hash)
		}
	}
	for i := range 4 {
		if err := c.stop(i); err != nil {
			t.Error(err)
		}
	}
}

// failure waits for Run to end, which must be before a height.
func (r *replica) failure(t *testing.T, before int) error {
	t.Helper()
	for {
		r.app.mu.Lock()
		height, grew := len(r.app.chain), r.app.grew
		r.app.mu.Unlock()
		if height >= before {
			t.Fatalf("height %d and still running", height)
		}
		select {
		case err := <-r.ended:
			return err
		case <-grew:
		}
	}
}

func TestIncident05_whenTheLogFails_sendsNothingMore(t *testing.T) {
	c := newCommittee(t, 1)
	if err := c.replicas[0].log.Close(); err != nil {
		t.Fatal(err)
	}
	disk := simdisk.NewFiles(1)
	if err := wal.Create(c.logDir(0), wal.Options{Network: c.genesis, SegmentBytes: 1 << 20, FS: disk}); err != nil {
		t.Fatal(err)
	}
	c.open(0, c.replicas[0].app, wal.Options{FS: disk})
	disk.FailAt(len(disk.Ops())+20, simdisk.Fault{Err: errors.New("input/output error")})
	c.run(0)
	r := c.replicas[0]
	err := r.failure(t, 100)
	if err == nil || !strings.Contains(err.Error(), "stopped voting for good") {
		t.Fatalf("Run ended with %v, want the log's failure", err)
	}
	r.net.mu.Lock()
	before := len(r.net.seen)
	r.net.mu.Unlock()
	r.Demand(1)
	r.net.mu.Lock()
	if got := len(r.net.seen); got != before {
		t.Errorf("%d frames after the failure", got-before)
	}
	r.net.mu.Unlock()
	// What was delivered before is on the disk: the replica goes on from it.
	app := r.app
	height := len(app.chain)
	if height == 0 {
		t.Fatal("nothing was delivered before the failure")
	}
	c.open(0, app, wal.Options{FS: disk.Reboot(simdisk.LoseUnsynced)})
	c.run(0)
	app.wait(t, height+3)
	if err := c.stop(0); err != nil {
		t.Error(err)
	}
}

func TestEngine_Receive_refusesWhatNoHonestPeerSends(t *testing.T) {
	c := newCommittee(t, 4)
	e := c.replicas[0].Engine
	vote := consensus.Vote{Kind: consensus.Notarize, View: 1, Hash: common.Hash{1}, Signer: 1}
	forged := vote
	forged.Sig = c.keys[2].Sign(consensus.Digest(c.genesis, vote.Kind, 0, 1, vote.Hash))
	for name, frame := range map[string][]byte{
		"empty":            {},
		"unknown tag":      {0x3f, 0xc0},
		"garbage":          {2, 0xff, 0xff, 0xff},
		"unsigned vote":    consensus.EncodeMessage(&vote),
		"another's vote":   consensus.EncodeMessage(&forged),
		"absent validator": consensus.EncodeMessage(&consensus.Vote{Kind: consensus.Nullify, View: 1, Signer: 9}),
		"empty cert":       consensus.EncodeMessage(&consensus.Cert{Kind: consensus.Nullify, View: 1}),
		"headless range":   consensus.EncodeMessage(&consensus.BlockResponse{Headers: []*consensus.Header{{}}}),
		"agreeing proof":   consensus.EncodeMessage(&consensus.Evidence{A: vote, B: vote}),
		"proposal":         consensus.EncodeMessage(&consensus.Proposal{}),
	} {
		if err := e.Receive(1, frame); !errors.Is(err, consensus.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
	for i := range 4 {
		if err := c.replicas[i].log.Close(); err != nil {
			t.Error(err)
		}
	}
}
