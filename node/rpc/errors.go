package rpc

import (
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/node/txpool"
)

// Codes of JSON-RPC errors beside go-ethereum's default of -32000.
const (
	codeInvalidParams = -32602
	codeInternal      = -32603
	codeLimit         = -32005 // EIP-1474: limit exceeded
	codeSyncTimeout   = 4      // EIP-7966
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
