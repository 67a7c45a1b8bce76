package pipeline

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
)

// The first byte of the frames that this package sends and receives; consensus owns those below.
const (
	// FrameExecVote precedes an encoded ExecVote.
	FrameExecVote byte = 0x40
	// FrameExecCert precedes an encoded ExecCert.
	FrameExecCert byte = 0x41
	// FrameExecCertRequest precedes be64(height): an observer, which has no vote to repeat, asks
	// for a certificate at or above the height.
	FrameExecCertRequest byte = 0x42
)

const (
	// repeatInterval is how often votes without a certificate are sent again.
	repeatInterval = 500 * time.Millisecond
	// answerInterval is the least time between two certificates sent to one peer in answer.
	answerInterval = repeatInterval / 2
)

// certified is the newest certificate that this node agrees with. Immutable.
type certified struct {
	height uint64
	cert   *ledger.ExecCert
	frame  []byte // FrameExecCert ‖ encoded
}

// certifier signs what this node executed, collects what others sign and keeps the newest
// certificate.
type certifier struct {
	log         *slog.Logger
	store       *store.Store
	network     Network
	signer      consensus.Signer // nil on an observer
	self        uint16           // index of signer
	validators  []common.Address
	setHash     common.Hash
	quorum      int
	chainID     uint64
	genesisHash common.Hash
	every       bool // block is a checkpoint
	// onCertified is called after best has moved, without a lock held.
	onCertified func(height uint64)

	best atomic.Pointer[certified]

	adopting sync.Mutex // one adoption at a time: the store expects one writer of certificates
	mu       sync.Mutex
	tally    *ledger.Tally               // guarded by mu
	own      map[uint64]*ledger.ExecVote // guarded by mu; own votes above the certified height, within ledger.ExecWindow
	answered map[int]time.Time           // guarded by mu; per peer, of which the roster bounds the number
}

func newCertifier(cfg *Config, committee *consensus.Committee) (*certifier, error) {
	c := &certifier{
		log: cfg.Logger, store: cfg.Store, network: cfg.Network, signer: cfg.Signer,
		validators: committee.Addresses(), setHash: committee.Hash(), quorum: committee.Quorum(),
		chainID: cfg.Genesis.ChainID, genesisHash: cfg.Ledger.GenesisHash,
		every: cfg.Genesis.Development,
		tally: ledger.NewTally(committee.Size(), committee.Quorum(), 0, 0), own: make(map[uint64]*ledger.ExecVote),
		answered: make(map[int]time.Time),
	}
	if c.signer != nil {
		i, ok := committee.Index(c.signer.Address())
		if !ok {
			return nil, fmt.Errorf("the key %s is not one of the genesis validators", c.signer.Address())
		}
		c.self = uint16(i)
	}
	return c, nil
}

// newest is the best certificate, nil before the first.
func (c *certifier) newest() *certified { return c.best.Load() }

// height is the certified height, 0 before the first certificate.
func (c *certifier) height() uint64 {
	if b := c.best.Load(); b != nil {
		return b.height
	}
	return 0
}

func (c *certifier) verify(cert *ledger.ExecCert) error {
	return cert.Verify(c.chainID, c.genesisHash, c.validators, c.quorum)
}

// result is what this node states about an executed block.
func (c *certifier) result(epoch uint64, h *types.Header, timeMs uint64) ledger.ExecResult {
	return ledger.ExecResult{
		Epoch: epoch, Height: h.Number.Uint64(), HeaderHash: h.Hash(), StateRoot: h.Root, ReceiptsRoot: h.ReceiptHash,
		TimeMs: timeMs, ValidatorSetHash: c.setHash, PendingSetHash: c.setHash,
	}
}

