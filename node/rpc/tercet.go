package rpc

import (
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
	gethrpc "github.com/ethereum/go-ethereum/rpc"

	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/store"
	"github.com/tercet-chain/tercet/node/diagnosis"
)

// Status is what the node says about itself. Numbers are JSON numbers: people read them.
type Status struct {
	// Address of the validator, nil for a replica.
	Validator *common.Address `json:"validator"`
	// Epoch, View and Leader are where consensus is.
	Epoch  uint64         `json:"epoch"`
	View   uint64         `json:"view"`
	Leader common.Address `json:"leader"`
	// Ordered is the height of the newest final block, executed or not.
	Ordered uint64 `json:"ordered"`
	// Peers are connected, of Roster that may be.
	Peers  int `json:"peers"`
	Roster int `json:"roster"`
	// PeerNames are the connected ones.
	PeerNames []string `json:"peerNames"`
	// Syncing is whether the node catches up with Highest, the newest final height that honest peers
	// have stated.
	Syncing bool   `json:"syncing"`
	Highest uint64 `json:"highest"`
	// Evidence is how many proofs tercet_evidence lists.
	Evidence int `json:"evidence"`
	// Transactions were executed by this process.
	Transactions uint64 `json:"transactions"`
	// ClockOffsetMs is by how much the wall clock of consensus was shifted on purpose; 0 outside of tests.
	ClockOffsetMs int64 `json:"clockOffsetMs,omitempty"`
	// Reasons say why the node is not ready, if it is not.
	Reasons []string `json:"reasons"`
	// Diagnosis is for tercet_diagnose.
	Diagnosis Diagnosis `json:"-"`
}

// Diagnosis is what the node finds wrong with itself, and what it takes to compare it with others.
type Diagnosis struct {
	// Name is the node's own in its roster; empty if it is not there.
	Name string `json:"name"`
	// PeerID is the node's, Instance the process's: two that differ in it only have one key.
	PeerID   string `json:"peerId"`
	Instance string `json:"instance"`
	// WallMs is the wall clock by which blocks are judged, Unix ms.
	WallMs   int64               `json:"wallMs"`
	Findings []diagnosis.Finding `json:"findings"`
}

// Evidence proves that a validator signed two votes which no honest one signs both.
type Evidence struct {
	Validator common.Address `json:"validator"`
	Epoch     uint64         `json:"epoch"`
	// View is the later one of the two votes'.
	View uint64 `json:"view"`
	// Kinds, Hashes and Votes are of the two votes in the same order; Votes are frames, which anybody can
	// verify.
	Kinds  []string        `json:"kinds"`
	Hashes []common.Hash   `json:"hashes"`
	Votes  []hexutil.Bytes `json:"votes"`
	// FirstSeen is when this node first had the proof, Unix ms.
	FirstSeen uint64 `json:"firstSeen"`
}

// tercetAPI has the tercet_ methods.
type tercetAPI struct{ s *Server }

// statusJSON is the node's status beside what the server knows itself.
type statusJSON struct {
	Version     string      `json:"version"`
	ChainID     uint64      `json:"chainId"`
	GenesisHash common.Hash `json:"genesisHash"`
	// Development is true where anybody may edit the state.
	Development bool `json:"development,omitempty"`
	// Height, Hash, StateRoot and TimeMs are of the newest executed block.
	Height    uint64      `json:"height"`
	Hash      common.Hash `json:"hash"`
	StateRoot common.Hash `json:"stateRoot"`
	TimeMs    uint64      `json:"timeMs"`
	Certified uint64      `json:"certified"`
	Status
	// Findings are the causes of tercet_diagnose, the worst first.
	Findings []diagnosis.Cause `json:"findings"`
	Pool     poolJSON          `json:"pool"`
}

type poolJSON struct {
	Pending int `json:"pending"`
	Queued  int `json:"queued"`
	Senders int `json:"senders"`
	Bytes   int `json:"bytes"`
}

// Status is what an operator asks first.
func (t *tercetAPI) Status() *statusJSON {
	s := t.s
	head, pool := s.head(), s.cfg.Pool.Stats()
	timeMs, _ := ledger.HeaderTimeMs(head.Header) // the ledger made the header
	out := &statusJSON{
		Version: s.cfg.Version, ChainID: s.cfg.Genesis.ChainID, GenesisHash: s.genesis.hash, Development: s.cfg.Genesis.Development,
		Height: head.Header.Number.Uint64(), Hash: head.Header.Hash(), StateRoot: head.Header.Root, TimeMs: timeMs,
		Certified: head.Certified, Status: s.cfg.Chain.Status(), Pool: poolJSON(pool),
	}
	if out.PeerNames == nil {
		out.PeerNames = []string{}
	}
	if out.Reasons == nil {
		out.Reasons = []string{}
	}
	out.Findings = []diagnosis.Cause{}
	for _, f := range out.Diagnosis.Findings {
		out.Findings = append(out.Findings, f.Cause)
	}
	return out
}

// diagnosisJSON is a diagnosis of a node of a chain.
type diagnosisJSON struct {
	Version     string          `json:"version"`
	GenesisHash common.Hash     `json:"genesisHash"`
	Validator   *common.Address `json:"validator"`
	Height      uint64          `json:"height"`
	Diagnosis
}

