package exec

import (
	"encoding/binary"
)

// errorSelector is of Error(string), the revert data that every client shows as text.
const errorSelector = 0x08c379a0

// reason encodes a text as revert data.
func reason(text string) []byte {
	const word = 32
	padding := (word - len(text)%word) % word
	out := make([]byte, 0, 4+2*word+len(text)+padding)
	out = binary.BigEndian.AppendUint32(out, errorSelector)
	out = append(out, words(word, uint64(len(text)))...)
	return append(append(out, text...), make([]byte, padding)...)
}
