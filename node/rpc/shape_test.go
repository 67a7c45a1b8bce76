package rpc_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A shape judges a decoded JSON value at a path of an answer. The named ones are those of execution-apis
// (src/schemas), written by hand; where ours is stricter, the comment says so.
type shape func(path string, v any) error

func wrong(path string, v any, want string) error {
	raw, _ := json.Marshal(v) // it was decoded from JSON
	return fmt.Errorf("%s is %.200s, want %s", path, raw, want)
}

func pattern(name, expression string) shape {
	re := regexp.MustCompile(expression)
	return func(path string, v any) error {
		if s, ok := v.(string); !ok || !re.MatchString(s) {
			return wrong(path, v, name)
		}
		return nil
	}
}

func exactly(want any) shape {
	return func(path string, v any) error {
		if v != want {
			return wrong(path, v, fmt.Sprint(want))
		}
		return nil
	}
}

func either(shapes ...shape) shape {
	return func(path string, v any) error {
		var errs []string
		for _, s := range shapes {
			err := s(path, v)
			if err == nil {
				return nil
			}
			errs = append(errs, err.Error())
		}
		return fmt.Errorf("none of: %s", strings.Join(errs, " | "))
	}
}

func list(item shape) shape {
	return func(path string, v any) error {
		items, ok := v.([]any)
		if !ok {
			return wrong(path, v, "a list")
		}
		for i, one := range items {
			if err := item(fmt.Sprintf("%s[%d]", path, i), one); err != nil {
				return err
			}
		}
		return nil
	}
}

// some is a list that is not empty.
func some(is shape) shape {
	return func(path string, v any) error {
		if items, ok := v.([]any); ok && len(items) == 0 {
			return wrong(path, v, "at least one")
		}
		return is(path, v)
	}
}

// table is an object whose keys are data.
func table(key, value shape) shape {
	return func(path string, v any) error {
		m, ok := v.(map[string]any)
		if !ok {
			return wrong(path, v, "an object")
		}
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if err := key(path+" key", k); err != nil {
				return err
			}
			if err := value(path+"."+k, m[k]); err != nil {
				return err
			}
		}
		return nil
	}
}

// fields are the members of an object; a name with a question mark may be missing.
type fields map[string]shape