// Diagnose is what "tercet doctor" asks.
func (t *tercetAPI) Diagnose() *diagnosisJSON {
	s := t.s
	status := s.cfg.Chain.Status()
	out := &diagnosisJSON{s.cfg.Version, s.genesis.hash, status.Validator, s.head().Header.Number.Uint64(), status.Diagnosis}
	if out.Findings == nil {
		out.Findings = []diagnosis.Finding{}
	}
	return out
}

// Evidence lists what validators did that no honest one does.
func (t *tercetAPI) Evidence() []Evidence {
	if list := t.s.cfg.Chain.Evidence(); list != nil {
		return list
	}
	return []Evidence{}
}

// certJSON is an encoded certificate and the height that it is of.
type certJSON struct {
	Height hexutil.Uint64 `json:"height"`
	Data   hexutil.Bytes  `json:"data"`
}

type finalityJSON struct {
	Height hexutil.Uint64 `json:"height"`
	Hash   common.Hash    `json:"hash"`
	// ConsensusHash is what Finalization signs: the block as it was ordered.
	ConsensusHash common.Hash `json:"consensusHash"`
	// Header is the RLP of the executed header, whose hash Certificate signs.
	Header hexutil.Bytes `json:"header"`
	// Finalization is null while only the node's memory has it; of a descendant if the block was
	// finalized by it.
	Finalization *certJSON `json:"finalization"`
	// Certificate is null until the block is certified; of a descendant if that one was signed.
	Certificate *certJSON `json:"certificate"`
}

// maxCertDistance bounds the search for the certificate that covers a block: validators sign every 50
// ms, and ordering runs at most 200 blocks ahead of them.
const maxCertDistance = 1024

// GetFinality returns the proofs that a block is final: the finalization that ordered it and the
// execution certificate. Null for an unknown block.
func (t *tercetAPI) GetFinality(ref gethrpc.BlockNumberOrHash) (*finalityJSON, error) {
	v, err := t.s.block(ref)
	if err != nil || v == nil {
		return nil, err
	}
	header, err := rlp.EncodeToBytes(v.block.Header)
	if err != nil {
		return nil, t.s.broken(fmt.Errorf("encoding header %d: %w", v.height, err))
	}
	out := &finalityJSON{Height: hexutil.Uint64(v.height), Hash: v.hash, ConsensusHash: v.block.Ordered.Hash, Header: header}
	if v.height == 0 {
		return out, nil // final by definition
	}
	if out.Finalization, err = t.s.covering(v.height, t.s.cfg.Store.Finalization); err != nil {
		return nil, err
	}
	out.Certificate, err = t.s.covering(v.height, t.s.cfg.Store.ExecCert)
	return out, err
}

// covering returns the first certificate at or above a height, nil when there is none yet.
func (s *Server) covering(height uint64, read func(uint64) ([]byte, error)) (*certJSON, error) {
	head := s.head().Header.Number.Uint64()
	for h := height; h <= min(head, height+maxCertDistance); h++ {
		data, err := read(h)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, s.broken(fmt.Errorf("reading a certificate of block %d: %w", h, err))
		}
		return &certJSON{hexutil.Uint64(h), data}, nil
	}
	return nil, nil
}

// TransactionStatus says where a transaction is, and why it is not executed if that is known.
func (t *tercetAPI) TransactionStatus(hash common.Hash) (*transactionStatusJSON, error) {
	s := t.s
	at, found, err := s.transaction(hash)
	if err != nil {
		return nil, err
	}
	if found {
		height := hexutil.Uint64(at.height)
		state := "executed"
		if at.height <= s.head().Certified {
			state = "certified"
		}
		return &transactionStatusJSON{State: state, BlockNumber: &height}, nil
	}
	if tx := s.cfg.Pool.Get(hash); tx != nil {
		out := &transactionStatusJSON{State: "pending"}
		if next := s.cfg.Pool.Nonce(tx.From()); tx.Nonce() > next {
			out.Reason = fmt.Sprintf("waits for the transaction with nonce %d of %s", next, tx.From())
		}
		return out, nil
	}
	position, err := s.cfg.Store.Transaction(hash)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && position.Dropped == 0:
		return &transactionStatusJSON{State: "unknown", Reason: "neither in the pool nor in a block: it was never received, it expired, or it was replaced"}, nil
	case err != nil:
		return nil, s.broken(fmt.Errorf("looking up transaction %s: %w", hash, err))
	}
	height := hexutil.Uint64(position.Height)
	return &transactionStatusJSON{State: "dropped", BlockNumber: &height, Reason: position.Dropped.String()}, nil
}

type transactionStatusJSON struct {
	// State is pending, executed, certified, dropped or unknown.
	State       string          `json:"state"`
	BlockNumber *hexutil.Uint64 `json:"blockNumber"`
	Reason      string          `json:"reason,omitempty"`
}

// header reads the header of an executed block.
func (s *Server) header(height uint64) (*types.Header, error) {
	if height == 0 {
		return s.genesis.block.Header, nil
	}
	if v := s.recent.byHeight(height); v != nil {
		return v.block.Header, nil
	}
	h, err := s.cfg.Store.Header(height)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("header %d not found", height)
	}
	if err != nil {
		return nil, s.broken(fmt.Errorf("reading header %d: %w", height, err))
	}
	return h, nil
}