// restore rebuilds what a stopped process knew, from the stored headers and certificates. It is
// called before anything else, alone.
func (c *certifier) restore(tip uint64) error {
	floor := uint64(0)
	if tip > ledger.ExecWindow {
		floor = tip - ledger.ExecWindow
	}
	var known []*ledger.ExecCert // those of the blocks too: a node in quarantine has stored none that contradicts it
	if height, ok := c.store.ExecCertTip(); ok {
		encoded, err := c.store.ExecCert(height)
		if err != nil {
			return fmt.Errorf("reading the certificate of block %d: %w", height, err)
		}
		cert, err := ledger.DecodeExecCert(encoded)
		if err != nil {
			return fmt.Errorf("stored certificate of block %d: %w", height, err)
		}
		known = append(known, cert)
		floor = max(floor, height)
	}
	parent, err := c.store.Header(floor)
	if err != nil {
		return fmt.Errorf("reading header %d: %w", floor, err)
	}
	c.tally = ledger.NewTally(len(c.validators), c.quorum, floor, headerTimeMs(parent))
	c.tally.Every = c.every
	for h := floor + 1; h <= tip; h++ {
		header, err := c.store.Header(h)
		if err != nil {
			return fmt.Errorf("reading header %d: %w", h, err)
		}
		o, err := c.store.Ordered(h)
		if err != nil {
			return fmt.Errorf("reading block %d: %w", h, err)
		}
		c.note(c.result(o.Epoch, header, o.TimeMs))
		pl, err := ledger.DecodePayload(o.Payload)
		if err != nil {
			return fmt.Errorf("stored block %d: %w", h, err)
		}
		if pl.Cert != nil {
			known = append(known, pl.Cert)
		}
	}
	for _, cert := range known {
		if err := c.learn(cert); err != nil {
			return err
		}
	}
	return nil
}

// note records an own result. The caller holds mu, or is alone.
func (c *certifier) note(r ledger.ExecResult) {
	c.tally.Executed(r)
	if r.Height > ledger.ExecWindow {
		delete(c.own, r.Height-ledger.ExecWindow)
	}
}

// executed takes the blocks of one synced batch: certificates in their payloads are learnt first,
// so that a node which catches up does not sign what everybody knows.
func (c *certifier) executed(done []executed) error {
	c.mu.Lock()
	for i := range done {
		b := done[i].block
		c.note(c.result(b.Ordered.Epoch, b.Header, b.Ordered.TimeMs))
	}
	c.mu.Unlock()
	for i := range done {
		// A quorum voted for the block, so an honest node has verified the certificate.
		if cert := done[i].cert; cert != nil {
			if err := c.learn(cert); err != nil {
				return err
			}
		}
	}
	if err := c.settle(); err != nil {
		return err
	}
	return c.sign()
}

// settle adopts held certificates whose heights are executed by now.
func (c *certifier) settle() error {
	c.mu.Lock()
	cert := c.tally.Due()
	c.mu.Unlock()
	if cert == nil {
		return nil
	}
	return c.learn(cert)
}

// sign makes and broadcasts this node's votes for its checkpoints that lack a certificate.
func (c *certifier) sign() error {
	if c.signer == nil {
		return nil
	}
	var votes []*ledger.ExecVote
	c.mu.Lock()
	for _, r := range c.tally.ToSign() {
		if c.own[r.Height] == nil {
			votes = append(votes, &ledger.ExecVote{ExecResult: r, Signer: c.self})
		}
	}
	c.mu.Unlock()
	for _, v := range votes {
		v.Sig = c.signer.Sign(v.Digest(c.chainID, c.genesisHash))
		c.mu.Lock()
		c.own[v.Height] = v
		c.mu.Unlock()
		c.network.Send(consensus.Everyone, consensus.LaneCert, voteFrame(v))
		if err := c.count(v); err != nil {
			return err
		}
	}
	return nil
}

// count adds a verified vote and adopts the certificate that it may complete.
func (c *certifier) count(v *ledger.ExecVote) error {
	c.mu.Lock()
	cert := c.tally.Add(v)
	c.mu.Unlock()
	if cert == nil {
		return nil
	}
	return c.learn(cert)
}

// learn takes a verified certificate: it is compared with this node's own result, stored and
// published, or held until its height is executed. An error is one of the store.
func (c *certifier) learn(cert *ledger.ExecCert) error {
	c.mu.Lock()
	executed := c.tally.Learn(cert)
	c.mu.Unlock()
	if !executed {
		return nil
	}
	if same, err := c.agrees(cert); err != nil || !same {
		return err
	}
	return c.adopt(cert)
}

// adopt stores and publishes a certificate that agrees with this node.
func (c *certifier) adopt(cert *ledger.ExecCert) error {
	c.adopting.Lock()
	defer c.adopting.Unlock()
	if cert.Height <= c.height() {
		return nil
	}
	encoded := ledger.EncodeExecCert(cert)
	if err := c.store.PutExecCert(cert.Height, encoded); err != nil {
		return fmt.Errorf("storing the certificate of block %d: %w", cert.Height, err)
	}
	c.mu.Lock()
	c.tally.Certify(cert.Height)
	for h := range c.own {
		if h <= cert.Height {
			delete(c.own, h)
		}
	}
	c.mu.Unlock()
	c.best.Store(&certified{height: cert.Height, cert: cert, frame: append([]byte{FrameExecCert}, encoded...)})
	c.onCertified(cert.Height)
	return nil
}

