package rpc

import (
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rlp"
	gethrpc "github.com/ethereum/go-ethereum/rpc"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/state"
	"github.com/tercet-chain/tercet/ledger/store"
)

// validatorsJSON is what a client has to know to verify proofs, if it trusts whom it asks.
type validatorsJSON struct {
	ChainID     uint64          `json:"chainId"`
	GenesisHash common.Hash     `json:"genesisHash"`
	SetHash     common.Hash     `json:"setHash"`
	Quorum      int             `json:"quorum"`
	Validators  []validatorJSON `json:"validators"`
}

type validatorJSON struct {
	Index   int            `json:"index"`
	Address common.Address `json:"address"`
	PeerID  string         `json:"peerId"`
}

// Validators lists those who order and certify, sorted by address.
func (t *tercetAPI) Validators() *validatorsJSON {
	g := t.s.cfg.Genesis
	out := &validatorsJSON{
		ChainID: g.ChainID, GenesisHash: t.s.genesis.hash, SetHash: ledger.ValidatorSetHash(g.ValidatorAddresses()),
		Quorum: consensus.Quorum(len(g.Validators)), Validators: make([]validatorJSON, len(g.Validators)),
	}
	for i, v := range g.Validators {
		out.Validators[i] = validatorJSON{i, v.Address, v.PeerID}
	}
	return out
}

type proofJSON struct {
	Height    hexutil.Uint64 `json:"height"`
	BlockHash common.Hash    `json:"blockHash"`
	StateRoot common.Hash    `json:"stateRoot"`
	// Header is the RLP of the block's header; Certificate, of the same height, signs its hash and state
	// root. Null at the genesis, which needs none.
	Header      hexutil.Bytes  `json:"header"`
	Certificate *hexutil.Bytes `json:"certificate"`

	Address common.Address `json:"address"`
	Nonce   hexutil.Uint64 `json:"nonce"`
	Balance *hexutil.Big   `json:"balance"`
	// CodeHash is keccak256 of a contract's code, zero without code.
	CodeHash common.Hash `json:"codeHash"`
	openedJSON
	Storage []slotProofJSON `json:"storage"`
}

type slotProofJSON struct {
	Slot common.Hash `json:"slot"`
	openedJSON
}

// openedJSON proves what is under a key.
type openedJSON struct {
	// Key and Value are what is proved: the raw key and its stored value, empty if absent.
	Key   hexutil.Bytes `json:"key"`
	Value hexutil.Bytes `json:"value"`
	// Member proves a present key; Left and Right, of which one may be null, an absent one.
	Member *openingJSON `json:"member"`
	Left   *openingJSON `json:"left"`
	Right  *openingJSON `json:"right"`
}

type openingJSON struct {
	Key      hexutil.Bytes `json:"key"`
	Value    hexutil.Bytes `json:"value"`
	Siblings []common.Hash `json:"siblings"` // root first
}

// maxProofSlots bounds the slots of one tercet_getProof: some 1.5 KB each.
const maxProofSlots = 256

// GetProof proves an account and slots of its storage, or their absence, at the newest certified block or
// at the one asked for, together with the certificate: whoever knows the validators needs to trust no one.
func (t *tercetAPI) GetProof(address common.Address, number *gethrpc.BlockNumber, slots *[]string) (*proofJSON, error) {
	s := t.s
	certified := s.head().Certified
	height := certified
	if number != nil && *number >= 0 {
		height = uint64(*number)
	} else if number != nil && *number == gethrpc.EarliestBlockNumber {
		height = 0
	}
	if height > certified {
		return nil, fmt.Errorf("block %d is not certified yet, the newest that is has height %d", height, certified)
	}
	out := &proofJSON{Height: hexutil.Uint64(height), Address: address, Storage: []slotProofJSON{}}
	if slots != nil {
		if len(*slots) > maxProofSlots {
			return nil, invalidParams("%d slots, at most %d are proved at a time", len(*slots), maxProofSlots)
		}
		for _, slot := range *slots {
			key, err := parseSlot(slot)
			if err != nil {
				return nil, err
			}
			out.Storage = append(out.Storage, slotProofJSON{Slot: key})
		}
	}
	if err := t.certificate(out, height, certified); err != nil {
		return nil, err
	}
	header, err := s.header(height)
	if err != nil {
		return nil, err
	}
	if out.Header, err = rlp.EncodeToBytes(header); err != nil {
		return nil, s.broken(fmt.Errorf("encoding header %d: %w", height, err))
	}
	out.BlockHash, out.StateRoot = header.Hash(), header.Root
	return out, t.prove(out, height)
}

func (t *tercetAPI) certificate(out *proofJSON, height, certified uint64) error {
	if height == 0 {
		return nil
	}
	cert, err := t.s.cfg.Store.ExecCert(height)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("block %d has no certificate of its own, ask for block %d, which has", height, certified)
	}
	if err != nil {
		return t.s.broken(fmt.Errorf("reading the certificate of block %d: %w", height, err))
	}
	out.Certificate = (*hexutil.Bytes)(&cert)
	return nil
}

func (t *tercetAPI) prove(out *proofJSON, height uint64) (err error) {
	s := t.s
	if err := s.cfg.Quarantined(); err != nil {
		return err
	}
	if out.openedJSON, err = s.opened(height, ledger.AccountKey(out.Address)); err != nil {
		return err
	}
	account, err := ledger.DecodeAccount(out.Value)
	if err != nil {
		return s.broken(fmt.Errorf("proving %s at block %d: %w", out.Address, height, err))
	}
	out.Nonce, out.Balance, out.CodeHash = hexutil.Uint64(account.Nonce), (*hexutil.Big)(account.Balance.ToBig()), account.CodeHash
	for i := range out.Storage {
		slot := &out.Storage[i]
		if slot.openedJSON, err = s.opened(height, ledger.StorageKey(out.Address, slot.Slot)); err != nil {
			return err
		}
	}
	return nil
}

// opened proves one key.
func (s *Server) opened(height uint64, key []byte) (openedJSON, error) {
	proof, err := s.cfg.State.Prove(height, key)
	if errors.Is(err, state.ErrPruned) {
		return openedJSON{}, s.pruned(height)
	}
	if err != nil {
		return openedJSON{}, s.broken(fmt.Errorf("proving key %x at block %d: %w", key, height, err))
	}
	return openedJSON{proof.Key, proof.Value(), opening(proof.Member), opening(proof.Left), opening(proof.Right)}, nil
}

func opening(o *state.Opening) *openingJSON {
	if o == nil {
		return nil
	}
	return &openingJSON{o.Key, o.Value, o.Siblings}
}
