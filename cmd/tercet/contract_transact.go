package main

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/spf13/cobra"
)

const (
	// receiptInterval separates questions for a receipt.
	receiptInterval = 25 * time.Millisecond
	// whyInterval separates questions for what a transaction waits for.
	whyInterval = time.Second
	// gasMargin is what a transaction may use more than was estimated, as a part of it: others may change the
	// state before it is executed, and what is left over costs nothing.
	gasMargin = 4
	// codeReverted is the JSON-RPC code of a call that reverted.
	codeReverted = 3
)

// chain is a node that is asked about its chain, by a command that has so much patience.
type chain struct {
	rpc     string
	timeout time.Duration
}

func (c *chain) add(cmd *cobra.Command) {
	rpcFlag(cmd, &c.rpc)
	cmd.Flags().DurationVar(&c.timeout, "timeout", 30*time.Second, "how long to wait for the node")
}

func (c *chain) ask(ctx context.Context, out any, method string, params ...any) error {
	return unreachable(askRPC(ctx, c.rpc, method, out, params))
}

// message is a call or transaction before it is signed.
type message struct {
	from  common.Address
	to    *common.Address // nil to create a contract
	data  []byte
	value *big.Int        // in wei
	gas   uint64          // 0 to have it estimated
	nonce *hexutil.Uint64 // nil for the next one
	fee   *big.Int        // offered for a unit of gas; nil for none
}

// object is the message as JSON-RPC writes it.
func (m *message) object() map[string]any {
	o := map[string]any{"from": m.from, "input": hexutil.Bytes(m.data), "value": (*hexutil.Big)(m.value)}
	if m.to != nil {
		o["to"] = m.to
	}
	if m.gas != 0 {
		o["gas"] = hexutil.Uint64(m.gas)
	}
	return o
}

// revertError is a call or transaction that reverted.
type revertError struct {
	data   []byte
	reason string
}

func (e *revertError) Error() string { return "reverted: " + e.reason }

func isRevert(err error) bool {
	_, ok := errors.AsType[*revertError](err)
	return ok
}

// explain makes a *revertError of what a node answered about a call that reverted.
func explain(entries contractABI, err error) error {
	answered, ok := errors.AsType[*rpcError](err)
	if !ok || answered.Code != codeReverted {
		return err
	}
	var data hexutil.Bytes
	if json.Unmarshal(answered.Data, &data) != nil {
		data = nil // a node that gives no data gives a message
	}
	reason := revertReason(entries, data)
	if len(data) == 0 {
		if text, ok := strings.CutPrefix(answered.Message, "execution reverted: "); ok {
			reason = printable(text)
		}
	}
	return &revertError{data, reason}
}

// transact signs a message, sends it and waits for its receipt. Without a gas limit it sets one.
func (c *chain) transact(ctx context.Context, key *ecdsa.PrivateKey, m *message, entries contractABI) (*types.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	tx, err := c.sign(ctx, key, m, entries)
	if err != nil {
		return nil, err
	}
	if err := c.submit(ctx, tx, m.from); err != nil {
		return nil, err
	}
	return c.receipt(ctx, tx.Hash())
}

// sign makes a transaction of a message. Without a gas limit or a nonce it asks the node for one.
func (c *chain) sign(ctx context.Context, key *ecdsa.PrivateKey, m *message, entries contractABI) (*types.Transaction, error) {
	var chainID hexutil.Uint64
	if err := c.ask(ctx, &chainID, "eth_chainId"); err != nil {
		return nil, err
	}
	if m.nonce == nil {
		m.nonce = new(hexutil.Uint64)
		if err := c.ask(ctx, m.nonce, "eth_getTransactionCount", m.from, "pending"); err != nil {
			return nil, err
		}
	}
	if m.gas == 0 {
		var estimate hexutil.Uint64
		if err := c.ask(ctx, &estimate, "eth_estimateGas", m.object()); err != nil {
			if err = explain(entries, err); isRevert(err) {
				err = fmt.Errorf("nothing was sent: the transaction would have %w", err)
			}
			return nil, err
		}
		m.gas = uint64(estimate) + uint64(estimate)/gasMargin
	}
	fee := new(big.Int) // gas is free
	if m.fee != nil {
		fee = m.fee
	}
	id := new(big.Int).SetUint64(uint64(chainID))
	tx, err := types.SignNewTx(key, types.LatestSignerForChainID(id), &types.DynamicFeeTx{
		ChainID: id, Nonce: uint64(*m.nonce), Gas: m.gas, To: m.to, Value: m.value, Data: m.data,
		GasTipCap: fee, GasFeeCap: fee,
	})
	if err != nil {
		return nil, fmt.Errorf("signing the transaction: %w", err)
	}
	return tx, nil
}

// submit sends a signed transaction.
func (c *chain) submit(ctx context.Context, tx *types.Transaction, from common.Address) error {
	raw, err := tx.MarshalBinary()
	if err != nil {
		return fmt.Errorf("encoding the transaction: %w", err)
	}
	progress("sending transaction %s from %s", tx.Hash(), from)
	var hash common.Hash
	return c.ask(ctx, &hash, "eth_sendRawTransaction", hexutil.Bytes(raw))
}

