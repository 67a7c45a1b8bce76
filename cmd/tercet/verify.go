package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/spf13/cobra"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/ledger/state"
	"github.com/tercet-chain/tercet/node"
)

// maxProofBytes bounds a file with a proof: 256 slots and a certificate of 1,024 validators have a megabyte.
const maxProofBytes = 16 << 20

func newVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check what a node claims, without trusting it",
		Args:  subcommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newVerifyProof())
	return cmd
}

func newVerifyProof() *cobra.Command {
	var genesisFile, validatorsFile string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "proof FILE",
		Short: "Check a proof of an account and its storage",
		Long: `Proof checks an answer of tercet_getProof, in a file or on standard input (-), without
asking anybody: a quorum of the chain's validators must have signed the block, the
block must have the root of the state, and the root must lead to each value. It prints
what is proven, and refuses (exit code 1) everything else.

Who the validators are comes from the chain's genesis.json, or from an answer of
tercet_validators: take either from somebody whom you trust.`,
		Example: `  tercet verify proof proof.json --genesis genesis.json
  cast rpc tercet_getProof 0x5FbDB2315678afecb367f032d93F642f64180aa3 null '["0x0"]' | tercet verify proof - --genesis genesis.json --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			trust, err := readTrust(genesisFile, validatorsFile)
			if err != nil {
				return err
			}
			raw, err := readLimited(args[0])
			if err != nil {
				return err
			}
			p, err := proven(raw, trust)
			if err != nil {
				return fmt.Errorf("%s proves nothing: %w", args[0], err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), p)
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), p.text())
			return err
		},
	}
	cmd.Flags().StringVar(&genesisFile, "genesis", "", "the chain's genesis.json")
	cmd.Flags().StringVar(&validatorsFile, "validators", "", "`file` with an answer of tercet_validators")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func readLimited(path string) ([]byte, error) {
	var from io.Reader = os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, usage("reading %s: %w", path, err)
		}
		defer func() { _ = f.Close() }() // it was only read
		from = f
	}
	raw, err := io.ReadAll(io.LimitReader(from, maxProofBytes+1))
	if err == nil && len(raw) > maxProofBytes {
		err = fmt.Errorf("more than %d bytes", maxProofBytes)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return raw, nil
}

// strictly decodes JSON without unknown fields, and takes the result out of a whole JSON-RPC answer.
func strictly(raw []byte, out any) error {
	var envelope struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Result  json.RawMessage `json:"result"`
	}
	if decodeStrictly(raw, &envelope) == nil && envelope.Result != nil {
		raw = envelope.Result
	}
	return decodeStrictly(raw, out)
}

func decodeStrictly(raw []byte, out any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(out); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the end")
	}
	return nil
}

// readTrust reads who the validators are.
func readTrust(genesisFile, validatorsFile string) (*state.Trust, error) {
	switch {
	case (genesisFile == "") == (validatorsFile == ""):
		return nil, usage("whose signatures count? name genesis.json with --genesis, or an answer of tercet_validators with --validators")
	case validatorsFile != "":
		raw, err := readLimited(validatorsFile)
		if err != nil {
			return nil, err
		}
		trust, err := parseValidators(raw)
		if err != nil {
			return nil, usage("%s is no answer of tercet_validators: %w", validatorsFile, err)
		}
		return trust, nil
	}
	raw, err := readLimited(genesisFile)
	if err != nil {
		return nil, err
	}
	g, err := ledger.ParseGenesis(raw)
	if err != nil {
		return nil, usage("%s is no genesis file: %w", genesisFile, err)
	}
	hash, err := node.GenesisHash(g)
	if err != nil {
		return nil, err
	}
	return &state.Trust{ChainID: g.ChainID, GenesisHash: hash, Validators: g.ValidatorAddresses(), Quorum: consensus.Quorum(len(g.Validators))}, nil
}

func parseValidators(raw []byte) (*state.Trust, error) {
	var list struct {
		ChainID     uint64      `json:"chainId"`
		GenesisHash common.Hash `json:"genesisHash"`
		SetHash     common.Hash `json:"setHash"`
		Quorum      int         `json:"quorum"`
		Validators  []struct {
			Index   int            `json:"index"`
			Address common.Address `json:"address"`
			PeerID  string         `json:"peerId"`
		} `json:"validators"`
	}
	if err := strictly(raw, &list); err != nil {
		return nil, err
	}
	trust := &state.Trust{ChainID: list.ChainID, GenesisHash: list.GenesisHash, Quorum: consensus.Quorum(len(list.Validators))}
	for _, v := range list.Validators {
		trust.Validators = append(trust.Validators, v.Address)
	}
	if len(trust.Validators) == 0 || ledger.ValidatorSetHash(trust.Validators) != list.SetHash || trust.Quorum != list.Quorum {
		return nil, errors.New("its validators, their hash and the quorum do not fit each other")
	}
	return trust, nil
}

// opened is what an answer of tercet_getProof says about one key.
type opened struct {
	Key    hexutil.Bytes `json:"key"`
	Value  hexutil.Bytes `json:"value"`
	Member *openedKey    `json:"member"`
	Left   *openedKey    `json:"left"`
	Right  *openedKey    `json:"right"`
}

type openedKey struct {
	Key      hexutil.Bytes `json:"key"`
	Value    hexutil.Bytes `json:"value"`
	Siblings []common.Hash `json:"siblings"`
}

func (o *openedKey) opening() *state.Opening {
	if o == nil {
		return nil
	}
	return &state.Opening{Key: o.Key, Value: o.Value, Siblings: o.Siblings}
}

// proofAnswer is an answer of tercet_getProof.
type proofAnswer struct {
	Height      hexutil.Uint64 `json:"height"`
	BlockHash   common.Hash    `json:"blockHash"`
	StateRoot   common.Hash    `json:"stateRoot"`
	Header      hexutil.Bytes  `json:"header"`
	Certificate *hexutil.Bytes `json:"certificate"` // null at the genesis
	Address     common.Address `json:"address"`
	Nonce       hexutil.Uint64 `json:"nonce"`
	Balance     *hexutil.Big   `json:"balance"`
	CodeHash    common.Hash    `json:"codeHash"`
	opened
	Storage []struct {
		Slot common.Hash `json:"slot"`
		opened
	} `json:"storage"`
}

// provenText is what a proof proves.
type provenText struct {
	Block      uint64           `json:"block"`
	BlockHash  common.Hash      `json:"blockHash"`
	StateRoot  common.Hash      `json:"stateRoot"`
	TimeMs     uint64           `json:"timeMs"`
	Signers    []common.Address `json:"signers"` // none for the genesis
	Validators int              `json:"validators"`
	Quorum     int              `json:"quorum"`
	Address    common.Address   `json:"address"`
	Exists     bool             `json:"exists"`
	Nonce      uint64           `json:"nonce"`
	Balance    string           `json:"balance"` // decimal, in wei
	CodeHash   *common.Hash     `json:"codeHash"`
	Storage    []provenSlot     `json:"storage"`
}

type provenSlot struct {
	Slot  common.Hash `json:"slot"`
	Value common.Hash `json:"value"`
}

// proven verifies an answer of tercet_getProof, and that it says what it proves.
func proven(raw []byte, trust *state.Trust) (*provenText, error) {
	var a proofAnswer
	if err := strictly(raw, &a); err != nil {
		return nil, fmt.Errorf("this is no answer of tercet_getProof: %w", err)
	}
	doc := &state.Document{Header: a.Header}
	if a.Certificate != nil {
		doc.Certificate = *a.Certificate
	}
	add := func(o *opened) {
		doc.Proofs = append(doc.Proofs, &state.Proof{
			Height: uint64(a.Height), Key: o.Key, Member: o.Member.opening(), Left: o.Left.opening(), Right: o.Right.opening(),
		})
	}
	add(&a.opened)
	for i := range a.Storage {
		add(&a.Storage[i].opened)
	}
	p, err := doc.Verify(trust)
	if err != nil {
		return nil, err
	}
	h := p.Header()
	if h.Hash() != a.BlockHash || h.Root != a.StateRoot {
		return nil, errors.New("blockHash or stateRoot is not the header's")
	}
	out := &provenText{
		Block: h.Number.Uint64(), BlockHash: h.Hash(), StateRoot: h.Root, Signers: []common.Address{}, Validators: len(trust.Validators),
		Quorum: trust.Quorum, Address: a.Address, Storage: []provenSlot{},
	}
	if out.TimeMs, err = ledger.HeaderTimeMs(h); err != nil {
		return nil, err
	}
	for _, i := range p.Signers() {
		out.Signers = append(out.Signers, trust.Validators[i])
	}
	return out, out.values(&a, p)
}

// values takes what is proven about the account and its slots, and compares it with what the answer says.
func (t *provenText) values(a *proofAnswer, p *state.Proven) error {
	key := ledger.AccountKey(a.Address)
	value, ok := p.Value(key)
	account, err := ledger.DecodeAccount(value)
	if err != nil {
		return err
	}
	if !ok || !bytes.Equal(key, a.Key) || !bytes.Equal(value, a.Value) || account.Nonce != uint64(a.Nonce) || account.CodeHash != a.CodeHash ||
		a.Balance == nil || account.Balance.ToBig().Cmp(a.Balance.ToInt()) != 0 {
		return fmt.Errorf("what it says about %s is not what it proves", a.Address)
	}
	t.Exists, t.Nonce, t.Balance = len(value) > 0, account.Nonce, account.Balance.Dec()
	if account.CodeHash != (common.Hash{}) {
		t.CodeHash = &account.CodeHash
	}
	for i := range a.Storage {
		s := &a.Storage[i]
		key := ledger.StorageKey(a.Address, s.Slot)
		value, ok := p.Value(key)
		if !ok || !bytes.Equal(key, s.Key) || !bytes.Equal(value, s.Value) {
			return fmt.Errorf("what it says about slot %s is not what it proves", s.Slot)
		}
		word := provenSlot{Slot: s.Slot}
		if len(value) > 0 {
			if word.Value, err = ledger.DecodeSlot(value); err != nil {
				return err
			}
		}
		t.Storage = append(t.Storage, word)
	}
	return nil
}

// text is a line for each thing that is proven.
func (t *provenText) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s "+format+"\n", append([]any{name}, args...)...)
	}
	line("block", "%d of %s, %s", t.Block, time.UnixMilli(int64(t.TimeMs)).UTC().Format("2006-01-02T15:04:05.000Z"), t.BlockHash)
	if t.Block == 0 {
		line("signed by", "nobody: it is the genesis")
	} else {
		line("signed by", "%d of %d validators, %d are enough", len(t.Signers), t.Validators, t.Quorum)
	}
	if !t.Exists {
		line("account", "%s, which is empty", t.Address)
	} else {
		line("account", "%s", t.Address)
	}
	line("nonce", "%d", t.Nonce)
	line("balance", "%s wei", t.Balance)
	if t.CodeHash != nil {
		line("code hash", "%s", t.CodeHash)
	}
	for _, s := range t.Storage {
		line("slot", "%s is %s", s.Slot, s.Value)
	}
	return b.String()
}
