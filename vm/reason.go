package vm

import "encoding/binary"

// errorSelector is of Error(string), the revert data that every client shows as text.
const errorSelector = 0x08c379a0

// Reason encodes a text as revert data: Error(string) of Solidity's ABI.
func Reason(text string) []byte {
	const word = 32
	out := make([]byte, 4+2*word+(len(text)+word-1)/word*word)
	binary.BigEndian.PutUint32(out, errorSelector)
	out[4+word-1] = word // where the string begins
	binary.BigEndian.PutUint64(out[4+2*word-8:], uint64(len(text)))
	copy(out[4+2*word:], text)
	return out
}
