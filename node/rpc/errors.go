package rpc

import (
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/tercet-chain/tercet/node/txpool"
)

// Codes of JSON-RPC errors beside go-ethereum's default of -32000.
const (
	codeInvalidParams = -32602
	codeInternal      = -32603
	codeLimit         = -32005 // EIP-1474: limit exceeded
	codeReverted      = 3
	codeSyncTimeout   = 4 // EIP-7966
)

// codedError is an error with its JSON-RPC code.
type codedError struct {
	code    int
	message string
}

func (e *codedError) Error() string  { return e.message }
func (e *codedError) ErrorCode() int { return e.code }

func invalidParams(format string, args ...any) error {
	return &codedError{codeInvalidParams, fmt.Sprintf(format, args...)}
}

// busy is the answer to who exceeds a bound that others share: nothing is wrong with the request.
func busy(format string, args ...any) error {
	return &codedError{codeLimit, "server is busy: " + fmt.Sprintf(format, args...)}
}

// revertError is a call that a contract refused, with what it said.
type revertError struct {
	message string
	data    hexutil.Bytes
}

func (e *revertError) Error() string  { return e.message }
func (e *revertError) ErrorCode() int { return codeReverted }

// ErrorData is the revert data in hex; clients decode custom errors from it.
func (e *revertError) ErrorData() any { return e.data }

// rangeError asks for a shorter range of blocks, in the words that clients of public nodes know.
type rangeError struct {
	message  string
	from, to uint64
}

func (e *rangeError) Error() string  { return e.message }
func (e *rangeError) ErrorCode() int { return codeLimit }

// ErrorData is the range to ask for.
func (e *rangeError) ErrorData() any {
	return map[string]hexutil.Uint64{"from": hexutil.Uint64(e.from), "to": hexutil.Uint64(e.to)}
}

// shorter is the answer to a query of logs that a part of its range would not get.
func shorter(from, to uint64, format string, args ...any) error {
	return &rangeError{fmt.Sprintf("%s. Try with this block range [%#x, %#x].", fmt.Sprintf(format, args...), from, to), from, to}
}

// broken logs a failure of the node itself, which clients learn about without details.
func (s *Server) broken(err error) error {
	s.log.Error("answering a JSON-RPC request", "error", err)
	return &codedError{codeInternal, "internal error: the node's operator finds the cause in its log"}
}

// refused adds a code to why the pool did not take a transaction.
func refused(err error) error {
	if errors.Is(err, txpool.ErrFull) {
		return &codedError{codeLimit, err.Error()}
	}
	return err
}

// syncTimeoutError is EIP-7966's answer for a transaction that is not executed in time.
type syncTimeoutError struct {
	message string
	hash    common.Hash
}

func (e *syncTimeoutError) Error() string  { return e.message }
func (e *syncTimeoutError) ErrorCode() int { return codeSyncTimeout }
func (e *syncTimeoutError) ErrorData() any { return e.hash.Hex() }