// receipt waits until a transaction is executed, which is final, and says on the way what it waits for.
func (c *chain) receipt(ctx context.Context, hash common.Hash) (*types.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var receipt *types.Receipt
	var reason why
	next := time.Now().Add(whyInterval)
	err := poll(ctx, receiptInterval, c.timeout, func() (bool, error) {
		err := c.ask(ctx, &receipt, "eth_getTransactionReceipt", hash)
		if err != nil || receipt != nil || time.Now().Before(next) {
			return receipt != nil, err
		}
		next = time.Now().Add(whyInterval)
		var is why // a node of another kind has no answer, which changes nothing
		if c.ask(ctx, &is, "tercet_whyNotIncluded", hash) == nil && is.Code != reason.Code {
			reason = is
			progress("waiting: %s", printable(is.Message))
		}
		return false, nil
	})
	if !errors.Is(err, errTimeout) && !errors.Is(err, context.DeadlineExceeded) {
		return receipt, err
	}
	return nil, notReady("transaction %s is not executed after %s: it may still be; see \"tercet tx why %s --rpc %s\"", hash, c.timeout, hash, c.rpc)
}

// whyReverted runs a message that reverted again, on the state before its block.
func (c *chain) whyReverted(ctx context.Context, m *message, entries contractABI, receipt *types.Receipt) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if receipt.GasUsed == m.gas {
		return &revertError{reason: fmt.Sprintf("it used all of its %d gas: allow more with --gas, or look for a trap", m.gas)}
	}
	var result hexutil.Bytes
	before := hexutil.EncodeBig(new(big.Int).Sub(receipt.BlockNumber, big.NewInt(1)))
	err := explain(entries, c.ask(ctx, &result, "eth_call", m.object(), before))
	if reverted, ok := errors.AsType[*revertError](err); ok {
		return reverted
	}
	return &revertError{reason: "the state that it found is gone, so the reason is not known: call it again to see"}
}

// amount reads an amount of wei: 5, 0.5ether or 30gwei.
func amount(text string) (*big.Int, error) {
	digits, decimals := text, 0
	for _, unit := range []struct {
		name     string
		decimals int
	}{{"gwei", 9}, {"ether", 18}, {"wei", 0}} {
		if rest, ok := strings.CutSuffix(text, unit.name); ok {
			digits, decimals = strings.TrimSpace(rest), unit.decimals
			break
		}
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	n, ok := new(big.Int).SetString(whole+fraction+strings.Repeat("0", max(decimals-len(fraction), 0)), 10)
	if !ok || whole == "" || len(digits) > 100 || len(fraction) > decimals || n.Sign() < 0 || n.BitLen() > 256 || strings.ContainsAny(digits, "+-_") {
		return nil, usage("--value %s: write an amount like 5, 0.5ether or 30gwei", text)
	}
	return n, nil
}

// sent is the outcome of a transaction, for printing.
type sent struct {
	Transaction string       `json:"transaction"`
	From        string       `json:"from"`
	To          string       `json:"to,omitempty"`
	Contract    string       `json:"contract,omitempty"` // that was created
	Status      uint64       `json:"status"`             // 1: it did what it should
	Block       uint64       `json:"block"`
	GasUsed     uint64       `json:"gasUsed"`
	Activation  *uint64      `json:"activationGas,omitempty"` // of a creation, in gasUsed; 0 if the chain had the same code already
	Revert      string       `json:"revert,omitempty"`
	Logs        []decodedLog `json:"logs"`
}

func outcome(m *message, r *types.Receipt, entries contractABI) sent {
	s := sent{
		Transaction: r.TxHash.Hex(), From: m.from.Hex(), Status: r.Status, GasUsed: r.GasUsed,
		Block: r.BlockNumber.Uint64(), Logs: decodeLogs(entries, r.Logs),
	}
	if m.to != nil {
		s.To = m.to.Hex()
	} else if r.Status == types.ReceiptStatusSuccessful {
		s.Contract = r.ContractAddress.Hex()
	}
	return s
}

// text is a line for each thing to know.
func (s *sent) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s "+format+"\n", append([]any{name}, args...)...)
	}
	if s.Contract != "" {
		line("contract", "%s", s.Contract)
	}
	line("transaction", "%s", s.Transaction)
	if s.Status == types.ReceiptStatusSuccessful {
		line("status", "1 (success)")
	} else {
		line("status", "%d (reverted)", s.Status)
	}
	line("block", "%d", s.Block)
	switch {
	case s.Activation == nil:
		line("gas used", "%d", s.GasUsed)
	case *s.Activation == 0:
		line("gas used", "%d, none of it for activation: the chain had the same code", s.GasUsed)
	default:
		line("gas used", "%d, %d of it for activation", s.GasUsed, *s.Activation)
	}
	for _, l := range s.Logs {
		line("log", "%s", l)
	}
	return b.String()
}