// agrees compares a certificate with the executed block of its height.
func (c *certifier) agrees(cert *ledger.ExecCert) (bool, error) {
	h, err := c.store.Header(cert.Height)
	if err != nil {
		return false, fmt.Errorf("reading header %d: %w", cert.Height, err)
	}
	have := c.result(cert.Epoch, h, headerTimeMs(h))
	c.mu.Lock()
	known := c.tally.Divergence()
	same := c.tally.Agrees(cert, &have)
	found := c.tally.Divergence()
	c.mu.Unlock()
	if found != known {
		c.log.Error("this node executed a block differently than a quorum: it stops signing results; "+
			"keep its data directory, report this, then start it again without state.ldb and index.ldb",
			"height", cert.Height, "own_hash", have.HeaderHash, "certified_hash", cert.HeaderHash,
			"own_state_root", have.StateRoot, "certified_state_root", cert.StateRoot,
			"own_receipts_root", have.ReceiptsRoot, "certified_receipts_root", cert.ReceiptsRoot,
			"own_time_ms", have.TimeMs, "certified_time_ms", cert.TimeMs)
	}
	return same, nil
}

// divergence is the first difference from a certificate, nil while there is none.
func (c *certifier) divergence() *ledger.Divergence {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tally.Divergence()
}

func voteFrame(v *ledger.ExecVote) []byte {
	return append([]byte{FrameExecVote}, ledger.EncodeExecVote(v)...)
}

// receive takes a frame from a peer. Errors that wrap ledger.ErrInvalid are the peer's fault, the
// others are of the store.
func (c *certifier) receive(from int, frame []byte) error {
	body := frame[1:]
	switch frame[0] {
	case FrameExecVote:
		return c.receiveVote(from, body)
	case FrameExecCert:
		return c.receiveCert(body)
	case FrameExecCertRequest:
		if len(body) != 8 {
			return fmt.Errorf("%w: certificate request of %d bytes", ledger.ErrInvalid, len(body))
		}
		c.answer(from, binary.BigEndian.Uint64(body))
		return nil
	}
	return fmt.Errorf("%w: unknown frame %#x", ledger.ErrInvalid, frame[0])
}

func (c *certifier) receiveVote(from int, body []byte) error {
	v, err := ledger.DecodeExecVote(body)
	if err != nil {
		return err
	}
	c.mu.Lock()
	wanted := c.tally.Wants(v)
	c.mu.Unlock()
	if !wanted {
		c.answer(from, v.Height)
		return nil
	}
	if err := v.Verify(c.chainID, c.genesisHash, c.validators); err != nil {
		return err
	}
	return c.count(v)
}

func (c *certifier) receiveCert(body []byte) error {
	cert, err := ledger.DecodeExecCert(body)
	if err != nil {
		return err
	}
	c.mu.Lock()
	useful := c.tally.WantsCert(cert.Height)
	c.mu.Unlock()
	if !useful {
		return nil
	}
	if err := c.verify(cert); err != nil {
		return err
	}
	return c.learn(cert)
}

// answer sends the best certificate to a peer that seems to lack it.
func (c *certifier) answer(to int, height uint64) {
	best := c.newest()
	if best == nil || best.height < height {
		return
	}
	now := time.Now()
	c.mu.Lock()
	recent := now.Sub(c.answered[to]) < answerInterval
	if !recent {
		c.answered[to] = now
	}
	c.mu.Unlock()
	if !recent {
		c.network.Send(to, consensus.LaneCert, best.frame)
	}
}

// run sends again what has no certificate, until ctx ends.
func (c *certifier) run(ctx context.Context) {
	// What a stopped process had signed is signed again, to the same bytes. An error is one of the
	// store, which latches it: the executor finds it at its next commit.
	_ = c.sign()
	ticker := time.NewTicker(repeatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, frame := range c.repeats() {
			c.network.Send(consensus.Everyone, consensus.LaneCert, frame)
		}
	}
}

// repeats lists what to send again: the newest own votes, or an observer's request.
func (c *certifier) repeats() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.signer == nil {
		lacking, ok := c.tally.Lacking()
		if !ok {
			return nil
		}
		return [][]byte{binary.BigEndian.AppendUint64([]byte{FrameExecCertRequest}, lacking)}
	}
	var frames [][]byte
	for _, h := range c.tally.ToRepeat() {
		if v := c.own[h]; v != nil {
			frames = append(frames, voteFrame(v))
		}
	}
	return frames
}