// object has these fields and no others.
func object(parts ...fields) shape {
	want, optional := map[string]shape{}, map[string]bool{}
	for _, part := range parts {
		for name, s := range part {
			bare := strings.TrimSuffix(name, "?")
			want[bare], optional[bare] = s, bare != name
		}
	}
	return func(path string, v any) error {
		m, ok := v.(map[string]any)
		if !ok {
			return wrong(path, v, "an object")
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			value, has := m[name]
			if !has && !optional[name] {
				return wrong(path, v, "a field "+name)
			}
			if has {
				if err := want[name](path+"."+name, value); err != nil {
					return err
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if want[name] == nil {
				return wrong(path+"."+name, m[name], "no such field")
			}
		}
		return nil
	}
}

func boolean(path string, v any) error {
	if _, ok := v.(bool); !ok {
		return wrong(path, v, "a boolean")
	}
	return nil
}

func ratio(path string, v any) error {
	if n, ok := v.(float64); !ok || n < 0 || n > 1 {
		return wrong(path, v, "a number from 0 to 1")
	}
	return nil
}

// shapes are the named schemas.
type shapes struct {
	uint, oneByte, bytes, bytes8, bytes32, bytes256, hash32, address, text, null shape

	accessList, log, receipt, transaction, pending, block, pendingBlock, syncing, feeHistory shape
}

func newShapes() *shapes {
	s := &shapes{
		uint: pattern("uint", `^0x(0|[1-9a-f][0-9a-f]*)$`), oneByte: pattern("byte", `^0x[0-9a-f]{1,2}$`),
		bytes: pattern("bytes", `^0x([0-9a-f]{2})*$`), bytes8: pattern("bytes8", `^0x[0-9a-f]{16}$`),
		bytes32: pattern("bytes32", `^0x[0-9a-f]{64}$`), bytes256: pattern("bytes256", `^0x[0-9a-f]{512}$`),
		hash32:  pattern("hash32", `^0x[0-9a-f]{64}$`), // execution-apis admits fewer bytes
		address: pattern("address", `^0x[0-9a-fA-F]{40}$`), text: pattern("text", ``), null: exactly(nil),
	}
	s.accessList = list(object(fields{"address": s.address, "storageKeys": list(s.hash32)}))
	s.log = object(fields{ // execution-apis requires transactionHash only
		"removed": exactly(false), "logIndex": s.uint, "transactionIndex": s.uint, "transactionHash": s.hash32, "blockHash": s.hash32,
		"blockNumber": s.uint, "blockTimestamp": s.uint, "address": s.address, "data": s.bytes, "topics": list(s.bytes32),
	})
	s.receipt = object(fields{ // additionalProperties: false
		"type": s.oneByte, "transactionHash": s.hash32, "transactionIndex": s.uint, "blockHash": s.hash32, "blockNumber": s.uint,
		"from": s.address, "to": either(s.null, s.address), "cumulativeGasUsed": s.uint, "gasUsed": s.uint,
		"contractAddress": either(s.null, s.address), "logs": list(s.log), "logsBloom": s.bytes256,
		"status": either(exactly("0x0"), exactly("0x1")), "effectiveGasPrice": s.uint,
	})
	placed := fields{"blockHash": s.hash32, "blockNumber": s.uint, "blockTimestamp": s.uint, "transactionIndex": s.uint}
	s.transaction = s.signed(placed)
	s.pending = s.signed(fields{"blockHash": s.null, "blockNumber": s.null, "blockTimestamp": s.null, "transactionIndex": s.null})
	s.block = s.blockOf(s.transaction, fields{"hash": s.hash32, "nonce": s.bytes8, "miner": s.address})
	s.pendingBlock = s.blockOf(s.pending, fields{"hash": s.null, "nonce": s.null, "miner": s.null})
	s.syncing = either(exactly(false), object(fields{"startingBlock": s.uint, "currentBlock": s.uint, "highestBlock": s.uint}))
	s.feeHistory = object(fields{
		"oldestBlock": s.uint, "baseFeePerGas": list(s.uint), "gasUsedRatio": list(ratio), "reward?": list(list(s.uint)),
	})
	return s
}

// signed is TransactionInfo: one of the signed types with where it is.
func (s *shapes) signed(placed fields) shape {
	common := fields{
		"from": s.address, "hash": s.hash32, "nonce": s.uint, "to": either(s.null, s.address), "gas": s.uint, "value": s.uint,
		"input": s.bytes, "gasPrice": s.uint, "r": s.uint, "s": s.uint,
	}
	typed := fields{"chainId": s.uint, "accessList": s.accessList, "yParity": s.oneByte, "v": s.oneByte}
	return either(
		object(placed, common, fields{"type": exactly("0x0"), "v": s.uint, "chainId?": s.uint}),
		object(placed, common, typed, fields{"type": exactly("0x1")}),
		object(placed, common, typed, fields{"type": exactly("0x2"), "maxFeePerGas": s.uint, "maxPriorityFeePerGas": s.uint}),
	)
}

// simulated is EthSimulateBlockResultSuccess: a block with what its calls gave. There are no fields of forks that this
// chain has not.
func (s *shapes) simulated() shape {
	ok := object(fields{"returnData": s.bytes, "logs": list(s.log), "gasUsed": s.uint, "maxUsedGas": s.uint, "status": exactly("0x1")})
	return s.blockOf(s.transaction, fields{"hash": s.hash32, "nonce": s.bytes8, "miner": s.address, "calls": list(ok)})
}

// blockOf is Block with timestampMs, and with baseFeePerGas and difficulty required.
func (s *shapes) blockOf(transaction shape, differs fields) shape {
	return object(fields{
		"parentHash": s.hash32, "sha3Uncles": s.hash32, "stateRoot": s.hash32, "transactionsRoot": s.hash32, "receiptsRoot": s.hash32,
		"logsBloom": s.bytes256, "difficulty": s.bytesOrUint(), "number": s.uint, "gasLimit": s.uint, "gasUsed": s.uint, "timestamp": s.uint,
		"timestampMs": s.uint, "extraData": s.bytes, "mixHash": s.hash32, "baseFeePerGas": s.uint, "size": s.uint,
		"transactions": either(list(s.hash32), list(transaction)), "uncles": list(s.hash32),
	}, differs)
}

// bytesOrUint is what execution-apis calls bytes where every client answers a quantity.
func (s *shapes) bytesOrUint() shape { return either(s.bytes, s.uint) }
