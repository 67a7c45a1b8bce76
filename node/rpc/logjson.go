package rpc

import (
	"encoding/hex"
	"strconv"

	"github.com/ethereum/go-ethereum/core/types"
)

// logList is logs in JSON, each as go-ethereum writes it, without an allocation for each field: answers of thousands of
// them are the most that reads take of a processor.
type logList []*types.Log

// MarshalJSON implements [json.Marshaler].
func (l logList) MarshalJSON() ([]byte, error) {
	size := 2
	for _, log := range l {
		size += logJSONBytes + 70*len(log.Topics) + 2*len(log.Data)
	}
	b := append(make([]byte, 0, size), '[')
	for i, log := range l {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendLog(b, log)
	}
	return append(b, ']'), nil
}

// logJSONBytes is what a log takes in JSON beside its topics and data.
const logJSONBytes = 450

// appendLog writes the fields of execution-apis in go-ethereum's order.
func appendLog(b []byte, l *types.Log) []byte {
	b = appendHex(append(b, `{"address":`...), l.Address[:])
	b = append(b, `,"topics":[`...)
	for i := range l.Topics {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendHex(b, l.Topics[i][:])
	}
	b = appendHex(append(b, `],"data":`...), l.Data)
	b = appendQuantity(append(b, `,"blockNumber":`...), l.BlockNumber)
	b = appendHex(append(b, `,"transactionHash":`...), l.TxHash[:])
	b = appendQuantity(append(b, `,"transactionIndex":`...), uint64(l.TxIndex))
	b = appendHex(append(b, `,"blockHash":`...), l.BlockHash[:])
	b = appendQuantity(append(b, `,"blockTimestamp":`...), l.BlockTimestamp)
	b = appendQuantity(append(b, `,"logIndex":`...), uint64(l.Index))
	b = strconv.AppendBool(append(b, `,"removed":`...), l.Removed)
	return append(b, '}')
}

func appendHex(b, raw []byte) []byte {
	return append(hex.AppendEncode(append(b, `"0x`...), raw), '"')
}

func appendQuantity(b []byte, v uint64) []byte {
	return append(strconv.AppendUint(append(b, `"0x`...), v, 16), '"')
}
